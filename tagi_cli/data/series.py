"""Rows of a table as series: sorted by time, and cut into slices where time leaves a gap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.table import Table
from tagi_cli.data.times import TOLERANCE, Step, find_step, given_step, times
from tagi_cli.errors import UserError

Rows = NDArray[np.int64]

ROWS = "rows"
"""The `data.time_delta` that takes rows as they follow one another, whatever the time between."""


@dataclass(frozen=True, eq=False)
class Series:
    """N rows, ordered by series and then by time, in slices of equal steps.

    Attributes:
        names: of the series; one without name where the table is a single series.
        rows: (N,) row numbers in the table.
        codes: (N,) number of the series of each row, an index into `names`.
        bounds: (S + 1,) slice s holds rows `bounds[s]` to `bounds[s + 1] - 1` of these.
        step: time from row to row; None where there is no time column.
        times: (N,) as `times.times` gives them; None where there is no time column.
    """

    names: tuple[str, ...]
    rows: Rows
    codes: Rows
    bounds: Rows
    step: Step | None = None
    times: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def lengths(self) -> Rows:
        """(S,) rows of each slice."""
        return np.diff(self.bounds)

    @cached_property
    def slices(self) -> Rows:
        """(N,) number of the slice of each row."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @cached_property
    def places(self) -> Rows:
        """(N,) place of each row in its slice, from 0."""
        return np.arange(len(self)) - self.bounds[self.slices]

    @cached_property
    def slice_codes(self) -> Rows:
        """(S,) number of the series of each slice."""
        return self.codes[self.bounds[:-1]]

    @cached_property
    def slice_numbers(self) -> Rows:
        """(S,) number of each slice in its series, from 0."""
        first = np.flatnonzero(np.diff(self.slice_codes, prepend=-1))
        begun = np.repeat(first, np.diff(np.append(first, len(self.slice_codes))))
        return np.arange(len(self.slice_codes)) - begun

    @cached_property
    def starts(self) -> Rows:
        """(G + 1,) series g holds the rows from `starts[g]` up to `starts[g + 1]`, maybe none."""
        return np.searchsorted(self.codes, np.arange(len(self.names) + 1))

    @cached_property
    def ticks(self) -> NDArray[np.float64]:
        """(N,) time in steps, the same for all series; else the place of each row in its own."""
        if self.step is None or self.times is None or not self.step.cuts:
            return (np.arange(len(self)) - self.starts[self.codes]).astype(np.float64)
        return self.step.ticks(self.times)

    def kept(self, keep: NDArray[np.bool_]) -> Series:
        """The same without some rows `(N,)`; what was on either side of one is no longer joined."""
        cut = np.flatnonzero(np.diff(self.slices, prepend=-1))
        begins = np.zeros(len(self), dtype=bool)
        begins[cut] = True
        begins[1:] |= ~keep[:-1]
        first = np.flatnonzero(begins[keep])
        return Series(
            self.names,
            self.rows[keep],
            self.codes[keep],
            np.append(first, int(keep.sum())),
            self.step,
            None if self.times is None else self.times[keep],
        )

    def of_length(self, least: int) -> Series:
        """The same without slices of fewer rows."""
        return self.kept((self.lengths >= least)[self.slices])

    def label(self, code: int) -> str:
        """`series 'H1'` for messages, or `the series` where there is but one without name."""
        return f"series '{self.names[code]}'" if self.names[code] else "the series"


def arrange(
    table: Table,
    instance: str | None,
    time: str | None,
    step: float | str | Step | None,
    notices: list[str],
    known: tuple[str, ...] = (),
) -> Series:
    """Order the rows of a table by series and time, and cut each series where a step is missing.

    Without a time column rows follow one another as in the table.

    Args:
        table: any table.
        instance: column that names the series; None makes all rows one series.
        time: column of times.
        step: time from row to row; None finds the most frequent, and so does `ROWS`, where no
            time between rows is a gap.
        notices: collects remarks for the user: rows that had to be sorted, and gaps.
        known: names of series that keep their numbers; others follow as they appear.

    Raises:
        UserError: a row without series or time, two rows of a series at the same time, or times
            that are not a whole number of steps apart.
    """
    names, codes = _names(table, instance, known)
    if time is None:
        order = np.argsort(codes, kind="stable")
        codes = codes[order]
        first = np.flatnonzero(np.diff(codes, prepend=-1))
        return Series(names, order, codes, np.append(first, len(order)))
    moments = times(table, time, np.arange(len(table)))
    order = np.lexsort((moments, codes))
    _note_sorting(table, time, codes, moments, notices)
    codes, moments = codes[order], moments[order]
    same = np.diff(codes) == 0
    gaps = np.diff(moments)
    _check_distinct(table, time, names, codes, order, same & (gaps == 0))
    step = _step(step, moments, gaps[same])
    first = np.flatnonzero(np.diff(codes, prepend=-1))
    if step is not None and step.cuts:
        first = _cut(table, time, step, names, codes, order, step.ticks(moments), notices)
    return Series(names, order, codes, np.append(first, len(order)), step, moments)


