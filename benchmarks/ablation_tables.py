"""The table of ablations: what each default is worth."""

from __future__ import annotations

from typing import Any

from cells import covered, figure, origin, rows


def ablations(record: dict[str, Any]) -> dict[str, str]:
    """A line for each alternative: what it gains over the defaults, and what it reaches."""
    sets: dict[str, Any] = record["sets"]
    splits = {found["splits"] for found in sets.values()}
    lines = [["defaults", "", *(_reached(found["defaults"], "") for found in sets.values())]]
    first = next(iter(sets.values()))
    for what, alternatives in first["changed"].items():
        for label in alternatives:
            cells = []
            for found in sets.values():
                one = found["changed"][what][label]
                gain = one["gain"]
                cells.append(_reached(one, f"{gain['mean']:+.3f} ± {gain['se']:.3f}"))
            lines.append([what, label, *cells])
    many = " or ".join(str(number) for number in sorted(splits))
    text = f"\nThe first {many} splits of each set.\n"
    header = ["changed", "to", *sets]
    return {"ablations": rows(header, lines) + text + origin(list(sets.values()))}


def _reached(result: dict[str, Any], gain: str) -> str:
    shown = gain or f"{-result['nll']['mean']:.3f}"
    rmse, seconds = figure(result["rmse"]["mean"]), figure(result["seconds"]["mean"], 2)
    return f"{shown}; {rmse}; {covered(result['coverage_90']['mean'])}; {seconds} s"
