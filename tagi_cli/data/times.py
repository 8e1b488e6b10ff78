"""Times of rows: reading them, and the equal steps in which they follow one another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.table import NumberColumn, Table
from tagi_cli.errors import UserError, listing

Rows = NDArray[np.int64]
Unit = Literal["number", "microsecond", "month", "month_end"]

_MICROSECONDS = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "min": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
_MONTHS = {"mo": 1, "q": 3, "y": 12}
_SHORTEST_MONTH = 28 * _MICROSECONDS["d"]
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)?\s*([a-z]+)\s*", re.ASCII)

TOLERANCE = 0.01
"""How far a time may lie off its place, as a fraction of the step: rounding, not another step."""


def times(table: Table, name: str, rows: Rows) -> NDArray[np.float64] | NDArray[np.int64]:
    """Times of these rows as sortable numbers: the column's own, or microseconds since 1970.

    Texts are ISO 8601; those without a time zone count as UTC.

    Raises:
        UserError: a missing or unreadable time, or times with and without time zone.
    """
    column = table.column(name)
    missing = table.missing(name)[rows]
    if missing.any():
        row = int(rows[np.flatnonzero(missing)[0]])
        raise UserError(f"{table.where(row, name)}: no time; every row needs one to be ordered")
    if isinstance(column, NumberColumn):
        return column.values[rows]
    epoch, tick = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
    moment = np.zeros(len(column.labels), dtype=np.int64)
    zoned: bool | None = None
    for code, text in enumerate(column.labels):
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            row = int(np.argmax(column.codes == code))
            raise UserError(
                f"{table.where(row, name)}: '{text}' is neither a number nor a time in ISO 8601, "
                "such as 2024-01-31 or 2024-01-31T12:00:00"
            ) from None
        if zoned is not None and zoned != (time.tzinfo is not None):
            row = int(np.argmax(column.codes == code))
            raise UserError(
                f"{table.where(row, name)}: '{text}' in a column that mixes times with and "
                "without a time zone"
            )
        zoned = time.tzinfo is not None
        moment[code] = ((time if zoned else time.replace(tzinfo=UTC)) - epoch) // tick
    return moment[column.codes[rows]]


def dates(table: Table, name: str, rows: Rows) -> NDArray[np.int64]:
    """As `times`, of a column that must hold dates.

    Raises:
        UserError: it holds numbers.
    """
    found = times(table, name, rows)
    if found.dtype != np.int64:
        raise UserError(
            f"{table.source}, column '{name}': numbers; data.time_covariates need dates in ISO "
            "8601, such as 2024-01-31T12:00:00"
        )
    return found.astype(np.int64, copy=False)


def holds_dates(table: Table, name: str) -> bool:
    """Whether each cell of a column that is not empty is a text in ISO 8601, and one is there."""
    column = table.column(name)
    if isinstance(column, NumberColumn) or not column.labels:
        return False
    try:
        for text in column.labels:
            datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Step:
    """The time from one row to the next: `length` numbers, microseconds or calendar months.

    Rows a whole number of months apart stand at the same time of their month, which is counted
    from its first day (`month`) or from its last (`month_end`). Where a step `cuts`, a longer time
    between two rows is a gap; else it is just what lies between them, as between trading days.
    """

    unit: Unit
    length: float
    cuts: bool = True

    def __str__(self) -> str:
        if self.unit == "number":
            return f"{self.length:g}"
        sizes = _MICROSECONDS if self.unit == "microsecond" else _MONTHS
        name, size = max(
            ((name, size) for name, size in sizes.items() if self.length % size == 0),
            key=lambda pair: pair[1],
        )
        return f"{round(self.length / size)}{name}"

    def ticks(self, times: NDArray[Any]) -> NDArray[np.float64]:
        """The times in steps `(n,)`; they differ by whole numbers if rows are steps apart."""
        if self.unit in ("month", "month_end"):
            times = times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
        return np.asarray(times / self.length, dtype=np.float64)

    def after(self, times: NDArray[Any], count: int | Rows) -> NDArray[Any]:
        """The times `count` steps after `times`."""
        if self.unit == "number":
            return np.asarray(times + count * self.length)
        if self.unit == "microsecond":
            return np.asarray(times + count * int(self.length))
        moments = times.astype("datetime64[us]")
        months = moments.astype("datetime64[M]") + (self.unit == "month_end")
        within = moments - months.astype("datetime64[us]")
        later = (months + count * int(self.length)).astype("datetime64[us]")
        return np.asarray(later + within).astype(np.int64)

    def between(self, begins: NDArray[Any], ends: NDArray[Any]) -> tuple[Rows, NDArray[np.bool_]]:
        """The number of steps from each of `begins` to `ends`, and whether it is a whole one."""
        counts = np.rint(self.ticks(ends) - self.ticks(begins)).astype(np.int64)
        off = np.abs(self.after(begins, counts) - ends)
        # How long a month is depends; on the same day of it, nothing is off.
        most = TOLERANCE * self.length if self.unit in ("number", "microsecond") else 0
        return counts, np.asarray(off <= most)

    def to_json(self) -> dict[str, Any]:
        """A dict for JSON that `from_json` turns into an equal step."""
        return {"unit": self.unit, "length": self.length, "cuts": self.cuts}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Step:
        """The step that `to_json` wrote."""
        return cls(tree["unit"], tree["length"], tree["cuts"])


def given_step(given: float | str, times: NDArray[Any]) -> Step:
    """The step that `data.time_delta` names, for these times.

    Args:
        given: a number, or a duration such as `15min`, `1d` or `3mo`.
        times: as `times` gives them.

    Raises:
        UserError: a duration for numbers, a number for dates, a step of nothing, no duration, or
            months between dates that lie at different places of their months.
    """
    units = [*_MICROSECONDS, *_MONTHS]
    duration = f"a number and a unit, such as 15min; units: {listing(units, 20)}"
    numeric = times.dtype != np.int64
    if isinstance(given, str):
        match = _DURATION.fullmatch(given.lower())
        if match is None or match[2] not in units or float(match[1] or 1) <= 0:
            raise UserError(f"data.time_delta: found '{given}'. Allowed: {duration}")
        if numeric:
            raise UserError(
                f"data.time_delta: found '{given}', but the times are numbers. Allowed: a number"
            )
        count = float(match[1] or 1)
        if match[2] in _MICROSECONDS:
            return Step("microsecond", round(count * _MICROSECONDS[match[2]]))
        if not count.is_integer():
            raise UserError(f"data.time_delta: found '{given}'. Allowed: whole months or years")
        unit = _monthly(times)
        if unit is None:
            raise UserError(
                f"data.time_delta: found '{given}', but the dates do not lie at the same time of "
                "each month"
            )
        return Step(unit, int(count) * _MONTHS[match[2]])
    if not numeric:
        raise UserError(
            f"data.time_delta: found {given:g}, but the times are dates. Allowed: {duration}"
        )
    if given <= 0:
        raise UserError(f"data.time_delta: found {given:g}. Allowed: above 0")
    return Step("number", float(given))


def find_step(times: NDArray[Any], gaps: NDArray[Any]) -> Step:
    """The most frequent of the `gaps` (above 0) between neighbours among the `times`.

    Dates at the same time of each month, or all on a month's last day, are months apart.
    """
    if times.dtype != np.int64:
        return Step("number", _most_frequent(gaps))
    if gaps.min() >= _SHORTEST_MONTH and (unit := _monthly(times)) is not None:
        months = np.unique(times).astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
        return Step(unit, _most_frequent(np.diff(months)))
    return Step("microsecond", _most_frequent(gaps))


def _monthly(times: NDArray[np.int64]) -> Unit | None:
    """From which end of their months all times stand equally far; None if from neither."""
    moments = times.astype("datetime64[us]")
    months = moments.astype("datetime64[M]")
    units: tuple[Unit, Unit] = ("month", "month_end")
    for following, unit in enumerate(units):
        within = moments - (months + following).astype("datetime64[us]")
        if (within == within[0]).all():
            return unit
    return None


def _most_frequent(gaps: NDArray[Any]) -> float:
    """Of numbers to nine digits, so that those that differ by rounding are counted together."""
    found, counts = np.unique(gaps, return_counts=True)
    if found.dtype == np.int64:
        return int(found[np.argmax(counts)])
    kept, place = np.unique([float(f"{gap:.9g}") for gap in found], return_inverse=True)
    return float(kept[np.argmax(np.bincount(place, counts))])


def phase(name: str, times: NDArray[np.int64]) -> NDArray[np.float64]:
    """How far times, in microseconds since 1970, are through a cycle: 0 at its begin, below 1.

    Args:
        name: `hour_of_day` (fractions of hours count), `day_of_week` (from Monday), `day_of_month`,
            `day_of_year`, `month`.
        times: `(n,)`.
    """
    moments = times.astype("datetime64[us]")
    days = moments.astype("datetime64[D]")
    if name == "hour_of_day":
        return np.asarray((moments - days) / np.timedelta64(1, "D"))
    if name == "day_of_week":
        return np.asarray((days.astype(np.int64) + 3) % 7 / 7)
    months = days.astype("datetime64[M]")
    if name == "month":
        return np.asarray(months.astype(np.int64) % 12 / 12)
    cycle: Literal["M", "Y"] = "M" if name == "day_of_month" else "Y"
    begin = days.astype(f"datetime64[{cycle}]")
    end = (begin + 1).astype("datetime64[D]")
    return np.asarray((days - begin) / (end - begin))
