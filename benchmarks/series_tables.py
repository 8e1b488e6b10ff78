"""Tables of series: forecasts, and memory."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

from cells import covered, figure, origin, rows
from published import M4_HOURLY, SINE

TITLES = {
    "m4_hourly": "M4-hourly, last 48 hours of 414 series",
    "quarterly": "300 generated series of 30 to 130 quarters, last 8",
    "six_hours": "300 real series of sums over six hours, 30 to 130 long",
}
MEASURES = ("mase", "nd", "p90")


def series(record: dict[str, Any]) -> dict[str, str]:
    """What the presets of forecasts reach, and what recurrent layers remember."""
    return {
        "forecasts": _forecasts(record["forecasts"]),
        "sine": _sine(record["forecasts"]),
        "memory": _memory(record["memory"]),
    }


def _spread(values: Iterable[float]) -> str:
    """Mean, and lowest to highest."""
    found = list(values)
    return f"{figure(statistics.mean(found))} ({figure(min(found))} to {figure(max(found))})"


def _forecasts(sets: dict[str, Any]) -> str:
    lines = []
    for name, title in TITLES.items():
        if name not in sets:
            continue
        runs = sets[name]["runs"]
        measures = [_spread(run[key] for run in runs) for key in MEASURES]
        coverage = covered(statistics.mean(run["coverage_90"] for run in runs))
        naive = figure(statistics.mean(run["naive"]["mase"] for run in runs))
        seconds = [run["seconds"] for run in runs]
        span = f"{min(seconds):.0f} to {max(seconds):.0f}"
        lines.append([title, *measures, coverage, naive, span])
        if name == "m4_hourly":
            for method, found in M4_HOURLY.items():
                published = [figure(found[key]) for key in MEASURES]
                lines.append([f"the same, {method}", *published, "", "", ""])
    header = ["series", "MASE", "ND", "p90", "in 90 %", "naive MASE", "seconds"]
    return rows(header, lines) + origin([sets[name] for name in TITLES if name in sets])


def _sine(sets: dict[str, Any]) -> str:
    runs = sets["sine"]["runs"]
    rmse, ll, seconds = (
        [factor * run[key] for run in runs]
        for key, factor in (("rmse", 1), ("nll", -1), ("seconds", 1))
    )
    lines = [
        ["tagi, forecast/sine", _spread(rmse), _spread(ll), _spread(seconds)],
        ["pytagi's example", *SINE],
    ]
    return rows(["sine", "RMSE", "log-likelihood", "seconds"], lines)


def _memory(tasks: dict[str, Any]) -> str:
    lines = []
    for name, task in tasks.items():
        errors = [run["rmse"] for run in task["runs"]]
        lines.append(
            [
                name,
                figure(statistics.median(errors)),
                f"{figure(min(errors))} to {figure(max(errors))}",
                f"{sum(error <= task['goal'] for error in errors)} of {len(errors)} seeds",
                covered(statistics.mean(run["coverage_90"] for run in task["runs"])),
                figure(task["control"]),
                figure(task["chance"]),
                figure(statistics.mean(run["seconds"] for run in task["runs"]), 2),
            ]
        )
    header = ["task", "median RMSE", "of all seeds", "solved", "in 90 %"]
    header += ["without recurrence", "chance", "s"]
    return rows(header, lines) + origin(list(tasks.values()))
