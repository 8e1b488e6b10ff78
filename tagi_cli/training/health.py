"""What training did to the variances of a network's parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class LayerHealth(NamedTuple):
    """What training did to one tensor.

    Attributes:
        floored: variances that an update would have made negative, so far.
        shrunk: share of the variances that fell below half the prior's.
        signal: median over its parameters of |mean| / standard deviation; those of variance 0
            count as infinite, and so may the median be.
    """

    floored: int
    shrunk: float
    signal: float


def measure(
    tensors: Mapping[str, Any],
    floored: NDArray[Any],
    prior_var: Mapping[str, Any],
    to_host: Callable[[Any], NDArray[Any]],
) -> dict[str, LayerHealth]:
    """Health by tensor.

    Args:
        tensors: with `mu` and `var`, by name.
        floored: how many variances of each hit the floor.
        prior_var: variances that they began with, by name.
        to_host: copies from the device.
    """
    found = {}
    for (name, tensor), count in zip(tensors.items(), floored, strict=True):
        mu, var = to_host(tensor.mu), to_host(tensor.var)
        shrunk = float((var < 0.5 * prior_var[name]).mean())
        found[name] = LayerHealth(int(count), shrunk, _median_signal(mu, var))
    return found


def _median_signal(mu: NDArray[Any], var: NDArray[Any]) -> float:
    squared = np.divide(mu * mu, var, out=np.full(var.shape, np.inf, var.dtype), where=var > 0)
    middle = squared.size // 2
    return float(np.sqrt(np.partition(squared.ravel(), middle)[middle]))
