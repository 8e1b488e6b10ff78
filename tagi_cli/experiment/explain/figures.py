"""An explanation drawn: bars with what is not known of them, and of windows a map over lags."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tagi_cli import atomic
from tagi_cli.experiment.folder import RunFolder, read_json
from tagi_cli.experiment.report import markup
from tagi_cli.experiment.report.figures import (
    ALARM,
    DATA,
    MODEL,
    MUTED,
    PAPER,
    Figure,
    draw,
    draw_panels,
    plain,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOLDER, NUMBERS = "explanation", "data.json"
"""The folder of an explanation in that of a run, and its file with the numbers behind figures."""

OUTPUTS_DRAWN, BARS = 3, 16
"""Outputs with figures of their own, and bars in one; of more, the first and the largest."""

Numbers = Mapping[str, Any]


class Section(NamedTuple):
    """What a report shows of an explanation."""

    html: str
    figures: list[Figure]


def section(folder: RunFolder) -> Section:
    """The part of the report, from the files of a run folder; empty without an explanation.

    Raises:
        UserError: the numbers cannot be read.
    """
    path = folder.path / FOLDER / NUMBERS
    if not path.is_file():
        return Section("", [])
    numbers = read_json(path)
    drawn = drawings(numbers)
    shown, outputs = min(len(numbers["outputs"]), OUTPUTS_DRAWN), len(numbers["outputs"])
    odds = " Of a class its log-odds, against the mean of the others." * bool(numbers.get("odds"))
    more = f" {shown} of {outputs} outputs are drawn." if shown < outputs else ""
    how = (
        "moments of the derivatives, propagated through the layers"
        if numbers["method"] == "derivative"
        else "cov(y, x) / var x of the network's own inference"
    )
    text = (
        f'<h2>Explanation</h2><p class="lead">On {numbers["rows"]:,} rows of '
        f"{markup.safe(numbers['of'])}: {markup.safe(how)}.{odds}{more}</p>"
    )
    return Section(text + markup.gallery(drawn), drawn)


def write(folder: Path, numbers: Numbers) -> list[Path]:
    """Draw the figures into a folder as SVG and PNG.

    Raises:
        UserError: a file cannot be written.
    """
    paths = []
    for figure in drawings(numbers):
        atomic.write_text(folder / f"{figure.name}.svg", figure.svg)
        with atomic.replacing(folder / f"{figure.name}.png") as file:
            file.write(figure.png)
        paths.append(folder / f"{figure.name}.svg")
    return paths


def drawings(numbers: Numbers) -> list[Figure]:
    """Sensitivities and shares of the first outputs."""
    drawn = []
    for place, one in enumerate(numbers["outputs"][:OUTPUTS_DRAWN], 1):
        own = f"explanation_{place}"
        drawn.append(_sensitivity(own, numbers, one))
        drawn.append(_shares(own, numbers, one))
    return drawn


def _sensitivity(stem: str, numbers: Numbers, one: Numbers) -> Figure:
    name = plain(one["name"], 30)
    slope = np.array(one["slope"], float)
    title, stem = f"Sensitivity of {name}", f"{stem}_sensitivity"
    unit = "Mean derivative in standardised units, over the rows"
    if len(slope) > 1:
        caption = f"{unit}, by column and by rows before the prediction point."
        labels = numbers["features"]
        paint = partial(_paint_map, title, slope, labels, numbers["lags"])
        return draw_panels(stem, title, caption, [paint])
    sd = np.array([np.nan if value is None else value for value in one["sd"][0]], float)
    order = np.argsort(-np.abs(slope[0]))[:BARS]
    labels = [numbers["features"][i] for i in order]
    known = not np.isnan(sd).all()
    caption = unit + ("; bars end at two standard deviations" if known else "")
    caption += _left_out(len(slope[0]), "inputs")
    paint = partial(_paint_bars, slope[0][order], 2 * sd[order] if known else None, labels)
    unit = "log-odds" if numbers.get("odds") else "output sd"
    return draw(stem, title, caption, partial(paint, f"{unit} per input sd"))


def _shares(stem: str, numbers: Numbers, one: Numbers) -> Figure:
    name, stem = plain(one["name"], 30), f"{stem}_share"
    share = np.array(one["share"], float)
    if len(share) > 1:
        caption = "Share of each lag in the variance that all inputs explain, to first order."
        return draw(
            stem, f"When the past matters to {name}", caption,
            partial(_paint_lags, share.sum(axis=1), numbers["lags"]),
        )  # fmt: skip
    order = np.argsort(-share[0])[:BARS]
    labels = [numbers["columns"][i] for i in order]
    caption = "Share of each column in the variance that all inputs explain, to first order"
    caption += _left_out(share.shape[1], "columns")
    paint = partial(_paint_bars, 100 * share[0][order], None, labels, "share, per cent")
    return draw(stem, f"What moves {name}", caption, paint)


def _left_out(count: int, what: str) -> str:
    return "." if count <= BARS else f"; the {BARS} largest of {count} {what}."


def _paint_bars(values: Any, spread: Any, labels: list[str], unit: str, axes: Axes) -> None:
    """Horizontal bars, the largest on top."""
    places = np.arange(len(values))[::-1]
    axes.barh(places, values, height=0.62, color=MODEL)
    if spread is not None:
        axes.errorbar(values, places, xerr=spread, fmt="none", ecolor=DATA, elinewidth=1.1,
                      capsize=2.5)  # fmt: skip
    if (np.asarray(values) < 0).any():
        axes.axvline(0, color=MUTED, lw=0.8)
    axes.set_yticks(places, [plain(label, 18) for label in labels])
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(unit)


def _paint_map(title: str, slope: Any, labels: list[str], lags: list[int], axes: Axes) -> None:
    """Columns by lags; blue below zero, vermilion above."""
    from matplotlib.colors import LinearSegmentedColormap

    most = float(np.abs(slope).max()) or 1.0
    colours = LinearSegmentedColormap.from_list("signed", [MODEL, PAPER, ALARM])
    order = np.argsort(-np.abs(slope).mean(axis=0))[:BARS]
    image = axes.imshow(
        slope[:, order].T, aspect="auto", cmap=colours, vmin=-most, vmax=most,
        interpolation="nearest", extent=(lags[0] - 0.5, lags[-1] + 0.5, len(order) - 0.5, -0.5),
    )  # fmt: skip
    axes.set_yticks(range(len(order)), [plain(labels[i], 18) for i in order])
    axes.grid(visible=False)
    axes.set_title(title, loc="left")
    axes.set_xlabel("rows from the prediction point")
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.colorbar(image, ax=axes, pad=0.02)


def _paint_lags(share: Any, lags: list[int], axes: Axes) -> None:
    axes.bar(lags, 100 * np.asarray(share), width=0.7, color=MODEL)
    axes.grid(visible=False, axis="x")
    axes.set_xlabel("rows from the prediction point")
    axes.set_ylabel("share, per cent")
