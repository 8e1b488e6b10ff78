"""Pieces of the tables in the documents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

SHOWN = ("python", "numpy", "cupy", "mpi4py", "pytagi")
"""Packages whose versions a page tells; the results have all."""


PROMISE = (0.87, 0.93)
"""Least and largest coverage of 90 % intervals that is as promised."""


BUSY = 4
"""Load average per core from which a page says that others used the machine."""


def rows(header: list[str], lines: Iterable[list[str]]) -> str:
    """A table."""
    every = [header, ["---"] * len(header), *lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in every)


def duration(seconds: float) -> str:
    """With three digits, in the unit that suits."""
    unit, size = next(
        (pair for pair in (("s", 1.0), ("ms", 1e-3)) if seconds >= pair[1]), ("us", 1e-6)
    )
    return f"{seconds / size:.3g} {unit}"


def figure(value: float, digits: int = 3) -> str:
    """With so many significant digits, zeros at the end included; all of a larger whole part."""
    whole = abs(value) >= 10**digits
    return f"{value:,.0f}" if whole else f"{value:#.{digits}g}".rstrip(".")


def as_promised(coverage: float) -> bool:
    """Whether this coverage of 90 % intervals is."""
    return PROMISE[0] <= coverage <= PROMISE[1]


def covered(coverage: float) -> str:
    """Coverage of 90 % intervals, with a mark where it is not as promised."""
    return f"{100 * coverage:.1f} %{'' if as_promised(coverage) else ' (!)'}"


def origin(parts: list[dict[str, Any]]) -> str:
    """Days, commits, machines and versions of records with an `environment`, some with a load."""
    places = [part["environment"] for part in parts]
    days = sorted({place["started"][:10] for place in places})
    machines = _once(f"{place['processor']}, {place['cores']} cores" for place in places)
    commits = _once(_commit(place["git_commit"]) for place in places)
    versions = _once(
        f"{name} {version}"
        for place in places
        for name, version in place["versions"].items()
        if name in SHOWN
    )
    loads = [load for part in parts for load in part.get("load_average", [])]
    busy = f", load average {min(loads):.1f} to {max(loads):.1f}" if loads else ""
    if loads and max(loads) > BUSY * max(place["cores"] for place in places):
        busy += " (others computed there, too: times are too long)"
    return (
        f"\nMeasured {' to '.join(_once([days[0], days[-1]]))} on {' and '.join(machines)}{busy}; "
        f"{', '.join(versions)}; commit {', '.join(commits)}.\n"
    )


def _commit(name: str | None) -> str:
    if name is None:
        return "unknown"
    sha, _, changes = name.partition("+")
    return f"`{sha[:10]}`{' and changes' if changes else ''}"


def _once(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))
