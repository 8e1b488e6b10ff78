"""Products with, and sums with, learnt Gaussian parameters.

A row of the value has `groups * inner` elements, and each group shares one parameter: with
`inner = 1` every unit has its own, with `groups` channels every channel.
"""

from __future__ import annotations

import numpy as np

from tagi_cli.backend.base import Array


def scale_forward(
    mu_z: Array,
    var_z: Array,
    mu_a: Array,
    var_a: Array | None,
    mu_s: Array,
    var_s: Array,
    B: int,
    groups: int,
    inner: int,
) -> None:
    """Moments of `z = s a` with independent factors.

    `mu_z = mu_s mu_a`, `var_z = (mu_s^2 + var_s) var_a + var_s mu_a^2`.
    """
    shape = (B, groups, inner)
    m, v = mu_s.reshape(groups, 1), var_s.reshape(groups, 1)
    a = mu_a.reshape(shape)
    np.multiply(m, a, out=mu_z.reshape(shape))
    out = var_z.reshape(shape)
    np.multiply(a, a, out=out)
    np.multiply(out, v, out=out)
    if var_a is not None:
        out += (m * m + v) * var_a.reshape(shape)


def scale_backward(
    d_mu_a: Array,
    d_var_a: Array,
    d_mu_z: Array,
    d_var_z: Array,
    mu_s: Array,
    B: int,
    groups: int,
    inner: int,
    accumulate: int,
) -> None:
    """Innovations of the input: `d_mu_a = mu_s d_mu_z`, `d_var_a = mu_s^2 d_var_z`."""
    shape, m = (B, groups, inner), mu_s.reshape(groups, 1)
    for out, into, factor in ((d_mu_a, d_mu_z, m), (d_var_a, d_var_z, m * m)):
        part = out.reshape(shape)
        if accumulate:
            part += factor * into.reshape(shape)
        else:
            np.multiply(factor, into.reshape(shape), out=part)


def offset_forward(
    mu_z: Array,
    var_z: Array | None,
    mu_a: Array,
    var_a: Array | None,
    mu_b: Array,
    var_b: Array | None,
    B: int,
    groups: int,
    inner: int,
) -> None:
    """Moments of `z = a + b`: both add. `var_b` is None for a known offset."""
    shape = (B, groups, inner)
    np.add(mu_a.reshape(shape), mu_b.reshape(groups, 1), out=mu_z.reshape(shape))
    if var_z is None:
        return
    out = var_z.reshape(shape)
    np.copyto(out, 0 if var_a is None else var_a.reshape(shape))
    if var_b is not None:
        out += var_b.reshape(groups, 1)


def scale_innovation(
    G: Array,
    L: Array,
    mu_a: Array | None,
    d_mu_z: Array,
    d_var_z: Array,
    B: int,
    groups: int,
    inner: int,
    accumulate: int,
) -> None:
    """Sums over rows and group: `G = sum mu_a d_mu_z`, `L = sum mu_a^2 d_var_z`.

    `mu_a` is None for an offset, whose factor is one.
    """
    shape = (B, groups, inner)
    first, second = d_mu_z.reshape(shape), d_var_z.reshape(shape)
    if mu_a is not None:
        a = mu_a.reshape(shape)
        first, second = a * first, a * a * second
    if accumulate:
        G += first.sum(axis=(0, 2))
        L += second.sum(axis=(0, 2))
    else:
        np.sum(first, axis=(0, 2), out=G)
        np.sum(second, axis=(0, 2), out=L)
