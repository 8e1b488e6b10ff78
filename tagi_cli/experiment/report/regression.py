"""What a report says about real targets."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tagi_cli.experiment.promise import broken
from tagi_cli.experiment.report import markup, output_figures
from tagi_cli.experiment.report.account import Account, Numbers

# Outputs that are not drawn, and named nevertheless for their coverage.
_NAMED = 5


def _not_drawn(components: Numbers, diagnoses: Sequence[Numbers]) -> tuple[int, list[str]]:
    """How many outputs are not drawn, and those of them whose intervals are too narrow or wide.

    All outputs count as observed as often as that which is drawn and observed the least.
    """
    n = min((int(one["observed"]) for one in diagnoses), default=1)
    drawn = {one["name"] for one in diagnoses}
    rest = {name: of.get("coverage_90") for name, of in components.items() if name not in drawn}
    wrong = [name for name, found in rest.items() if found is not None and broken(found, n)]
    return len(rest), [f"{markup.code(name)} {100 * rest[name]:.1f} %" for name in wrong]


def _verdict_of(words: str) -> str:
    return f"intervals are {words}" if words else "as promised, within what chance allows"


def _verdict(split: str, metrics: Numbers, diagnoses: Sequence[Numbers]) -> str:
    """What the coverage of the 90 % intervals says, in words, for each output drawn."""
    components = metrics.get("components", {})
    lines, alarm = [], False
    for one in diagnoses:
        found = components.get(one["name"], metrics).get("coverage_90")
        if found is None:
            continue
        n = int(one["observed"])
        words = broken(found, n)
        alarm |= bool(words)
        lines.append(
            f"The 90 % intervals of {markup.code(one['name'])} hold <b>{100 * found:.1f} %</b> of "
            f"{n:,} {escape(split)} values: {_verdict_of(words)}."
        )
    if len(components) > len(diagnoses):
        rest, wrong = _not_drawn(components, diagnoses)
        alarm |= bool(wrong)
        lines.append(
            f"Of the {rest} outputs that are not drawn, {len(wrong)} hold a share that chance does "
            f"not allow{': ' if wrong else ''}{', '.join(wrong[:_NAMED])}"
            f"{', …' if len(wrong) > _NAMED else ''}."
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
        "width_90": "mean width of 90 % intervals",
    },
    shares=("coverage_50", "coverage_90", "coverage_95"),
    note="In the units of the data; natural logarithms; means over observed values.",
    verdict=_verdict,
    draw=output_figures.of_output,
    heading=lambda one: str(one["name"]),
    tables=lambda one: "",
)
