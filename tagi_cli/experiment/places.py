"""Where predictions stand: at rows of a table, or at prediction points of series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tagi_cli.data.parts import Part
    from tagi_cli.data.times import Step

Rows = NDArray[np.int64]
Index = slice | Rows

_DAY = 86_400_000_000
"""Microseconds."""


@dataclass(frozen=True)
class Places:
    """The places of n predictions.

    Attributes:
        rows: `(n,)` row numbers in the source, from 0.
        index: `(n, 3)` number of the series, of its slice, and place in the slice; None for rows of
            a plain table.
        time: `(n,)` times of prediction points, numbers or datetime64; None where there are none.
        series: names of the series by their number.
        clock: time from row to row; None where that is not known.
        files: `(n,)` names of files, where each example is one.
    """

    rows: Rows
    index: Rows | None = None
    time: NDArray[Any] | None = None
    series: tuple[str, ...] = ("",)
    clock: Step | None = None
    files: tuple[str, ...] | None = None

    @classmethod
    def of(cls, part: Part) -> Places:
        """Those of a part of the data."""
        return cls(part.rows, part.index, part.time, part.series, files=part.files)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: Index) -> Places:
        """Some of them."""
        return Places(
            self.rows[index],
            None if self.index is None else self.index[index],
            None if self.time is None else self.time[index],
            self.series,
            self.clock,
            None
            if self.files is None
            else tuple(self.files[i] for i in np.arange(len(self))[index].tolist()),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that tell a place: `row` (and `file`); or of series three others."""
        if self.index is None:
            return ("row",) if self.files is None else ("row", "file")
        return ("instance", "slice", "time")

    def times(self, ahead: int = 0) -> NDArray[Any]:
        """`(n,)` times of the rows so many steps after the prediction points.

        Without times the place in the slice stands for the time.

        Raises:
            ValueError: these are no places in series.
        """
        if self.index is None:
            raise ValueError("rows of a plain table have no times")
        if self.time is None:
            return self.index[:, 2] + ahead
        if self.clock is None or ahead == 0:
            return self.time
        if self.time.dtype.kind == "M":
            moments = self.time.astype("datetime64[us]").astype(np.int64)
            return self.clock.after(moments, ahead).astype("datetime64[us]")
        return self.clock.after(self.time, ahead)

    def cells(self, ahead: int = 0) -> list[str]:
        """`(n,)` the cells of these columns as CSV, joined by commas; times as `times` gives them.

        Args:
            ahead: how many steps after the prediction points.
        """
        if self.index is None:
            rows = [str(row) for row in self.rows.tolist()]
            if self.files is None:
                return rows
            return [f"{row},{cell(file)}" for row, file in zip(rows, self.files, strict=True)]
        names = [cell(name) for name in self.series]
        times = self.times(ahead)
        if times.dtype.kind == "M" and self._has_days(times):
            times = times.astype("datetime64[D]")
        shown = times.astype(str) if times.dtype.kind == "M" else times.tolist()
        return [
            f"{names[code]},{part},{_time(time)}"
            for (code, part), time in zip(self.index[:, :2].tolist(), shown, strict=True)
        ]

    def _has_days(self, times: NDArray[Any]) -> bool:
        """Whether rows are whole days apart, and all at midnight."""
        if self.clock is None:
            return False
        whole = self.clock.unit != "microsecond" or self.clock.length % _DAY == 0
        return whole and bool((times == times.astype("datetime64[D]")).all())


def _time(time: Any) -> str:
    if isinstance(time, float):
        return f"{time:.15g}"
    text = str(time)
    # Microseconds that say nothing.
    return text.removesuffix(".000000") if "T" in text else text


def cell(text: str) -> str:
    """A text as one CSV cell."""
    if any(mark in text for mark in ',"\r\n'):
        doubled = text.replace('"', '""')
        return f'"{doubled}"'
    return text
