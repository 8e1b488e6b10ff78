"""Centre and scale of a column, fitted on the training part alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NEAR_CONSTANT = 1e-8
"""A standard deviation below this fraction of the mean is rounding noise, not information."""


class Scaler(NamedTuple):
    """`scaled = (value - center) / scale`; a constant column keeps scale 1."""

    center: float
    scale: float
    is_constant: bool = False


class Moments(NamedTuple):
    """Mean, population standard deviation, least and greatest value, number of observed values."""

    mean: float
    sd: float
    minimum: float
    maximum: float
    observed: int


def moments(values: NDArray[np.float64]) -> Moments:
    """Moments of the values that are not NaN; all zero where there is none.

    The deviations are divided by the greatest of them before they are squared, so that neither
    1e-200 nor 1e200 is lost. What cannot be represented at all comes out infinite.
    """
    kept = values[~np.isnan(values)]
    if not len(kept):
        return Moments(0.0, 0.0, 0.0, 0.0, 0)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        low, high = float(kept.min()), float(kept.max())
        mean = float(kept.mean())
        kept -= mean
        largest = max(high - mean, mean - low)
        sd = 0.0
        if largest > 0:
            kept /= largest
            sd = largest * float(np.sqrt(np.mean(kept * kept)))
    return Moments(mean, sd, low, high, len(kept))


def fit(found: Moments, method: str) -> Scaler:
    """The scaler of a column with these moments; `method` is z-norm, zero-one or none.

    A constant or near-constant column is centred on its mean and keeps its scale.
    """
    if method == "none":
        return Scaler(0.0, 1.0)
    if found.sd <= NEAR_CONSTANT * abs(found.mean):
        return Scaler(found.mean, 1.0, True)
    if method == "zero-one":
        return Scaler(found.minimum, found.maximum - found.minimum)
    return Scaler(found.mean, found.sd)
