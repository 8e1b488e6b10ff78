"""Initialisers: prior means and variances of a kernel whose last axis is the output.

`fan_in` is the product of all axes but the last, `fan_out` the last one alone. `tagi_cli.nn` counts
the taps of a convolution's kernel in both, so that its Xavier scale is smaller. What is drawn comes
from `random.DEFAULT_GENERATOR`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tagi_cli.nn import Moments
from tagi_cli.nn import init as prior
from tagi_cli.objax import random

Shape = tuple[int, ...]
Initialiser = Callable[[Shape], Any]


def _fans(shape: Shape) -> tuple[int, int]:
    return math.prod(shape[:-1]), shape[-1]


def gain_leaky_relu(relu_slope: float = 0.1) -> float:
    """`sqrt(2 / (1 + relu_slope^2))`, to be given as `gain` in front of a leaky ReLU."""
    return prior.leaky_relu_gain(relu_slope)


def kaiming_normal_gain(shape: Shape) -> float:
    """`sqrt(1 / fan_in)`."""
    return prior.scale("He", *_fans(shape))


def xavier_normal_gain(shape: Shape) -> float:
    """`sqrt(2 / (fan_in + fan_out))`."""
    return prior.scale("Xavier", *_fans(shape))


def kaiming_normal(shape: Shape, gain: float = 1, *, var_gain: float = 1) -> Moments:
    """Means from a normal of standard deviation `gain kaiming_normal_gain(shape)`.

    Args:
        shape: of the kernel.
        gain: factor on the standard deviation.
        var_gain: factor on the prior standard deviation besides, but not on the means' spread.

    Returns:
        Prior means and variances.
    """
    return _normal(shape, gain * kaiming_normal_gain(shape), var_gain)


def xavier_normal(shape: Shape, gain: float = 1, *, var_gain: float = 1) -> Moments:
    """Means from a normal of standard deviation `gain xavier_normal_gain(shape)`.

    See `kaiming_normal`.
    """
    return _normal(shape, gain * xavier_normal_gain(shape), var_gain)


def truncated_normal(
    shape: Shape, lower: float = -2, upper: float = 2, stddev: float = 1, *, var_gain: float = 1
) -> Moments:
    """Means from a truncated normal, scaled so that its standard deviation is `stddev`.

    So values lie within `[lower, upper] stddev / c`, where `c` is the standard deviation of the
    standard normal truncated to `[lower, upper]`: 0.88 for the default.

    Args:
        shape: of the kernel.
        lower: where a standard normal is cut.
        upper: likewise.
        stddev: standard deviation of the means.
        var_gain: factor on the prior standard deviation besides.

    Returns:
        Prior means and variances.

    Raises:
        ValueError: the bounds are in the wrong order, too close to each other or too far out.
    """
    mu = prior.truncated_normal(shape, lower, upper, random.DEFAULT_GENERATOR.rng) * stddev
    return Moments(mu, np.full(shape, (var_gain * stddev) ** 2))


def kaiming_truncated_normal(
    shape: Shape, lower: float = -2, upper: float = 2, gain: float = 1, *, var_gain: float = 1
) -> Moments:
    """`truncated_normal` with the standard deviation of `kaiming_normal`."""
    stddev = gain * kaiming_normal_gain(shape)
    return truncated_normal(shape, lower, upper, stddev, var_gain=var_gain)


def xavier_truncated_normal(
    shape: Shape, lower: float = -2, upper: float = 2, gain: float = 1, *, var_gain: float = 1
) -> Moments:
    """`truncated_normal` with the standard deviation of `xavier_normal`."""
    stddev = gain * xavier_normal_gain(shape)
    return truncated_normal(shape, lower, upper, stddev, var_gain=var_gain)


def _normal(shape: Shape, stddev: float, var_gain: float) -> Moments:
    return Moments(*prior.gaussian(shape, stddev, random.DEFAULT_GENERATOR.rng, gain=var_gain))


def drawn(w_init: Initialiser, shape: Shape, default: Callable[[Shape], float]) -> Moments:
    """Prior means and variances of a kernel.

    Args:
        w_init: gives `Moments`, or means alone.
        shape: of the kernel.
        default: gives the prior standard deviation where `w_init` gives means alone.

    Raises:
        ValueError: what `w_init` gives has another shape.
    """
    made = w_init(shape)
    if not isinstance(made, Moments):
        made = Moments(np.asarray(made), np.full(shape, default(shape) ** 2))
    if np.shape(made.mu) != shape or np.shape(made.var) != shape:
        raise ValueError(f"w_init gave the shape {np.shape(made.mu)}, the kernel has {shape}")
    return made
