"""Smoothed series drawn along time: the numbers kept for it, the figures, and the report's part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagi_cli.experiment.folder import RunFolder, read_json
from tagi_cli.experiment.report import markup
from tagi_cli.experiment.report.figures import (
    BAND,
    DATA,
    GRID,
    INNER,
    MODEL,
    MUTED,
    Figure,
    draw,
    plain,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tagi_cli.experiment.predictions import Predictions

NUMBERS = "smoothed.json"
"""File in figures/ with the numbers behind these figures."""

SERIES_DRAWN, OUTPUTS_DRAWN = 4, 3
"""Series and outputs with a figure of their own; of more, the first ones."""

POINTS_DRAWN = 600
"""Rows of a series that are drawn; of longer ones, those round the longest missing stretch."""

_QUANTILES = {"lo_90": 0.05, "lo_50": 0.25, "hi_50": 0.75, "hi_90": 0.95}
_COLUMNS = ("y", "mu", *_QUANTILES, "sd_epistemic", "sd_noise")

# For the legend, above what is drawn.
_ROOM = 0.22

Rows = NDArray[np.int64]


def drawn_series(law: Predictions) -> list[dict[str, Any]]:
    """JSON-able numbers for the figures, one mapping for each series and output that is drawn.

    `name` of the output, `series`, `rows` in all, `time` (numbers, or texts in ISO 8601), `y` (null
    where missing), `mu`, `lo_90`, `lo_50`, `hi_50`, `hi_90`, `sd_epistemic`, `sd_noise`; where a
    series is cut, a row of nulls.
    """
    assert law.places.index is not None
    return [
        _numbers(law, k, law.places.index[:, 0] == code, law.places.series[code])
        for code in np.unique(law.places.index[:, 0])[:SERIES_DRAWN].tolist()
        for k in range(min(len(law.names), OUTPUTS_DRAWN))
    ]


def _numbers(law: Predictions, k: int, chosen: NDArray[np.bool_], series: str) -> dict[str, Any]:
    """The numbers of one output of one series."""
    points = np.flatnonzero(chosen)
    example, step, place = _rows(law, points)
    y = np.full(len(place), np.nan) if law.y is None else law.y[example, step * len(law.names) + k]
    rows, shown = len(place), _stretch(np.isnan(y))
    example, step, place, y = example[shown], step[shown], place[shown], y[shown]
    one, column = law.take(example), step * len(law.names) + k
    at = np.arange(len(example))
    values = {"y": y, "mu": one.mean[at, column]}
    values |= {name: one.quantile(p)[at, column] for name, p in _QUANTILES.items()}
    values |= {name: getattr(one, name)[at, column] for name in ("sd_epistemic", "sd_noise")}
    time: NDArray[Any] = place
    if law.places.time is not None and len(law.steps) == 1:
        time = law.places.time[example]
    breaks = np.flatnonzero(np.diff(one.places.index[:, 1])) + 1  # type: ignore[index]
    cut = {name: np.insert(column, breaks, np.nan) for name, column in values.items()}
    time = np.insert(time, breaks, time[breaks])
    return {
        "name": law.names[k],
        "series": series,
        "rows": rows,
        "time": [str(t) for t in time] if time.dtype.kind == "M" else time.tolist(),
        **{name: [_short(value) for value in column] for name, column in cut.items()},
    }


def _rows(law: Predictions, points: Rows) -> tuple[Rows, Rows, Rows]:
    """Each row of a series once: example, step and place, in order of slices and places.

    Where windows of several steps overlap, the least step is taken.
    """
    assert law.places.index is not None
    steps = np.arange(len(law.steps))
    example, step = (a.ravel() for a in np.meshgrid(points, steps, indexing="ij"))
    if law.lengths is not None:
        there = step < law.lengths[example]
        example, step = example[there], step[there]
    piece, place = law.places.index[example, 1], law.places.index[example, 2]
    place = place + np.asarray(law.steps)[step]
    order = np.lexsort((step, place, piece))
    example, step, piece, place = (a[order] for a in (example, step, piece, place))
    first = np.append(True, (np.diff(place) != 0) | (np.diff(piece) != 0))
    return example[first], step[first], place[first]


def _stretch(missing: NDArray[np.bool_]) -> slice:
    """The rows to draw."""
    n = len(missing)
    if n <= POINTS_DRAWN:
        return slice(n)
    begin, end = max(missing_stretches(missing), key=lambda ends: ends[1] - ends[0], default=(n, n))
    first = min(max((begin + end - POINTS_DRAWN) // 2, 0), n - POINTS_DRAWN)
    return slice(first, first + POINTS_DRAWN)


def missing_stretches(missing: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First rows of stretches of missing values, and the rows behind them."""
    change = np.flatnonzero(np.diff(np.concatenate([[False], missing, [False]])))
    return list(zip(change[::2].tolist(), change[1::2].tolist(), strict=True))


