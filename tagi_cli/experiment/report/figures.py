"""The figures of a run, drawn from the numbers in figures/data.json and metrics.csv.

matplotlib is imported by the first function that draws, its object interface is used without
pyplot, and its settings are changed within a context only.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

INK, MUTED, GRID, PAPER = "#1b2127", "#5c6670", "#e4e8eb", "#ffffff"
# Blue and vermilion of the Okabe-Ito palette stay apart under every form of colour blindness.
MODEL, BAND, INNER, DATA, ALARM = "#0072b2", "#cfe3f1", "#94c3e2", "#1b2128", "#d55e00"
COLOURS = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    PAPER: "card",
    MODEL: "model",
    BAND: "band",
    INNER: "inner",
    DATA: "data",
    ALARM: "alarm",
}
"""Each colour drawn, by the name of the CSS variable that replaces it inside the report."""

_SIZE = (4.2, 3.1)
_PLACE = (0.15, 0.155, 0.805, 0.72)
_EDGE = 0.01

Curves = Sequence[Mapping[str, float | str | None]]


_METRICS = (
    ("nll", "NLL", "Negative log-likelihood per value; lower is better."),
    ("rmse", "RMSE", "Root mean squared error in the units of the data."),
    ("error_rate", "error rate", "Share of rows taken for another class."),
)


@dataclass(frozen=True)
class Figure:
    """One drawn figure: file stem, title, what it shows in words, and its two renderings."""

    name: str
    title: str
    caption: str
    svg: str
    png: bytes


def draw(name: str, title: str, caption: str, paint: Callable[[Axes], None]) -> Figure:
    """A figure with one pair of axes, painted by `paint`."""
    from matplotlib.figure import Figure as Canvas

    with _style(name):
        canvas = Canvas(figsize=_SIZE)
        axes = canvas.add_axes(_PLACE)
        heading = axes.set_title(title, loc="left", pad=11)
        paint(axes)
        _make_room(axes, heading)
        svg, png = _rendered(canvas)
    return Figure(name, title, caption, svg, png)


def draw_panels(
    name: str, title: str, caption: str, paints: Sequence[Callable[[Axes], None]]
) -> Figure:
    """A figure with a pair of axes for each of `paints`, two side by side."""
    from matplotlib.figure import Figure as Canvas

    columns = min(2, len(paints))
    rows = -(-len(paints) // columns)
    with _style(name):
        canvas = Canvas(figsize=(_SIZE[0] * columns, _SIZE[1] * rows), layout="constrained")
        for place, paint in enumerate(paints, 1):
            paint(canvas.add_subplot(rows, columns, place))
        svg, png = _rendered(canvas)
    return Figure(name, title, caption, svg, png)


def _rendered(canvas: Any) -> tuple[str, bytes]:
    """As SVG and PNG, the same each time."""
    svg, png = io.StringIO(), io.BytesIO()
    canvas.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    canvas.savefig(png, format="png", dpi=160, metadata={"Software": None})
    return svg.getvalue(), png.getvalue()


def _make_room(axes: Axes, heading: Text) -> None:
    """Shrink the axes, and the title, until all that is written is on the canvas."""
    canvas = axes.get_figure(root=True)
    assert canvas is not None
    _fit(heading, canvas.bbox.width * (1 - _EDGE - _PLACE[0]))
    drawn = axes.get_tightbbox()
    assert drawn is not None
    width, height = canvas.bbox.width, canvas.bbox.height
    left = max(0.0, _EDGE - drawn.x0 / width)
    right = max(0.0, drawn.x1 / width - 1 + _EDGE)
    top = max(0.0, drawn.y1 / height - 1 + _EDGE)
    x, y, w, h = _PLACE
    axes.set_position((x + left, y, w - left - right, h - top))
    _fit(heading, width * (1 - _EDGE - x - left))


def _fit(heading: Text, room: float) -> None:
    """Set a heading smaller where it is wider than so many pixels."""
    # Widths of glyphs are rounded, so that they are not in proportion to the size.
    size = float(heading.get_fontsize())
    while heading.get_window_extent().width > room and size > 1:
        size -= 0.25
        heading.set_fontsize(size)


@contextmanager
def _style(salt: str) -> Iterator[None]:
    import matplotlib

    settings: Any = {
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 9,
        "text.color": INK,
        # A column named "$x" is a name, not mathematics.
        "text.parse_math": False,
        "axes.titlesize": 9.5,
        "axes.titleweight": "bold",
        "axes.facecolor": PAPER,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": MUTED,
        "axes.linewidth": 0.7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.formatter.useoffset": False,
        "axes.formatter.limits": (-3, 5),
        "grid.color": GRID,
        "grid.linewidth": 0.7,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.major.width": 0.7,
        "ytick.major.width": 0.7,
        "xtick.major.size": 3,
        "ytick.major.size": 3,
        "lines.linewidth": 1.6,
        "lines.solid_capstyle": "round",
        "legend.facecolor": PAPER,
        "legend.framealpha": 0.85,
        "legend.edgecolor": "none",
        "legend.fancybox": False,
        "legend.fontsize": 8.5,
        "legend.handlelength": 1.4,
        "figure.facecolor": PAPER,
        "svg.fonttype": "none",
        # Ids of one drawing must not meet those of another inside the same page.
        "svg.hashsalt": salt,
    }
    with matplotlib.rc_context(settings):
        yield


def plain(name: str, most: int = 40) -> str:
    """A name of the user's as one short line of printable text."""
    line = "".join(mark if mark.isprintable() else " " for mark in name)
    return line if len(line) <= most else line[: most - 1] + "…"


