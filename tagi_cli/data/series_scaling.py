"""Scalers per series, and per window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.scaling import NEAR_CONSTANT
from tagi_cli.data.windows import Windows

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

FLAT = 0.01
"""A window whose spread is below this fraction of its series' is scaled by that fraction, so that
the noise of a flat stretch is not blown up to the size of a signal."""

_BLOCK = 1 << 22
"""Values of windows that are copied at a time."""


class GroupMoments(NamedTuple):
    """Of G groups of values: mean, population standard deviation, extremes, number; `(G,)` each."""

    mean: Floats
    sd: Floats
    minimum: Floats
    maximum: Floats
    observed: Rows


def group_moments(values: Floats, codes: Rows, groups: int) -> GroupMoments:
    """Moments of the values `(N,)` that are not NaN, by the group `codes (N,)` of each.

    A group without any has moments 0. As in `scaling.moments`, deviations are divided by the
    greatest of their group before they are squared.
    """
    known = ~np.isnan(values)
    values, codes = values[known], codes[known]
    observed = np.bincount(codes, minlength=groups)
    minimum, maximum = np.full(groups, np.inf), np.full(groups, -np.inf)
    np.minimum.at(minimum, codes, values)
    np.maximum.at(maximum, codes, values)
    minimum[observed == 0] = maximum[observed == 0] = 0
    some = np.maximum(observed, 1)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        # About the middle of the range, where the sum loses least.
        middle = minimum / 2 + maximum / 2
        mean = middle + np.bincount(codes, values - middle[codes], groups) / some
        mean = np.clip(mean, minimum, maximum)
        largest = np.maximum(maximum - mean, mean - minimum)
        unit = np.where(largest > 0, largest, 1)
        share = (values - mean[codes]) / unit[codes]
        sd = unit * np.sqrt(np.bincount(codes, share * share, groups) / some)
    return GroupMoments(mean, sd, minimum, maximum, observed)


@dataclass(frozen=True, eq=False)
class SeriesScaler:
    """A column's scaler for each of G series: `scaled = (value - center) / scale`, `(G,)` each.

    `fill` stands for a missing value; `known` is False for a series without training rows.
    """

    center: Floats
    scale: Floats
    fill: Floats
    known: NDArray[np.bool_]

    @classmethod
    def fit(cls, found: GroupMoments, method: str) -> SeriesScaler:
        """As `scaling.fit` for each series."""
        mean, sd, low, high, observed = found
        constant = sd <= NEAR_CONSTANT * np.abs(mean)
        center, scale = (low, high - low) if method == "zero-one" else (mean, sd)
        if method == "none":
            center, scale = np.zeros_like(mean), np.ones_like(mean)
        else:
            center, scale = np.where(constant, mean, center), np.where(constant, 1.0, scale)
        return cls(center, scale, mean, observed > 0)

    def completed(self, others: SeriesScaler) -> SeriesScaler:
        """These scalers, with those of `others` for series that are not known or come after."""
        known = np.zeros(len(others.known), dtype=bool)
        known[: len(self.known)] = self.known
        made = []
        for name in ("center", "scale", "fill"):
            values = getattr(others, name).copy()
            values[known] = getattr(self, name)[self.known]
            made.append(values)
        return SeriesScaler(made[0], made[1], made[2], others.known | known)

    def take(self, codes: Rows) -> SeriesScaler:
        """The scalers of these series, one for each code."""
        return SeriesScaler(
            self.center[codes], self.scale[codes], self.fill[codes], self.known[codes]
        )

    def to_json(self) -> dict[str, Any]:
        """A dict for JSON that `from_json` turns into an equal scaler, bit for bit."""
        return {
            "center": self.center.tolist(),
            "scale": self.scale.tolist(),
            "fill": self.fill.tolist(),
            "known": self.known.tolist(),
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> SeriesScaler:
        """The scaler that `to_json` wrote."""
        center, scale, fill = (np.array(tree[name], float) for name in ("center", "scale", "fill"))
        return cls(center, scale, fill, np.array(tree["known"], dtype=bool))


def window_scalers(windows: Windows, method: str) -> tuple[Floats, Floats]:
    """Centre and scale of each window and column by its own values, `(n, C)` each.

    Args:
        windows: of values scaled by series, NaN for what does not count.
        method: z-norm or zero-one.
    """
    n, length, columns = windows.shape
    center, scale = np.zeros((n, columns)), np.ones((n, columns))
    step = max(1, _BLOCK // (length * columns))
    for first in range(0, n, step):
        block = slice(first, first + step)
        values = np.asarray(windows[block], dtype=np.float64)
        known = ~np.isnan(values)
        count = np.maximum(known.sum(axis=1), 1)
        if method == "zero-one":
            low = np.where(known, values, np.inf).min(axis=1)
            high = np.where(known, values, -np.inf).max(axis=1)
            low, high = np.where(known.any(axis=1), (low, high), 0.0)
            center[block], scale[block] = low, high - low
        else:
            mean = np.where(known, values, 0).sum(axis=1) / count
            deviation = np.where(known, values - mean[:, None], 0)
            center[block] = mean
            scale[block] = np.sqrt((deviation * deviation).sum(axis=1) / count)
    return center, np.maximum(scale, FLAT)