def _short(value: float) -> float | None:
    return None if np.isnan(value) else float(f"{value:.7g}")


class Section(NamedTuple):
    """What a report shows of smoothed series: nothing where there are none."""

    figures: list[Figure]
    html: str


def section(folder: RunFolder) -> Section:
    """The figures of a run's smoothed series, and the part of its report.

    Raises:
        UserError: the numbers cannot be read.
    """
    path = folder.figures / NUMBERS
    if not path.is_file():
        return Section([], "")
    numbers = read_json(path)
    series = numbers["series"]
    drawn = [figure for place, one in enumerate(series, 1) for figure in drawn_of(place, one)]
    more = ""
    if numbers["drawable"] > len(series):
        more = f" {len(series)} of {numbers['drawable']} series and outputs are drawn."
    text = (
        '<p class="lead">What is known of each row given all observations of its series, those '
        f"before it and those after it: {numbers['values']:,} values, of which "
        f"{numbers['observed']:,} are observed. Of {numbers['state_variances']:,} variances of "
        f"states, {numbers['negative_variances']:,} came out negative and were set to zero."
        f"{more}</p>"
    )
    return Section(drawn, f"<h2>Smoothed series</h2>{text}{markup.gallery(drawn)}")


def drawn_of(place: int, numbers: Mapping[str, Any]) -> list[Figure]:
    """The two figures of one output of one series, from `drawn_series`."""
    name, series = plain(numbers["name"], 24), plain(numbers["series"], 24)
    label = f"{name}, {series}" if series else name
    shown = sum(value is not None for value in numbers["mu"])
    part = f" {shown:,} of {numbers['rows']:,} rows." if shown < numbers["rows"] else ""
    return [
        draw(
            f"smoothed_{place}",
            f"{label}: smoothed",
            "Mean and central 50 % and 90 % intervals of each value given the whole series; grey "
            f"where nothing is observed.{part}",
            partial(_along_time, numbers, _paint_law),
        ),
        draw(
            f"smoothed_{place}_sd",
            f"{label}: how sure",
            "Standard deviation of the network's output given the whole series, and that of the "
            f"noise of an observation.{part}",
            partial(_along_time, numbers, _paint_deviations),
        ),
    ]


Paint = Callable[["Axes", NDArray[np.float64], Mapping[str, NDArray[np.float64]]], None]


def _along_time(numbers: Mapping[str, Any], paint: Paint, axes: Axes) -> None:
    """Time below, grey where nothing is observed, and what `paint` adds."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

    time = numbers["time"]
    dates = isinstance(time[0], str)
    x = np.array(time, np.float64 if not dates else "datetime64[us]")
    if dates:
        x = np.asarray(date2num(x), np.float64)  # type: ignore[no-untyped-call]
    values = {key: np.array(numbers[key], np.float64) for key in _COLUMNS}
    steps = np.diff(x)
    half = steps[steps > 0].min() / 2 if (steps > 0).any() else 0.5
    for begin, end in missing_stretches(np.isnan(values["y"]) & ~np.isnan(values["mu"])):
        axes.axvspan(x[begin] - half, x[end - 1] + half, color=GRID, lw=0)
    paint(axes, x, values)
    axes.margins(x=0.01)
    if dates:
        locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    else:
        axes.set_xlabel("time")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + _ROOM * (high - low))
    axes.legend(loc="upper left", ncols=4, columnspacing=1.0)


def _paint_law(
    axes: Axes, x: NDArray[np.float64], values: Mapping[str, NDArray[np.float64]]
) -> None:
    axes.fill_between(x, values["lo_90"], values["hi_90"], color=BAND, lw=0, label="90 %")
    axes.fill_between(x, values["lo_50"], values["hi_50"], color=INNER, lw=0, label="50 %")
    axes.plot(x, values["mu"], color=MODEL, lw=1.2, label="mean")
    axes.plot(x, values["y"], "o", ms=1.8, color=DATA, mew=0, label="observed")
    axes.set_ylabel("value")


def _paint_deviations(
    axes: Axes, x: NDArray[np.float64], values: Mapping[str, NDArray[np.float64]]
) -> None:
    axes.plot(x, values["sd_epistemic"], color=MODEL, label="output")
    axes.plot(x, values["sd_noise"], color=MUTED, lw=1.1, ls=(0, (4, 3)), label="noise")
    axes.set_ylim(0, axes.get_ylim()[1])
    axes.set_ylabel("standard deviation")
