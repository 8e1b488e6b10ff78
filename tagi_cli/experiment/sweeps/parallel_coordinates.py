"""Parallel coordinates: each run a line through its options, to the metric that ranks them."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tagi_cli.experiment.report.figures import (
    ALARM,
    BAND,
    INK,
    MODEL,
    MUTED,
    PAPER,
    Figure,
    draw,
    plain,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "parallel_coordinates"
MOST_AXES = 9
"""Options drawn at most; the first ones."""

_FEW = 7
_LOG_FROM = 20.0
_FAR = 4.0
_ABSENT = -0.13
_APART = 0.035

Cell = str | float | int | None


@dataclass(frozen=True)
class Axis:
    """One coordinate.

    Attributes:
        name: of the option or metric.
        heights: per run, between 0 and 1; below 0 where it has no value.
        ticks: height and label each.
    """

    name: str
    heights: Sequence[float]
    ticks: Sequence[tuple[float, str]]


def parallel_coordinates(
    names: Sequence[str], rows: Sequence[Sequence[Cell]], metric: str
) -> Figure:
    """Draw runs as lines, darker where they are better; the first, the best one, stands out.

    Args:
        names: of the options.
        rows: per run, best first: the values of the options, then that of the metric, a number.
        metric: its name.
    """
    kept = list(names)[:MOST_AXES]
    columns = [[row[i] for row in rows] for i in range(len(kept))]
    axes = [coordinate(name, column) for name, column in zip(kept, columns, strict=True)]
    axes.append(coordinate(metric, [row[-1] for row in rows], clip=True))
    left_out = f", the first {len(kept)} of {len(names)} options" if len(kept) < len(names) else ""
    return draw(
        NAME,
        f"{len(rows)} runs, darker the better their {metric}{left_out}",
        f"One line per run, darker the better its {metric}; the best one in vermilion.",
        lambda canvas: _paint(canvas, axes, len(rows)),
    )


def coordinate(name: str, values: Sequence[Cell], clip: bool = False) -> Axis:
    """Where values stand on an axis of their own.

    Numbers that span more than a factor 20 stand on a logarithmic scale, texts at equal distances.

    Args:
        name: of the axis.
        values: one per run; None where the run has no such option.
        clip: whether values far beyond the others, such as those of runs that diverged, stand at
            the end of the axis.
    """
    known = [value for value in values if value is not None]
    numeric = known and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in known
    )
    place = _Numbers(known, clip) if numeric else _Words(known)
    heights = [_ABSENT if value is None else place(value) for value in values]
    ticks: list[tuple[float, str]] = []
    for tick in sorted(place.ticks()):
        if not ticks or tick[0] - ticks[-1][0] >= _APART:
            ticks.append(tick)
    if len(known) < len(values):
        ticks = [(_ABSENT, "none"), *ticks]
    return Axis(name, heights, ticks)


class _Words:
    def __init__(self, values: Sequence[Any]) -> None:
        self._order = sorted({_text(value) for value in values})
        # Of paths, what they differ in.
        self._said_by_all = 0
        if all(text.startswith("/") for text in self._order):
            folder = os.path.commonpath([os.path.dirname(text) for text in self._order])
            self._said_by_all = len(folder.rstrip("/")) + 1

    def __call__(self, value: Any) -> float:
        return _between(self._order.index(_text(value)), 0, len(self._order) - 1)

    def ticks(self) -> list[tuple[float, str]]:
        return [(self(text), plain(text[self._said_by_all :], 18)) for text in self._order]


class _Numbers:
    def __init__(self, values: Sequence[Any], clip: bool) -> None:
        found = np.unique(np.asarray(values, dtype=float))
        self._low, self._high = float(found[0]), float(found[-1])
        self._clipped = ""
        if clip:
            quarter, three = np.quantile(np.asarray(values, dtype=float), (0.25, 0.75))
            reach = _FAR * (three - quarter)
            if reach > 0 and self._high > three + reach:
                self._high, self._clipped = float(found[found <= three + reach][-1]), "≥ "
        self._values = [float(value) for value in found if value <= self._high]
        self._whole = all(isinstance(value, int) for value in values)
        self._log = not clip and self._low > 0 and self._high / self._low > _LOG_FROM

    def __call__(self, value: Any) -> float:
        low, high, at = self._low, self._high, min(float(value), self._high)
        if self._log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return _between(at, low, high)

    def ticks(self) -> list[tuple[float, str]]:
        shown = self._values
        if len(shown) > _FEW:
            space = np.geomspace if self._log else np.linspace
            shown = [float(value) for value in space(self._low, self._high, 5)]
            if self._whole:
                shown = [float(round(value)) for value in shown]
        last = len(shown) - 1
        return [
            (self(value), f"{self._clipped if i == last else ''}{value:.3g}")
            for i, value in enumerate(shown)
        ]


def _between(value: float, low: float, high: float) -> float:
    return 0.5 if high == low else (value - low) / (high - low)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _paint(canvas: Axes, axes: Sequence[Axis], runs: int) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    figure = canvas.get_figure(root=True)
    assert figure is not None
    figure.set_size_inches(1.9 + 1.35 * len(axes), 4.2)
    shades = LinearSegmentedColormap.from_list("runs", [MODEL, BAND])
    places = range(len(axes))
    for run in reversed(range(runs)):
        best = run == 0
        canvas.plot(
            places,
            [axis.heights[run] for axis in axes],
            color=ALARM if best else shades(run / max(1, runs - 1)),
            linewidth=2.4 if best else 1.2,
            marker="o" if best else None,
            markersize=4.5,
            clip_on=False,
            zorder=4 if best else 2,
        )
    box = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.8, "pad": 0.6}
    for place, axis in zip(places, axes, strict=True):
        canvas.plot([place, place], [0, 1], color=MUTED, linewidth=0.9, zorder=3, clip_on=False)
        last = place == len(axes) - 1
        for height, label in axis.ticks:
            canvas.annotate(
                label, (place, height), (6 if last else -5, 0), textcoords="offset points",
                fontsize=7.5, color=INK, ha="left" if last else "right", va="center", bbox=box,
                zorder=5, annotation_clip=False,
            )  # fmt: skip
        # Names of neighbours stand at two levels, so that long ones have room.
        canvas.annotate(
            plain(axis.name, 26), (place, 0), (0, -34 - 12 * (place % 2)), fontsize=8.5,
            textcoords="offset points", color=INK, ha="center", va="top", weight="bold",
            annotation_clip=False,
        )  # fmt: skip
    canvas.set_xlim(-0.3, len(axes) - 0.6)
    # Below the axes there is room for runs without a value, and for the names in any case.
    canvas.set_ylim(_ABSENT, 1.02)
    canvas.set_axis_off()
