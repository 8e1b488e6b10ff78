"""How good forecasts are, in measures that series of any size can share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.training import mixture
from tagi_cli.training.mixture import Floats

_VALUES_PER_BLOCK = 131_072

MEASURES = ("mase", "nd", "p90", "smape")
"""Names of the measures of a forecast."""


@dataclass(frozen=True, eq=False)
class Errors:
    """What forecasts and observations say of each other, `(n, H)` each, NaN where not observed.

    Attributes:
        absolute: `|y - median|`.
        pinball_90: pinball loss of the 0.9 quantile.
        symmetric: `|y - median| / (|y| + |median|)`, 0 where both are 0.
        crps: continuous ranked probability score.
        within_90: 1 where y lies in the central 90 % interval, else 0.
        size: `|y|`.
    """

    absolute: Floats
    pinball_90: Floats
    symmetric: Floats
    crps: Floats
    within_90: Floats
    size: Floats

    @classmethod
    def of_law(cls, y: NDArray[Any], mu: Floats, var: Floats) -> Errors:
        """Those of equal mixtures of M Gaussians.

        Args:
            y: `(n, H)` observed values, NaN where missing.
            mu: `(M, n, H)` means.
            var: `(M, n, H)` variances.
        """
        found = [
            _of_block(y[rows], mu[:, rows], var[:, rows]) for rows in _blocks(len(mu), y.shape)
        ]
        return cls(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    @classmethod
    def of_points(cls, y: NDArray[Any], forecast: Floats) -> Errors:
        """Those of single values `(n, H)`, each a law without spread."""
        y = np.where(np.isnan(forecast), np.nan, y)
        absolute = np.abs(y - forecast)
        within = np.where(np.isnan(y), np.nan, absolute == 0)
        size = np.abs(y)
        return cls(absolute, _pinball(y, forecast), _symmetric(y, forecast), absolute, within, size)


def _blocks(members: int, shape: tuple[int, ...]) -> list[slice]:
    rows = max(1, _VALUES_PER_BLOCK // max(1, members * shape[1]))
    return [slice(begin, begin + rows) for begin in range(0, max(shape[0], 1), rows)]


def _of_block(y: NDArray[Any], mu: Floats, var: Floats) -> tuple[Floats, ...]:
    y = np.asarray(y, np.float64)
    median = mixture.quantile(0.5, mu, var)
    high = mixture.quantile(0.9, mu, var)
    level = mixture.cdf(y, mu, var)
    within = np.where(np.isnan(y), np.nan, np.abs(level - 0.5) <= 0.45)
    crps = mixture.crps(y, mu, var)
    return np.abs(y - median), _pinball(y, high), _symmetric(y, median), crps, within, np.abs(y)


def _pinball(y: Floats, quantile: Floats) -> Floats:
    """Loss of the 0.9 quantile."""
    excess = y - quantile
    return np.maximum(0.9 * excess, -0.1 * excess)


def _symmetric(y: Floats, forecast: Floats) -> Floats:
    size = np.abs(y) + np.abs(forecast)
    return np.abs(y - forecast) / np.where(size == 0, 1, size)


def measures(errors: Errors, naive_error: Floats, series: NDArray[np.int64]) -> dict[str, float]:
    """The measures of n forecasts of H steps.

    Args:
        errors: of the forecasts.
        naive_error: `(n,)` of each forecast's series: mean absolute difference from season to
            season before what is forecast.
        series: `(n,)` number of the series of each forecast.

    Returns:
        `mase`: mean absolute error of the median in units of `naive_error`, averaged over series;
        those whose unit is 0 are left out (Hyndman & Koehler 2006, Int. J. Forecasting 22,
        679-688). `nd`: sum of absolute errors of the median over the sum of absolute values.
        `p90`: twice the sum of pinball losses of the 0.9 quantile over the same (Salinas et al.
        2020, Int. J. Forecasting 36, 1181-1191). `smape`: 200 % times the mean of
        `|y - median| / (|y| + |median|)` (Makridakis et al. 2020, Int. J. Forecasting 36, 54-74).
        NaN where nothing is observed.
    """
    scaled = errors.absolute / np.where(naive_error > 0, naive_error, np.nan)[:, None]
    total = float(np.nansum(errors.size))
    known = ~np.isnan(errors.absolute)
    return {
        "mase": _mean(_by_series(scaled, series)),
        "nd": float(np.nansum(errors.absolute)) / total if total else math.nan,
        "p90": 2 * float(np.nansum(errors.pinball_90)) / total if total else math.nan,
        "smape": 200 * float(np.mean(errors.symmetric[known])) if known.any() else math.nan,
    }


def by_step(
    errors: Errors, naive_error: Floats, series: NDArray[np.int64]
) -> dict[str, list[float]]:
    """`measures`, `crps` and `coverage_90` of each of the H steps."""
    found: dict[str, list[float]] = {name: [] for name in (*MEASURES, "crps", "coverage_90")}
    for h in range(errors.absolute.shape[1]):
        step = Errors(*(getattr(errors, name)[:, h : h + 1] for name in errors.__annotations__))
        values = measures(step, naive_error, series)
        values |= {"crps": _mean(step.crps), "coverage_90": _mean(step.within_90)}
        for name, value in values.items():
            found[name].append(value)
    return found


def _by_series(values: Floats, series: NDArray[np.int64]) -> Floats:
    """Mean of the known values of each series; those without any are left out."""
    known = ~np.isnan(values)
    total = np.bincount(series, np.where(known, values, 0).sum(axis=1))
    count = np.bincount(series, known.sum(axis=1))
    return np.asarray(total[count > 0] / count[count > 0])


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan
