"""Units dropped at random: as moments of the random mask, or with a drawn mask."""

from __future__ import annotations

import numpy as np

from tagi_cli.backend.base import Array
from tagi_cli.backend.reference.random_bits import random_bits


def dropout_moments_forward(
    var_z: Array, mu_a: Array, var_a: Array | None, keep: float, n: int
) -> None:
    """Variance of `z = a b / keep` with a Bernoulli mask `b`, `P(b = 1) = keep`.

    The mean is that of `a`; `var_z = var_a / keep + mu_a^2 (1 - keep) / keep`; `J = 1`.
    """
    np.multiply(mu_a, mu_a, out=var_z)
    np.multiply(var_z, 1 - keep, out=var_z)
    if var_a is not None:
        np.add(var_z, var_a, out=var_z)
    np.divide(var_z, keep, out=var_z)


def dropout_sample_forward(
    mu_z: Array,
    var_z: Array | None,
    jac: Array,
    mu_a: Array,
    var_a: Array | None,
    generator: Array,
    keep: float,
    first: int,
    n: int,
) -> None:
    """`z = J a` with `J` drawn: `1 / keep` with probability `keep`, else 0.

    The mask is a function of `generator` (int32: seed, number of the batch) and the element, from
    `first` on: the same on every backend and in any order, and where ranks share the batch.
    """
    kept = random_bits(generator, first, n) < np.uint32(int(keep * 16777216))
    np.multiply(kept.reshape(jac.shape), 1 / keep, out=jac, casting="same_kind")
    np.multiply(jac, mu_a, out=mu_z)
    if var_z is not None and var_a is not None:
        np.multiply(jac, jac, out=var_z)
        np.multiply(var_z, var_a, out=var_z)
