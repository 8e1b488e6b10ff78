"""Tables of accuracy: UCI sets, latent regression."""

from __future__ import annotations

from typing import Any

from cells import as_promised, covered, duration, figure, origin, rows
from published import PUBLISHED, SOURCES, best

NAMES = {
    "defaults": "tagi, defaults",
    "paper": "tagi, settings of the paper",
    "pytagi": "pytagi, settings of the paper",
}


def uci(record: dict[str, Any]) -> dict[str, str]:
    """What is reached on each set, the tests of it, and what others published."""
    sets = record["sets"]
    lines, tests = [], []
    for name, found in sets.items():
        title = f"{name}, {found['rows']:,} x {found['inputs']}"
        for label, result in found["results"].items():
            lines.append([title, NAMES[label], *_reached(result)])
            title = ""
        if name in PUBLISHED:
            lines.append(["", "best published", *_best(name), "", "", "", ""])
        tests.append([name, *map(_signs, _of_figures(found["sign_tests"]))])
    header = ["set", "", "RMSE", "log-likelihood", "CRPS", "in 90 %", "s a split", "s in all"]
    return {
        "uci": rows(header, lines) + origin(list(sets.values())),
        "coverage": _promise(sets),
        "sign tests": rows(["set", *TESTS], tests),
        "published": _published(list(sets)),
    }


def _reached(result: dict[str, Any]) -> list[str]:
    rmse, nll = result["rmse"], result["nll"]
    return [
        f"{figure(rmse['mean'])} ± {figure(rmse['se'], 2)}",
        f"{-nll['mean']:.3f} ± {nll['se']:.3f}",
        figure(result["crps"]["mean"]),
        covered(result["coverage_90"]["mean"]),
        figure(result["seconds"]["mean"], 2),
        f"{result['seconds_of_sweep']:.0f}" if "seconds_of_sweep" in result else "",
    ]


def _best(name: str) -> list[str]:
    rmse, ll = best(name)
    return [
        f"{PUBLISHED[name][rmse].rmse:g} ({rmse})",
        f"{PUBLISHED[name][ll].ll:g} ({ll})",
    ]


def _promise(sets: dict[str, Any]) -> str:
    coverage = {
        name: found["results"]["defaults"]["coverage_90"]["mean"]
        for name, found in sets.items()
        if "defaults" in found["results"]
    }
    broken = [f"{name} ({100 * c:.1f} %)" for name, c in coverage.items() if not as_promised(c)]
    held = f"The defaults keep it on {len(coverage) - len(broken)} of {len(coverage)} sets"
    return f"{held}{'; not on ' + ', '.join(broken) if broken else ''}.\n"


TESTS = {
    "pytagi: log-likelihood": ("defaults", "pytagi", "nll"),
    "pytagi: RMSE": ("defaults", "pytagi", "rmse"),
    "pytagi: CRPS": ("defaults", "pytagi", "crps"),
    "settings of the paper: log-likelihood": ("defaults", "paper", "nll"),
}
"""Columns of the tests: what is tested against what, in which figure."""


def _of_figures(tests: list[dict[str, Any]]) -> list[dict[str, Any] | None]:
    found = {(test["of"], test["against"], test["figure"]): test for test in tests}
    return [found.get(key) for key in TESTS.values()]


def _signs(test: dict[str, Any] | None) -> str:
    if test is None:
        return ""
    return f"{test['wins']} : {test['losses']}, p = {test['p']:.1g}"


def _published(names: list[str]) -> str:
    known = [name for name in names if name in PUBLISHED]
    lines = []
    for method, source in SOURCES.items():
        cells = []
        for name in known:
            rmse, ll = PUBLISHED[name][method]
            shown = ["–" if value is None else f"{value:g}" for value in (rmse, ll)]
            cells.append("" if rmse is ll is None else " / ".join(shown))
        lines.append([method, *cells, source])
    return rows(["RMSE / log-likelihood", *known, "source"], lines)


def latent(record: dict[str, Any]) -> dict[str, str]:
    """Time, memory and accuracy of a latent regression of the size of a recording."""
    found = record["regression"]
    lines = [
        [
            str(run["batch_size"]),
            duration(run["seconds_per_epoch"]),
            duration(run["seconds_of_command"]),
            f"{run['peak_memory_bytes'] / 2**30:.1f} GiB",
            figure(run["rmse"]),
            covered(run["coverage_90"]),
        ]
        for run in found["runs"]
    ]
    header = ["rows of a batch", "best epoch", "whole command", "memory", "RMSE", "in 90 %"]
    return {"latent": rows(header, lines) + origin([found])}
