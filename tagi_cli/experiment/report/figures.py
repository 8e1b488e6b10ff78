"""The figures of a run, drawn from the numbers in figures/data.json and metrics.csv.

matplotlib is imported by the first function that draws, its object interface is used without
pyplot, and its settings are changed within a context only.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import binom

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
        axes.set_title(title, loc="left", pad=11)
        paint(axes)
        _make_room(axes)
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


def _make_room(axes: Axes) -> None:
    """Shrink the axes until long tick labels and what stands above them are on the canvas."""
    canvas = axes.get_figure(root=True)
    assert canvas is not None
    drawn = axes.get_tightbbox()
    assert drawn is not None
    width, height = canvas.bbox.width, canvas.bbox.height
    left = max(0.0, _EDGE - drawn.x0 / width)
    right = max(0.0, drawn.x1 / width - 1 + _EDGE)
    top = max(0.0, drawn.y1 / height - 1 + _EDGE)
    x, y, w, h = _PLACE
    axes.set_position((x + left, y, w - left - right, h - top))


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
    for metric, label, words in (
        ("nll", "NLL", "Negative log-likelihood per value; lower is better."),
        ("rmse", "RMSE", "Root mean squared error in the units of the data."),
        ("error_rate", "error rate", "Share of rows taken for another class."),
    ):
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
            axes.legend(loc="upper right")

        caption = f"{words} Training values are taken before each batch is learnt"
        mark = f"; the dashed line marks epoch {kept}, which was kept." if kept is not None else "."
        drawn.append(draw(f"learning_{metric}", f"{label} by epoch", caption + mark, paint))
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


def of_output(stem: str, numbers: Mapping[str, Any]) -> list[Figure]:
    """The six figures of one output, from `diagnostics.diagnose`; `stem` begins their names."""
    name, n = plain(numbers["name"], 24), numbers["observed"]
    shown = len(numbers["scatter"]["y"])
    sampled = f" {shown:,} of {n:,} values are drawn." if shown < n else ""
    in_band = len(numbers["band"]["y"])
    spread = f" {in_band} of {n:,} rows, evenly spread." if in_band < n else ""
    chance = "The shaded zone holds 95 % of what chance alone would give."
    parts: list[tuple[str, str, str, Callable[[Mapping[str, Any], Axes], None]]] = [
        (
            "band",
            f"{name}: intervals",
            "Rows in the order of their predicted mean, with central 50 % and 90 % intervals; "
            f"values outside the 90 % interval are marked.{spread}",
            _paint_band,
        ),
        (
            "scatter",
            f"{name}: predictions",
            f"On the diagonal the prediction is exact; bars are 90 % intervals.{sampled}",
            _paint_scatter,
        ),
        (
            "coverage",
            f"{name}: coverage",
            f"Share of values inside the central interval of each level. {chance} Below the "
            "diagonal intervals are too narrow, above it too wide.",
            _paint_coverage,
        ),
        (
            "pit",
            f"{name}: PIT histogram",
            f"Where the values fall within their predicted laws. {chance} Flat is calibrated, a "
            "U too sure, a hump not sure enough, a slope biased.",
            _paint_pit,
        ),
        (
            "residuals",
            f"{name}: residuals",
            f"Residuals over their predicted standard deviation.{sampled} Nine in ten should lie "
            "between the lines, without a pattern.",
            _paint_residuals,
        ),
        (
            "spread",
            f"{name}: size of errors",
            "Rows in groups of equal size by predicted standard deviation: the root mean squared "
            "error of each should follow the diagonal. Epistemic uncertainty is "
            f"{100 * numbers['epistemic_share']:.0f} % of the predictive variance.",
            _paint_spread,
        ),
    ]
    return [
        draw(f"{stem}_{part}", title, caption, partial(paint, numbers))
        for part, title, caption, paint in parts
    ]


def _paint_band(numbers: Mapping[str, Any], axes: Axes) -> None:
    band = {key: np.asarray(values) for key, values in numbers["band"].items()}
    x = np.arange(len(band["y"]))
    axes.fill_between(x, band["lo_90"], band["hi_90"], color=BAND, lw=0, step="mid", label="90 %")
    axes.fill_between(x, band["lo_50"], band["hi_50"], color=INNER, lw=0, step="mid", label="50 %")
    axes.plot(x, band["mu"], color=MODEL, lw=1.3, label="mean")
    inside = (band["y"] >= band["lo_90"]) & (band["y"] <= band["hi_90"])
    axes.plot(x[inside], band["y"][inside], "o", ms=2.6, color=DATA, mew=0, label="observed")
    axes.plot(x[~inside], band["y"][~inside], "D", ms=3.4, color=ALARM, mew=0, label="outside")
    axes.set_xlabel("rows by predicted mean")
    axes.set_ylabel(plain(numbers["name"], 30))
    axes.set_xticks([])
    axes.grid(visible=False, axis="x")
    axes.legend(loc="upper left", ncols=2, columnspacing=1.0)


def _paint_scatter(numbers: Mapping[str, Any], axes: Axes) -> None:
    data = {key: np.asarray(values) for key, values in numbers["scatter"].items()}
    inside = (data["y"] >= data["lo_90"]) & (data["y"] <= data["hi_90"])
    low = min(data["y"].min(), data["mu"].min())
    high = max(data["y"].max(), data["mu"].max())
    margin = 0.05 * (high - low) or 1.0
    axes.vlines(data["mu"], data["lo_90"], data["hi_90"], color=BAND, lw=0.8)
    axes.plot([low, high], [low, high], color=MUTED, lw=1.0)
    axes.plot(data["mu"][inside], data["y"][inside], "o", ms=2.6, color=MODEL, mew=0)
    axes.plot(data["mu"][~inside], data["y"][~inside], "D", ms=3.2, color=ALARM, mew=0)
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(low - margin, high + margin)
    axes.set_xlabel("predicted mean")
    axes.set_ylabel("observed")


def _paint_coverage(numbers: Mapping[str, Any], axes: Axes) -> None:
    nominal, observed = (np.asarray(numbers["coverage"][key]) for key in ("nominal", "observed"))
    n = numbers["observed"]
    level = np.linspace(0, 1, 101)
    low, high = binom.ppf(0.025, n, level) / n, binom.ppf(0.975, n, level) / n
    axes.fill_between(100 * level, 100 * low, 100 * high, color=GRID, lw=0)
    axes.plot([0, 100], [0, 100], color=MUTED, lw=1.0)
    axes.plot(100 * nominal, 100 * observed, "-o", ms=3.4, mew=0, color=MODEL)
    at_90 = int(np.argmin(np.abs(nominal - 0.9)))
    share = f"{100 * observed[at_90]:.0f} % of values\nin the 90 % interval"
    axes.text(97, 5, share, ha="right", color=INK, linespacing=1.4)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    axes.set_xlabel("level of the interval (%)")
    axes.set_ylabel("values inside (%)")


def _paint_pit(numbers: Mapping[str, Any], axes: Axes) -> None:
    edges, counts = (np.asarray(numbers["pit"][key]) for key in ("edges", "counts"))
    n, bins = counts.sum(), len(counts)
    low, high = binom.ppf(0.025, n, 1 / bins) / n * bins, binom.ppf(0.975, n, 1 / bins) / n * bins
    axes.bar(edges[:-1], counts / n * bins, np.diff(edges), align="edge", color=INNER, ec=PAPER)
    axes.axhspan(low, high, color=MUTED, alpha=0.18, lw=0)
    axes.axhline(1, color=MUTED, lw=1.0)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, max(1.35 * high, 1.08 * counts.max() / n * bins))
    axes.set_xlabel("predicted probability of a smaller value")
    axes.set_ylabel("density")
    axes.grid(visible=False, axis="x")


def _paint_residuals(numbers: Mapping[str, Any], axes: Axes) -> None:
    mu, z = (np.asarray(numbers["scatter"][key]) for key in ("mu", "standardised"))
    limit = float(np.clip(1.12 * np.abs(z).max(), 3, 6))
    beyond = np.abs(z) > limit
    axes.axhspan(-1.645, 1.645, color=GRID, alpha=0.6, lw=0)
    axes.axhline(0, color=MUTED, lw=1.0)
    outside = (np.abs(z) > 1.645) & ~beyond
    axes.plot(mu[np.abs(z) <= 1.645], z[np.abs(z) <= 1.645], "o", ms=2.6, color=MODEL, mew=0)
    axes.plot(mu[outside], z[outside], "D", ms=3.2, color=ALARM, mew=0)
    axes.plot(
        mu[beyond],
        np.sign(z[beyond]) * 0.97 * limit,
        "^",
        ms=4.5,
        color=ALARM,
        mew=0,
        clip_on=False,
    )
    if beyond.any():
        axes.text(
            0.99, 0.02, f"{beyond.sum()} beyond ±{limit:.1f}", transform=axes.transAxes, ha="right",
            color=ALARM,
        )  # fmt: skip
    axes.set_ylim(-limit, limit)
    axes.set_xlabel("predicted mean")
    axes.set_ylabel("residual / predicted sd")


def _paint_spread(numbers: Mapping[str, Any], axes: Axes) -> None:
    predicted, seen = (np.asarray(numbers["spread"][key]) for key in ("predicted", "seen"))
    rows = np.asarray(numbers["spread"]["rows"])
    high = 1.1 * max(predicted.max(), seen.max()) or 1.0
    # The relative standard error of a root mean square of Gaussian errors is 1/sqrt(2 rows).
    half = 1.96 * predicted / np.sqrt(2 * rows)
    axes.fill_between(predicted, predicted - half, predicted + half, color=GRID, lw=0)
    axes.plot([0, high], [0, high], color=MUTED, lw=1.0)
    axes.plot(predicted, seen, "o", ms=5, color=MODEL, mew=0)
    axes.set_xlim(0, high)
    axes.set_ylim(0, high)
    axes.set_xlabel("predicted standard deviation")
    axes.set_ylabel("root mean squared error")
