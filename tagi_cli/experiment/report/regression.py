"""What a report says about real targets."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from scipy.stats import binom

from tagi_cli.experiment.report import markup, output_figures
from tagi_cli.experiment.report.account import Account, Numbers

# Coverage of the 90 % intervals that needs no remark, however many values there are.
_PROMISED = (0.87, 0.93)


def _verdict(split: str, metrics: Numbers, diagnoses: Sequence[Numbers]) -> str:
    """What the coverage of the 90 % intervals says, in words, for each output drawn."""
    components = metrics.get("components", {})
    lines, alarm = [], False
    for one in diagnoses:
        found = components.get(one["name"], metrics).get("coverage_90")
        if found is None:
            continue
        n = int(one["observed"])
        low, high = (float(binom.ppf(p, n, 0.9)) / n for p in (0.025, 0.975))
        low, high = min(low, _PROMISED[0]), max(high, _PROMISED[1])
        if low <= found <= high:
            words = "as promised, within what chance allows"
        else:
            alarm = True
            words = "intervals are too narrow" if found < low else "intervals are too wide"
        lines.append(
            f"The 90 % intervals of {markup.code(one['name'])} hold <b>{100 * found:.1f} %</b> of "
            f"{n:,} {escape(split)} values: {words}."
        )
    return markup.verdict(lines, alarm=alarm)


ACCOUNT = Account(
    metrics={
        "rmse": "RMSE",
        "mae": "MAE",
        "r2": "R²",
        "nll": "NLL",
        "crps": "CRPS",
        "coverage_50": "in 50 %",
        "coverage_90": "in 90 %",
        "coverage_95": "in 95 %",
        "width_90": "width 90 %",
        "pit_error": "PIT error",
    },
    tiles={
        "rmse": "RMSE",
        "nll": "NLL per value",
        "r2": "R²",
        "crps": "CRPS",
        "coverage_90": "inside 90 % intervals",
        "width_90": "mean width of 90 %",
    },
    shares=("coverage_50", "coverage_90", "coverage_95"),
    note="In the units of the data; natural logarithms; means over observed values.",
    verdict=_verdict,
    draw=output_figures.of_output,
    heading=lambda one: str(one["name"]),
    tables=lambda one: "",
)
