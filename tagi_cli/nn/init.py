"""Prior means and variances of new parameters.

Fans are `fan_in` terms of a sum and `fan_out` sums that a unit takes part in; of a convolution both
count the taps of the kernel and the channels of one group.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tagi_cli.options import option

Host = np.ndarray[Any, Any]
Pair = tuple[Host, Host]

METHODS = ("He", "Xavier")
DISTRIBUTIONS = (
    "kaiming_normal", "kaiming_truncated_normal", "xavier_normal", "xavier_truncated_normal",
    "truncated_normal",
)  # fmt: skip
BIASES = ("random", "zeros")

_NARROWEST = 1e-4
"""Least standard deviation of a truncated standard normal; below it the closed form cancels."""


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


def leaky_relu_gain(slope: float) -> float:
    """`sqrt(2 / (1 + slope^2))`, which keeps the second moment through a leaky ReLU (He 2015)."""
    return math.sqrt(2 / (1 + slope**2))


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


def truncated_std(lower: float, upper: float) -> float:
    """Standard deviation of a standard normal truncated to `lower` to `upper`.

    `1 + (a phi(a) - b phi(b)) / Z - ((phi(a) - phi(b)) / Z)^2` squared, `Z = Phi(b) - Phi(a)`
    (Johnson, Kotz & Balakrishnan 1994, section 10.1).

    Raises:
        ValueError: the bounds are in the wrong order, too close to each other, or too far out.
    """
    from scipy.special import ndtr  # takes a third of a second, which few commands need

    if not lower < upper:
        raise ValueError(f"truncated normal: the lower bound {lower:g} is not below {upper:g}")
    a, b = (-upper, -lower) if lower > 0 else (lower, upper)
    Z = float(ndtr(b) - ndtr(a))
    phi = [math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi) for x in (a, b)]
    ends = [x * p if p else 0.0 for x, p in zip((a, b), phi, strict=True)]
    square = 0.0
    if Z > 0:
        square = 1 + (ends[0] - ends[1]) / Z - ((phi[0] - phi[1]) / Z) ** 2
    if not square > _NARROWEST**2:
        raise ValueError(
            f"truncated normal: the bounds {lower:g} and {upper:g} are too close to each other or "
            "too far out"
        )
    return math.sqrt(square)


def truncated_normal(
    shape: tuple[int, ...], lower: float, upper: float, rng: np.random.Generator
) -> Host:
    """Draws from a standard normal truncated to `lower` to `upper`, divided by its deviation.

    So the standard deviation is 1 and values reach from `lower / c` to `upper / c` with
    `c = truncated_std(lower, upper)`. The mean is 0 where the bounds are symmetric only.

    Raises:
        ValueError: see `truncated_std`.
    """
    from scipy.special import ndtr, ndtri

    deviation = truncated_std(lower, upper)
    # Far out on the right the distribution function has no digits left; on the left it has all.
    sign = -1.0 if lower > 0 else 1.0
    first, last = sorted((sign * lower, sign * upper))
    quantile = rng.uniform(ndtr(first), ndtr(last), shape)
    return sign * np.clip(ndtri(quantile), first, last) / deviation


@dataclass(frozen=True)
class InitOptions:
    """Prior of new parameters: what the means are drawn from, and factors on its scale.

    The scale is `gain` times `sqrt(1/fan_in)` (Kaiming), `sqrt(2/(fan_in+fan_out))` (Xavier) or 1.
    """

    weights: str | None = option(
        None,
        "What prior means of weights are drawn from; null is a normal of the scale that "
        "`init_method` gives.",
        choices=DISTRIBUTIONS,
    )
    bias: str = option(
        "random",
        "Prior means of biases: drawn from a normal of the same scale, or zeros.",
        choices=BIASES,
    )
    gain: float | Literal["leaky_relu"] = option(
        1.0,
        "Factor on the scale, or `leaky_relu` for sqrt(2/(1+slope^2)).",
        above=0,
    )
    slope: float | None = option(
        None, "Negative slope, for `gain: leaky_relu`; null is 0.1.", minimum=0
    )
    lower: float | None = option(
        None, "Lower bound of a truncated distribution, in units of its scale; null is -2."
    )
    upper: float | None = option(None, "Upper bound, likewise; null is 2.")
    var_gain: float = option(
        1.0, "Factor on all prior standard deviations, besides `gain_weight` and such.", above=0
    )

    def faults(self) -> list[str]:
        """Options that mean nothing without another one are not given, and bounds are in order."""
        found = [
            f": found {name} '{value}'. Allowed: {', '.join(allowed)}"
            for name, value, allowed in (
                ("weights", self.weights, DISTRIBUTIONS),
                ("bias", self.bias, BIASES),
                ("gain", self.gain, ("a number above 0", "leaky_relu")),
            )
            if isinstance(value, str) and value not in allowed
        ]
        if self.slope is not None and self.gain != "leaky_relu":
            found.append(f": slope {self.slope:g} means something with gain: leaky_relu only")
        truncated = "truncated" in (self.weights or "")
        bounds = {"lower": self.lower, "upper": self.upper}
        given = [f"{name} {value:g}" for name, value in bounds.items() if value is not None]
        if given and not truncated:
            found.append(
                f": {' and '.join(given)} mean something with truncated weights only: "
                f"{', '.join(name for name in DISTRIBUTIONS if 'truncated' in name)}"
            )
        if truncated:
            try:
                truncated_std(*self.bounds)
            except ValueError as error:
                found.append(f": {error}")
        return found

    @property
    def bounds(self) -> tuple[float, float]:
        """Lower and upper bound of a truncated distribution."""
        return -2.0 if self.lower is None else self.lower, 2.0 if self.upper is None else self.upper

    @property
    def factor(self) -> float:
        """The gain as a number."""
        if self.gain == "leaky_relu":
            return leaky_relu_gain(0.1 if self.slope is None else self.slope)
        return float(self.gain)


class Prior:
    """The prior of one layer's weights and biases.

    Args:
        method: `He` or `Xavier`, for options that do not name a distribution.
        fan_in: terms of the sum that a unit is.
        fan_out: sums that an input takes part in.
        options: what is not as by default; None where all is.

    Raises:
        ValueError: unknown method, or options that contradict each other.
    """

    def __init__(
        self, method: str, fan_in: int, fan_out: int, options: InitOptions | None = None
    ) -> None:
        self.options = options or InitOptions()
        wrong = self.options.faults()
        if wrong:
            raise ValueError(f"init{'; init'.join(wrong)}")
        family = (self.options.weights or "").partition("_")[0]
        base = {"kaiming": "He", "xavier": "Xavier"}.get(family, method)
        self.spread = self.options.factor
        if family != "truncated":
            self.spread *= scale(base, fan_in, fan_out)

    def weights(
        self, shape: tuple[int, ...], rng: np.random.Generator, *, gain: float, gain_mean: float
    ) -> Pair:
        """Means and variances of weights.

        Args:
            shape: of the tensor.
            rng: draws the means.
            gain: factor on the prior standard deviation.
            gain_mean: factor on the spread of the means.
        """
        if "truncated" not in (self.options.weights or ""):
            return self._gaussian(shape, rng, gain, gain_mean)
        mu = truncated_normal(shape, *self.options.bounds, rng) * (gain_mean * self.spread)
        return mu, np.full(shape, (gain * self.options.var_gain * self.spread) ** 2)

    def bias(
        self, shape: tuple[int, ...], rng: np.random.Generator, *, gain: float, gain_mean: float
    ) -> Pair:
        """Means and variances of biases; see `weights`."""
        zeros = self.options.bias == "zeros"
        return self._gaussian(shape, rng, gain, 0.0 if zeros else gain_mean)

    def _gaussian(
        self, shape: tuple[int, ...], rng: np.random.Generator, gain: float, gain_mean: float
    ) -> Pair:
        gain *= self.options.var_gain
        return gaussian(shape, self.spread, rng, gain=gain, gain_mean=gain_mean)
