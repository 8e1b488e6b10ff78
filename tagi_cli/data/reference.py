"""Windows of a forecast, scaled one by one: targets count from what a naive forecast says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.series_scaling import FLAT, SeriesScaler
from tagi_cli.data.windows import Windows

if TYPE_CHECKING:
    from tagi_cli.data.encoder import Encoder

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

LEAST_OF_WINDOW = 0.1
"""The unit of targets is at least this fraction of the standard deviation of their window."""

LEAST_OF_SERIES = 0.3
"""It is at least this fraction of what is usual in the series, so that targets after a stretch
without change do not come out huge and outweigh all others."""

LEAST_UNIT = 1e-6
"""Unit of the targets of a series that never changed, as a fraction of their level."""

_BLOCK = 1 << 21
"""Values of windows that are looked at together."""


def seasonal_change(
    values: Floats,
    slices: Rows,
    codes: Rows,
    groups: int,
    lag: int,
    counts: NDArray[np.bool_],
    power: int,
) -> Floats:
    """`(groups,)` how much series differ from themselves a season before; 0 where nothing is known.

    Args:
        values: `(N,)` rows of all series in order, NaN where missing.
        slices: `(N,)` number of the slice of each row; no difference reaches over two.
        codes: `(N,)` number of the series.
        groups: of series.
        lag: rows in a season.
        counts: `(N,)` rows whose difference to the season before counts.
        power: 1 for the mean absolute difference, 2 for the root mean square.
    """
    if len(values) <= lag:
        return np.zeros(groups)
    difference = np.abs(values[lag:] - values[:-lag])
    good = (slices[lag:] == slices[:-lag]) & counts[lag:] & ~np.isnan(difference)
    at = codes[lag:][good]
    total = np.bincount(at, difference[good] ** power, groups)
    count = np.bincount(at, minlength=groups)
    return np.asarray((total / np.maximum(count, 1)) ** (1 / power))


class Referenced(NamedTuple):
    """Scalers of n windows with H targets each.

    Attributes:
        center: `(n,)` of the inputs.
        scale: `(n,)` of the inputs.
        reference: `(n, H)` what targets count from.
        unit: `(n,)` of the targets; 0 where nothing ever changed.
    """

    center: Floats
    scale: Floats
    reference: Floats
    unit: Floats


def referenced(values: Floats, lag: int, steps: Rows, usual: Floats) -> Referenced:
    """Scale windows by their last season, and their targets by how seasons differ in them.

    Inputs are centred on the mean of the last season and divided by their standard deviation, or by
    `FLAT` where that is less. A target counts from the value of the same place in the last season
    (of the last value, where `lag` is 1), in units of the root mean square difference from season
    to season within the window, with the floors above.

    Args:
        values: `(n, T)` of a column, in units of the series' standard deviation; NaN is unknown.
        lag: rows in a season, at most T.
        steps: `(H,)` how many rows each target lies behind the last row of the window, from 1.
        usual: `(n,)` root mean square difference from season to season in the series.
    """
    values = values.astype(np.float64)
    T = values.shape[1]
    mean = _mean(values)
    season = _mean(values[:, T - lag :])
    center = np.where(np.isnan(season), mean, season)
    sd = np.sqrt(_mean((values - mean[:, None]) ** 2))
    change = _mean((values[:, lag:] - values[:, :-lag]) ** 2) if lag < T else np.zeros(len(sd))
    unit = np.maximum(np.sqrt(np.nan_to_num(change)), LEAST_OF_WINDOW * sd)
    unit = np.maximum(unit, LEAST_OF_SERIES * usual)
    reference = last_season(values, lag)[:, (steps - 1) % lag]
    reference = np.where(np.isnan(reference), center[:, None], reference)
    return Referenced(center, np.maximum(sd, FLAT), reference, unit)


def last_season(values: Floats, lag: int) -> Floats:
    """`(n, lag)` the last known value of each place of the season in windows `(n, T)`."""
    T = values.shape[1]
    found = np.full((len(values), lag), np.nan)
    for begin in range(T - lag, -lag, -lag):
        own = values[:, max(begin, 0) : begin + lag]
        part = found[:, max(-begin, 0) :]
        part[:] = np.where(np.isnan(part), own, part)
    return found


def _mean(values: Floats) -> Floats:
    """Mean of the known values of each row; NaN where there are none."""
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


class ScaledWindows(NamedTuple):
    """Windows as the network sees them, and how targets translate.

    Attributes:
        windows: with their own scalers, if they have some.
        center: `(1 or n, K)`, or `(n, T_out * K)` where each step has its own.
        scale: of the same shape.
        still: `(n, T_out * K)` targets of series that never changed, which teach nothing; None
            where there cannot be any.
    """

    windows: Windows
    center: Floats
    scale: Floats
    still: NDArray[np.bool_] | None = None


def by_reference(
    encoder: Encoder,
    plain: Windows,
    known: NDArray[Any],
    scalers: Mapping[str, SeriesScaler],
    targets: tuple[Floats, Floats],
    usual: Mapping[str, Floats],
) -> ScaledWindows:
    """Windows and their targets, scaled as `referenced` says.

    Args:
        encoder: of windows, with a reference.
        plain: n windows of rows scaled by series.
        known: the rows of `plain`, with NaN in padding.
        scalers: by column, of the series of each window.
        targets: centre and scale of all targets, `(1 or n, K)`, for those that have no reference.
        usual: by column, `(n,)` change from season to season in the series; none where unknown.
    """
    windowing = encoder.windowing
    assert windowing is not None
    assert windowing.reference is not None
    n, (T_out, K) = len(plain), encoder.output_shape
    middle = np.zeros((n, known.shape[1]), plain.dtype)
    spread = np.ones_like(middle)
    center, scale = (np.tile(np.broadcast_to(one, (n, K)), (1, T_out)) for one in targets)
    still = np.zeros(center.shape, dtype=bool)
    lag, steps = windowing.reference, windowing.chunks.steps_ahead
    size = max(1, _BLOCK // plain.length)
    for name in windowing.by_window:
        feature, scaler = encoder.features.index(name), scalers[name]
        outer, level = scaler.scale, scaler.center
        most = usual[name] / outer if name in usual else np.zeros(n)
        for first in range(0, n, size):
            rows = slice(first, first + size)
            column = Windows(known[:, [feature]], plain.starts[rows], plain.length)
            found = referenced(np.asarray(column)[..., 0], lag, steps, most[rows])
            middle[rows, feature], spread[rows, feature] = found.center, found.scale
            if name not in encoder.outputs or not windowing.scales_targets:
                continue
            own = slice(encoder.outputs.index(name), None, K)
            center[rows, own] = level[rows, None] + outer[rows, None] * found.reference
            least = LEAST_UNIT * np.maximum(np.abs(level[rows]), LEAST_UNIT)
            unit = np.where(found.unit > 0, outer[rows] * found.unit, least)
            scale[rows, own] = unit[:, None]
            still[rows, own] = found.unit[:, None] <= 0
    shown = Windows(plain.rows, plain.starts, plain.length, middle, spread)
    return ScaledWindows(shown, center, scale, still)
