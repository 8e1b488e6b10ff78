"""The tables of docs/performance.md, made from results/speed.json."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "speed.json"
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def tables(record: dict[str, Any]) -> dict[str, str]:
    """Markdown by the name of the place that it goes to."""
    made = {}
    if "workloads" in record:
        part = record["workloads"]
        made["workloads"] = _workloads(part["measured"])
        made["machine"] = _machine(part)
    if "growth" in record:
        part = record["growth"]
        made["growth"] = _growth(part["measured"])
        made["growth machine"] = _machine(part)
    return made


def fill(page: str, made: dict[str, str]) -> str:
    """The page with each table between its marks, `<!-- name -->` and `<!-- end -->`.

    Raises:
        ValueError: a mark is missing.
    """
    for name, text in made.items():
        pattern = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
        page, count = pattern.subn(lambda m, t=text: m[1] + t + m[2], page)
        if count != 1:
            raise ValueError(f"{count} places for the table '{name}'")
    return page


def refresh() -> None:
    """Bring the page up to date with the results."""
    record = json.loads(RESULTS.read_text())
    PAGE.write_text(fill(PAGE.read_text(), tables(record)))


def duration(seconds: float) -> str:
    """With three digits, in the unit that suits."""
    unit, size = next(
        (pair for pair in (("s", 1.0), ("ms", 1e-3)) if seconds >= pair[1]), ("us", 1e-6)
    )
    return f"{seconds / size:.3g} {unit}"


def _rows(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _machine(part: dict[str, Any]) -> str:
    where = part["environment"]
    versions = ", ".join(f"{name} {v}" for name, v in where["versions"].items())
    before, after = part["load_average"]
    return (
        f"Measured {where['started'][:10]} on {where['processor']}, {where['cores']} cores, with "
        f"{versions}; commit `{(where['git_commit'] or 'none')[:12]}`"
        f"{' and changes' if '+' in (where['git_commit'] or '') else ''}. The load average was "
        f"{before:.1f} before and {after:.1f} after.\n"
    )


def _workloads(measured: list[dict[str, Any]]) -> str:
    rows = []
    for one in measured:
        times = one["seconds"]
        peer = one["best_pytagi"]
        for ours, how in (("compiled", "epoch"), ("stepped", "from Python")):
            if ours not in times:
                continue
            shown = [
                duration(times[name]["median"]) if name in times else ""
                for name in ("numpy", "compiled", "gpu")
            ]
            if ours == "stepped":
                shown = ["", duration(times[ours]["median"]), ""]
            theirs = "" if peer is None else f"{duration(times[peer]['median'])} ({peer[7:]})"
            ratios = [
                "" if peer is None else f"{times[peer][key] / times[ours][key]:.1f}"
                for key in ("median", "minimum")
            ]
            rows.append([f"{one['name']}, {how}", theirs, *shown, *ratios])
    text = _rows(
        ["a step of", "pytagi (threads)", "NumPy", "compiled", "GPU", "ratio", "of minima"], rows
    )
    for one in measured:
        if one["products"] is not None:
            most = one["products"] * one["seconds"]["product"]["median"]
            share = one["seconds"]["compiled"]["median"] / most
            text += (
                f"\nThe matrix products of a step of {one['name']} are worth {one['products']:.0f} "
                f"of `({one['product'][0]}, {one['product'][1]}) @ ({one['product'][1]}, "
                f"{one['product'][2]})`, which take {duration(most)} at the rate measured in the "
                f"same run: the step takes {share:.2f} times as long.\n"
            )
    return text


def _growth(curves: list[dict[str, Any]]) -> str:
    rows = []
    for curve in curves:
        points = "; ".join(
            f"{x:,}: {duration(seconds)}"
            for x, seconds in zip(curve["x"], curve["seconds"], strict=True)
        )
        rows.append(
            [
                curve["name"],
                points,
                f"{curve['exponent']:.2f}",
                f"{curve['exponent_of_arithmetic']:.2f}",
            ]
        )
    return _rows(["growth with", "time", "exponent", "of the arithmetic"], rows)
