"""Tables of the time of a training step, and of how it grows."""

from __future__ import annotations

from typing import Any

from cells import duration, origin, rows


def speed(record: dict[str, Any]) -> dict[str, str]:
    """A table of steps, and one of growth, as far as they are measured."""
    writers = {"workloads": _workloads, "growth": _growth}
    return {
        name: writer(record[name]["measured"]) + origin([record[name]])
        for name, writer in writers.items()
        if name in record
    }


def _workloads(measured: list[dict[str, Any]]) -> str:
    lines = []
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
            lines.append([f"{one['name']}, {how}", theirs, *shown, *ratios])
    text = rows(
        ["a step of", "pytagi (threads)", "NumPy", "compiled", "GPU", "ratio", "of minima"], lines
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
    lines = []
    for curve in curves:
        points = "; ".join(
            f"{x:,}: {duration(seconds)}"
            for x, seconds in zip(curve["x"], curve["seconds"], strict=True)
        )
        exponents = (f"{curve[key]:.2f}" for key in ("exponent", "exponent_of_arithmetic"))
        lines.append([curve["name"], points, *exponents])
    return rows(["growth with", "time", "exponent", "of the arithmetic"], lines)