def _names(
    table: Table, instance: str | None, known: tuple[str, ...]
) -> tuple[tuple[str, ...], Rows]:
    """Names of the series, those `known` first, and the number of each row's."""
    if instance is None:
        return known or ("",), np.zeros(len(table), dtype=np.int64)
    column = table.categories(instance)
    absent = np.flatnonzero(column.codes < 0)
    if len(absent):
        raise UserError(
            f"{table.where(int(absent[0]), instance)}: no value; every row needs the name of its "
            "series"
        )
    found, first = np.unique(column.codes, return_index=True)
    place = {name: i for i, name in enumerate(known)}
    number = np.empty(len(column.labels), dtype=np.int64)
    for code in found[np.argsort(first)]:
        number[code] = place.setdefault(column.labels[code], len(place))
    return tuple(place), number[column.codes]


def _note_sorting(
    table: Table, time: str, codes: Rows, moments: NDArray[Any], notices: list[str]
) -> None:
    """Remark rows that stand after a later one of their series."""
    order = np.argsort(codes, kind="stable")
    back = (np.diff(codes[order]) == 0) & (np.diff(moments[order]) < 0)
    if back.any():
        row = int(order[1:][back].min())
        notices.append(
            f"rows are sorted by '{time}'; the first that goes back in time is "
            f"{table.where(row)} ({int(back.sum())} in all)"
        )


def _check_distinct(
    table: Table,
    time: str,
    names: Sequence[str],
    codes: Rows,
    order: Rows,
    again: NDArray[np.bool_],
) -> None:
    """Raise UserError where a row has the same time as the one before it."""
    found = np.flatnonzero(again)
    if not len(found):
        return
    one, two = sorted((int(order[found[0]]), int(order[found[0] + 1])))
    of = f" of series '{names[codes[found[0]]]}'" if names[codes[found[0]]] else ""
    others = f" {len(found) - 1} more likewise." if len(found) > 1 else ""
    hint = "" if of else " If the rows belong to several series, name their column in data.instance"
    raise UserError(
        f"{table.where(two, time)}: '{_shown(table, time, two)}' is also the time of row "
        f"{_number(table, one)}{of}; a series has one row for each time.{others}{hint}"
    )


def _step(
    step: float | str | Step | None, moments: NDArray[Any], gaps: NDArray[Any]
) -> Step | None:
    if isinstance(step, Step):
        return step
    if step is not None and step != ROWS:
        return given_step(step, moments)
    return replace(find_step(moments, gaps), cuts=step != ROWS) if len(gaps) else None


def _cut(
    table: Table,
    time: str,
    step: Step,
    names: Sequence[str],
    codes: Rows,
    order: Rows,
    ticks: NDArray[np.float64],
    notices: list[str],
) -> Rows:
    """Where slices begin: at each series, and after each gap.

    Raises:
        UserError: a gap that is no whole number of steps.
    """
    steps = np.diff(ticks)
    same = np.diff(codes) == 0
    whole = np.round(steps)
    uneven = same & ((np.abs(steps - whole) > TOLERANCE) | (whole < 1))
    if uneven.any():
        at = int(np.flatnonzero(uneven)[0])
        one, two = int(order[at]), int(order[at + 1])
        of = f" of series '{names[codes[at]]}'" if names[codes[at]] else ""
        raise UserError(
            f"{table.where(two, time)}: '{_shown(table, time, two)}' comes {steps[at]:.6g} steps "
            f"of {step} after '{_shown(table, time, one)}' in row {_number(table, one)}{of}; "
            "between rows lies a whole number of steps. Set data.time_delta to the step, or to "
            f"'{ROWS}' to take rows as they follow one another"
        )
    gap = same & (whole > 1)
    if gap.any():
        count = int(gap.sum())
        notices.append(
            f"{count} gap{'s' * (count > 1)} in '{time}' (step {step}) cut"
            f"{'s' * (count == 1)} {len(np.unique(codes[1:][gap]))} series into slices; the first "
            f"is before {table.where(int(order[1:][gap][0]))}"
        )
    return np.flatnonzero(np.append(True, ~same | gap))


def _shown(table: Table, name: str, row: int) -> str:
    value = table[name][row]
    return value if isinstance(value, str) else f"{value:g}"


def _number(table: Table, row: int) -> int:
    return row + 1 if table.lines is None else int(table.lines[row])
