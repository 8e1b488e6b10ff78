"""Rows that a table lacks inside a series, where a network needs nothing but their date."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.table import Column, NumberColumn, TextColumn
from tagi_cli.data.view import arranged

if TYPE_CHECKING:
    from tagi_cli.data import Encoder, Table
    from tagi_cli.data.series import Series

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Completed(NamedTuple):
    """A table without gaps in time.

    Attributes:
        table: the table.
        rows: number of each of its rows in the table that it was made of, -1 where there is none.
    """

    table: Table
    rows: Rows


def completed(encoder: Encoder, table: Table, notices: list[str]) -> Completed:
    """The table with the rows that its series lack between others, without values.

    A row that is not there then counts as one of which nothing is observed, and a series is gone
    through as a whole. So it is where all inputs are parts of the date; else the table stays as it
    is, and each slice is a series of its own.

    Args:
        encoder: of windows.
        table: what is to be smoothed.
        notices: collects remarks for the user.

    Raises:
        UserError: as `data.view.arranged`.
    """
    windowing = encoder.windowing
    own = Completed(table, np.arange(len(table)))
    if windowing is None or windowing.time is None or encoder.inputs:
        return own
    series = arranged(encoder, table, [])
    after, count = _gaps(series)
    if not len(after):
        return own
    assert series.step is not None
    assert series.times is not None
    # Row k of each gap that is so long, then the next k.
    found = [(after[count >= k], k) for k in range(1, int(count.max()) + 1)]
    times = np.concatenate([series.step.after(series.times[places], k) for places, k in found])
    behind = np.concatenate([places for places, _ in found])
    ahead = np.concatenate([np.full(len(places), k) for places, k in found])
    # The rows of the series and the absent ones, each behind the one that it follows in time.
    order = np.lexsort(
        (
            np.append(np.zeros(len(series), int), ahead),
            np.append(np.arange(len(series)), behind),
        )
    )
    sources = np.append(series.rows, series.rows[behind])[order]
    absent = (np.arange(len(order)) >= len(series))[order]
    columns: dict[str, Column] = {}
    for name, column in table.data.items():
        if name == windowing.time:
            columns[name] = _at(column, sources, absent, times[order[absent] - len(series)])
        else:
            columns[name] = _taken(column, sources, absent & (name != windowing.instance))
    gaps, one = len(after), len(behind) == 1
    notices.append(
        f"smoothing goes through {gaps} gap{'s' * (gaps > 1)} in time, which "
        f"cut{'s' * (gaps == 1)} series in training: {len(behind)} "
        f"{'row that is' if one else 'rows that are'} not in {table.source} "
        f"count{'s' * one} as missing"
    )
    lines = None if table.lines is None else table.lines[sources]
    rows = np.where(absent, -1, sources)
    return Completed(replace(table, data=columns, lines=lines), rows)


def _gaps(series: Series) -> tuple[Rows, Rows]:
    """The places of the last rows before gaps, and how many rows are absent in each."""
    last = series.bounds[1:-1] - 1
    last = last[series.codes[last] == series.codes[last + 1]]
    steps = np.round(series.ticks[last + 1] - series.ticks[last]).astype(np.int64)
    return last, steps - 1


def _taken(column: Column, rows: Rows, missing: Mask) -> Column:
    """Some rows of a column, without the values that are to be missing."""
    if isinstance(column, NumberColumn):
        return NumberColumn(np.where(missing, np.nan, column.values[rows]))
    codes = np.where(missing, -1, column.codes[rows]).astype(column.codes.dtype)
    return TextColumn(codes, column.labels)


def _at(column: Column, rows: Rows, absent: Mask, times: NDArray[Any]) -> Column:
    """Some rows of a column of dates; those absent have `times`, in microseconds since 1970."""
    assert isinstance(column, TextColumn)
    zoned = datetime.fromisoformat(column.labels[0]).tzinfo is not None
    moments = np.datetime_as_string(times.astype("datetime64[us]"))
    codes = column.codes[rows]
    codes[absent] = np.arange(len(times)) + len(column.labels)
    labels = (f"{moment}{'+00:00' if zoned else ''}" for moment in moments)
    return TextColumn(codes, (*column.labels, *labels))
