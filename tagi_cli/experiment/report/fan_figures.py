"""Figures of forecasts: fans of single series, and how errors grow with the step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tagi_cli.experiment.report.figures import (
    ALARM,
    BAND,
    DATA,
    INNER,
    MODEL,
    MUTED,
    Figure,
    draw,
    draw_panels,
    plain,
)
from tagi_cli.experiment.report.output_figures import of_output

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Fan = Mapping[str, Any]


def of_forecast(stem: str, numbers: Mapping[str, Any]) -> list[Figure]:
    """The figures of one output of a forecast, from `forecast_diagnostics.diagnose`."""
    found, name = numbers["forecast"], plain(numbers["name"], 24)
    drawn = []
    if len(found["step"]) > 1:
        words = (
            ("mase", "MASE", "mean absolute error over that of the seasonal naive forecast before"),
            ("crps", "CRPS", "continuous ranked probability score in the units of the data"),
        )
        for key, label, what in words:
            paint = partial(_paint_steps, found, key, label)
            caption = f"By step: {what}, of the network and of the seasonal naive forecast."
            drawn.append(draw(f"{stem}_{key}_by_step", f"{name}: {label} by step", caption, paint))
        caption = "Share of values inside the central 90 % interval, by step."
        paint = partial(_paint_coverage, found)
        drawn.append(draw(f"{stem}_coverage_by_step", f"{name}: coverage by step", caption, paint))
        for place, one in enumerate(found["fans"], 1):
            caption = (
                "Median, central 50 % and 90 % intervals of the forecast, what came, and (dashed) "
                "the seasonal naive forecast."
            )
            title = f"{plain(one['name'] or numbers['name'], 24)}: forecast"
            paint = partial(_paint_fan, one, plain(numbers["name"]))
            drawn.append(draw(f"{stem}_fan_{place}", title, caption, paint))
    return [*drawn, *of_output(stem, numbers)]


def ahead(stem: str, fans: Sequence[Fan]) -> Figure:
    """One figure with the fans of some series, whose values to come nobody knows yet."""

    def painted(one: Fan, axes: Axes) -> None:
        _paint_fan(one, "", axes)  # the title of a panel names its output
        series = plain(one["name"], 24)
        title = f"{series}: {plain(one['component'], 24)}" if series else plain(one["component"])
        axes.set_title(title, loc="left")

    paints = [partial(painted, one) for one in fans]
    caption = "Median, central 50 % and 90 % intervals after the end of series."
    return draw_panels(stem, "Forecast", caption, paints)


def _paint_fan(one: Fan, label: str, axes: Axes) -> None:
    past = _numbers(one["past"])
    before, steps = _places(one, len(past))
    # The fan begins at the last known value, if there is one.
    last = past[-1:] if len(past) and np.isfinite(past[-1]) else past[:0]
    x = np.append(before[-1:][: len(last)], steps)
    band = {
        name: np.append(last, _numbers(one[name]))
        for name in ("lo_90", "lo_50", "median", "hi_50", "hi_90")
    }
    axes.fill_between(x, band["lo_90"], band["hi_90"], color=BAND, lw=0, label="90 %")
    axes.fill_between(x, band["lo_50"], band["hi_50"], color=INNER, lw=0, label="50 %")
    axes.plot(x, band["median"], color=MODEL, label="median")
    if len(one["naive"]):
        axes.plot(steps, _numbers(one["naive"]), color=MUTED, lw=1, ls=(0, (3, 2)), label="naive")
    axes.plot(before, past, color=DATA, lw=1.1, label="observed")
    if len(one["y"]):
        y = np.append(last, _numbers(one["y"]))
        axes.plot(x, y, color=DATA, lw=1.1)
    if len(before):
        axes.axvline(before[-1], color=MUTED, lw=0.8)
    if steps.dtype.kind == "M":
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator(minticks=3, maxticks=6)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        formatter = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_formatter(formatter)
    else:
        axes.set_xlabel("time" if one.get("time") else "step")
    axes.set_ylabel(label)
    axes.legend(loc="upper left", ncols=3, columnspacing=0.9, fontsize=7.5)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.22 * (high - low))


def _places(one: Fan, past: int) -> tuple[Any, Any]:
    """Times of the past and of the steps; numbers of the steps where there are none."""
    times = one.get("time", [])
    if not times:
        return np.arange(1 - past, 1), np.arange(1, len(one["median"]) + 1)
    found = np.array(times, "datetime64[us]" if isinstance(times[0], str) else np.float64)
    return found[:past], found[past:]


def _paint_steps(numbers: Mapping[str, Any], key: str, label: str, axes: Axes) -> None:
    steps = numbers["step"]
    naive = _numbers(numbers["baseline_by_step"][key])
    axes.plot(steps, naive, color=MUTED, ls=(0, (3, 2)), label="seasonal naive")
    axes.plot(steps, _numbers(numbers["by_step"][key]), color=MODEL, label="network")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("step")
    axes.set_ylabel(label)
    axes.legend(loc="lower right")


def _paint_coverage(numbers: Mapping[str, Any], axes: Axes) -> None:
    share = 100 * _numbers(numbers["by_step"]["coverage_90"])
    axes.axhline(90, color=ALARM, lw=1, ls=(0, (4, 3)), label="promised")
    axes.plot(numbers["step"], share, color=MODEL, label="network")
    finite = share[np.isfinite(share)]
    axes.set_ylim(min(60.0, float(finite.min(initial=60.0)) - 5), 102)
    axes.set_xlabel("step")
    axes.set_ylabel("values inside (%)")
    axes.legend(loc="lower right")


def _numbers(values: Sequence[float | None]) -> Any:
    """Numbers with NaN for what is not known."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