def learning(curves: Curves, kept: int | None) -> list[Figure]:
    """Learning curves: negative log-likelihood, and size or rate of errors, by epoch.

    Args:
        curves: one mapping per epoch with `epoch` and, where known, `train_<m>`, `valid_<m>`.
        kept: epoch whose network was kept; None draws no mark.
    """
    from matplotlib.ticker import MaxNLocator

    drawn = []
    for metric, label, words in _METRICS:
        lines = {
            part: _curve(curves, f"{part}_{metric}")
            for part in ("train", "valid")
            if any(row.get(f"{part}_{metric}") is not None for row in curves)
        }
        if not lines:
            continue

        def paint(axes: Axes, lines: dict[str, Any] = lines, label: str = label) -> None:
            looks = {"train": (MUTED, "training rows"), "valid": (MODEL, "validation rows")}
            for part, (epoch, value) in lines.items():
                colour, legend = looks[part]
                marker = "o" if len(epoch) < 2 else None
                axes.plot(epoch, value, marker=marker, color=colour, label=legend)
            if kept is not None:
                axes.axvline(kept, color=ALARM, lw=1.1, ls=(0, (4, 3)), label=f"kept: epoch {kept}")
            _set_range(axes, [value for _, value in lines.values()])
            axes.set_xlabel("epoch")
            axes.set_ylabel(label)
            axes.xaxis.set_major_locator(MaxNLocator(7, integer=True, steps=[1, 2, 5, 10]))
            # Where it hides neither the curves nor the mark.
            axes.legend(loc="best")

        caption = f"{words} Training values are taken before each batch is learnt"
        mark = f"; the dashed line marks epoch {kept}, which was kept." if kept is not None else "."
        drawn.append(draw(f"learning_{metric}", f"{label} by epoch", caption + mark, paint))
    return drawn


def one_pass(points: Sequence[Mapping[str, float | None]]) -> list[Figure]:
    """The course of a single pass: metrics of the rows between two points, each predicted before it
    is learnt.

    Args:
        points: `rows` learnt by then, and metrics of those since the point before.
    """
    drawn = []
    for metric, label, words in _METRICS:
        known = [(one["rows"], one[metric]) for one in points if one.get(metric) is not None]
        if len(known) < 2:
            continue

        def paint(axes: Axes, known: list[Any] = known, label: str = label) -> None:
            rows, values = zip(*known, strict=True)
            axes.plot(rows, values, "-o", ms=2.6, mew=0, color=MODEL)
            _set_range(axes, [values])
            axes.set_xlim(left=0)
            axes.set_xlabel("rows learnt")
            axes.set_ylabel(label)

        caption = f"{words} Each point is of the rows since the last, before they were learnt."
        drawn.append(draw(f"prequential_{metric}", f"{label} along the rows", caption, paint))
    return drawn


def _curve(curves: Curves, key: str) -> tuple[list[float], list[float]]:
    points = [(row["epoch"], row[key]) for row in curves if row.get(key) is not None]
    return [float(e or 0) for e, _ in points], [float(v or 0) for _, v in points]


def _set_range(axes: Axes, lines: Sequence[Sequence[float]]) -> None:
    """Keep the first epochs of a steep curve from flattening all others."""
    settled = np.concatenate([np.asarray(line[len(line) // 10 :]) for line in lines])
    settled = settled[np.isfinite(settled)]
    if settled.size < 2:
        return
    low, high = settled.min(), settled.max()
    top = max(high, np.quantile(settled, 0.75) + 3 * (np.quantile(settled, 0.75) - low))
    margin = 0.06 * (top - low) or 0.5
    axes.set_ylim(low - margin, top + margin)
