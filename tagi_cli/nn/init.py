"""Prior means and variances of new parameters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Pair = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]

METHODS = ("He", "Xavier")


def scale(method: str, fan_in: int, fan_out: int) -> float:
    """Prior standard deviation: `He` `sqrt(1/fan_in)`, `Xavier` `sqrt(2/(fan_in+fan_out))`.

    Closed-form inference propagates the spread of the prior itself, so He has no factor two.

    Raises:
        ValueError: unknown method.
    """
    key = method.lower()
    if key == "he":
        return math.sqrt(1 / fan_in)
    if key == "xavier":
        return math.sqrt(2 / (fan_in + fan_out))
    raise ValueError(f"init_method '{method}': allowed are {', '.join(METHODS)}")


def gaussian(
    shape: tuple[int, ...],
    spread: float,
    rng: np.random.Generator,
    *,
    gain: float = 1.0,
    gain_mean: float = 1.0,
) -> Pair:
    """Means drawn from `N(0, (gain_mean spread)^2)`, all variances `(gain spread)^2`."""
    mu = rng.standard_normal(shape) * (gain_mean * spread)
    return mu, np.full(shape, (gain * spread) ** 2)
