"""The figures of one output of a regression, drawn from the numbers in figures/data.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import binom, norm

from tagi_cli.experiment.report.figures import (
    ALARM,
    BAND,
    DATA,
    GRID,
    INK,
    INNER,
    MODEL,
    MUTED,
    PAPER,
    Figure,
    draw,
    plain,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def of_output(stem: str, numbers: Mapping[str, Any]) -> list[Figure]:
    """The figures of one output, from `diagnostics.diagnose`; `stem` begins their names."""
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
            "error of each should follow the diagonal.",
            _paint_spread,
        ),
    ]
    if "standardised" in numbers:  # not in runs of earlier versions
        parts.append(
            (
                "standardised",
                f"{name}: standardised residuals",
                f"Residuals of all {n:,} values over their predicted standard deviation, beside "
                "the density that they would have if each law were Gaussian. What lies beyond ±4 "
                "is counted in the outermost bars.",
                _paint_standardised,
            )
        )
        parts.append(
            (
                "variance",
                f"{name}: uncertainty",
                f"{100 * numbers['epistemic_share']:.0f} % of the predictive variance is "
                "epistemic: more data would take it away. The rest is noise, which no data would. "
                f"Rows as in the first figure, in the order of their predicted variance.{spread}",
                _paint_variance,
            )
        )
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
    # Whole intervals, unless a few very wide ones would flatten all the rest.
    room = 0.5 * (high - low) or 1.0
    bottom = max(min(low, data["lo_90"].min()), low - room)
    top = min(max(high, data["hi_90"].max()), high + room)
    axes.set_ylim(bottom - margin, top + margin)
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


def _paint_standardised(numbers: Mapping[str, Any], axes: Axes) -> None:
    edges, counts = (np.asarray(numbers["standardised"][key]) for key in ("edges", "counts"))
    widths = np.diff(edges)
    density = counts / max(counts.sum(), 1) / widths
    axes.bar(edges[:-1], density, widths, align="edge", color=INNER, ec=PAPER)
    z = np.linspace(edges[0], edges[-1], 161)
    axes.plot(z, norm.pdf(z), color=INK, lw=1.1)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_xlabel("residual / predicted sd")
    axes.set_ylabel("density")
    axes.grid(visible=False, axis="x")


def _paint_variance(numbers: Mapping[str, Any], axes: Axes) -> None:
    band = numbers["band"]
    epistemic, noise = (np.asarray(band[f"sd_{of}"]) ** 2 for of in ("epistemic", "noise"))
    order = np.argsort(epistemic + noise, kind="stable")
    epistemic, noise = epistemic[order], noise[order]
    x = np.arange(len(order))
    axes.fill_between(x, noise, color=BAND, lw=0, step="mid", label="noise")
    axes.fill_between(x, noise, noise + epistemic, color=MODEL, lw=0, step="mid", label="epistemic")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("rows by predicted variance")
    axes.set_ylabel("predictive variance")
    axes.set_xticks([])
    axes.grid(visible=False, axis="x")
    axes.legend(loc="upper left")
