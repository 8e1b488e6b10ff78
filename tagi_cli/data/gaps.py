"""Missing inputs of series: cut out, or carried forward; never filled from what comes later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.inputs import no_value
from tagi_cli.data.series import Series
from tagi_cli.data.table import NumberColumn, Table, TextColumn
from tagi_cli.errors import UserError


def without_gaps(
    table: Table, series: Series, inputs: Sequence[str], missing: str, notices: list[str]
) -> tuple[Table, Series]:
    """The inputs of series as the option `missing` wants them.

    Args:
        table: what the series are of.
        series: all rows to look at.
        inputs: names of the input columns.
        missing: `error`; `split` leaves rows out and cuts there; `ffill` carries values forward
            within a slice and leaves its rows before the first value out; `mean` leaves the
            filling to the encoder.
        notices: collects remarks for the user.

    Returns:
        the table to take inputs from, and the rows that are left.

    Raises:
        UserError: a value is missing under `error`, or no row is left.
    """
    if missing == "mean":
        return table, series
    absent = {name: table.missing(name)[series.rows] for name in inputs}
    empty = np.zeros(len(series), dtype=bool)
    for name, rows in absent.items():
        if missing == "error" and rows.any():
            first = np.sort(series.rows[rows])
            raise UserError(
                f"{no_value(table, name, first)} Set data.missing to 'split' to cut the series "
                "there, to 'ffill' to carry the last value forward, or to 'mean' to use the mean "
                "of the training part"
            )
        empty |= rows
    if not empty.any():
        return table, series
    if missing == "ffill":
        table, filled, empty = _carried_forward(table, series, absent)
        if filled:
            notices.append(f"{filled} missing inputs filled with the value before them")
    left = series.kept(~empty)
    if empty.any():
        notices.append(
            f"{int(empty.sum())} of {len(series)} rows left out: an input is missing"
            + (
                " and has no value before"
                if missing == "ffill"
                else ", and the series is cut there"
            )
        )
    if not len(left):
        raise UserError(
            f"data.missing: '{missing}' leaves no row of {table.source}; leave the emptiest "
            "columns out of data.in_components, or set data.missing to 'mean'"
        )
    return table, left


def _carried_forward(
    table: Table, series: Series, absent: dict[str, NDArray[np.bool_]]
) -> tuple[Table, int, NDArray[np.bool_]]:
    """The table with values carried forward; their number; and the rows with none before them."""
    places = np.arange(len(series))
    begin = series.bounds[series.slices]
    columns = dict(table.data)
    count, empty = 0, np.zeros(len(series), dtype=bool)
    for name, rows in absent.items():
        if not rows.any():
            continue
        source = np.maximum.accumulate(np.where(rows, begin, places))
        empty |= rows[source]
        count += int((rows & ~rows[source]).sum())
        column = columns[name]
        if isinstance(column, NumberColumn):
            values = column.values.copy()
            values[series.rows] = values[series.rows[source]]
            columns[name] = NumberColumn(values)
        else:
            codes = column.codes.copy()
            codes[series.rows] = codes[series.rows[source]]
            columns[name] = TextColumn(codes, column.labels)
    return replace(table, data=columns), count, empty
