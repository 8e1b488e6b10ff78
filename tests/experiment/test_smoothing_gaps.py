"""Rows that a table lacks inside its series."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tagi_cli.data import Encoder, Table
from tagi_cli.data.inputs import TimeInput
from tagi_cli.data.points import Chunks
from tagi_cli.data.times import find_step, times
from tagi_cli.data.windowing import Windowing
from tagi_cli.experiment.smoothing.gaps import completed


def encoder(table: Table, **options: Any) -> Encoder:
    """One whose inputs are hours alone."""
    moments = np.sort(times(table, "when", np.arange(len(table))))
    step = find_step(moments, np.diff(np.unique(moments)))
    windowing = Windowing(Chunks((0, 0), (0, 0)), time="when", step=step, **options)
    columns = (TimeInput("hour_of_day", "when"),)
    return Encoder(columns, ("y",), np.zeros(1), np.ones(1), windowing=windowing)


@pytest.mark.parametrize("zone", ["", "+00:00", "Z"])
@pytest.mark.parametrize("unit", ["h", "M", "D"])
def test_series_become_whole(unit: str, zone: str) -> None:
    start = np.datetime64("2023-11-01", "M").astype(f"datetime64[{unit}]")
    whole = np.datetime_as_string((start + np.arange(9)).astype("datetime64[s]"))
    kept = [0, 1, 3, 4, 8, 6]
    table = Table.from_columns(
        {
            "who": ["a"] * 6 + ["b"] * 3,
            "when": [f"{one}{zone}" for one in [*whole[kept], *whole[[2, 3, 5]]]],
            "y": np.arange(9.0),
            "note": list("pqrstuvwx"),
        }
    )
    notices: list[str] = []
    found = completed(encoder(table, instance="who", series=("a", "b")), table, notices)
    assert found.rows.tolist() == [0, 1, -1, 2, 3, -1, 5, -1, 4, 6, 7, -1, 8]
    got = times(found.table, "when", np.arange(13)).astype("datetime64[us]")
    want = (start + np.array([*range(9), *range(2, 6)])).astype("datetime64[us]")
    np.testing.assert_array_equal(got, want)
    assert found.table["who"].tolist() == ["a"] * 9 + ["b"] * 4
    absent = found.rows < 0
    np.testing.assert_array_equal(found.table["y"][~absent], found.rows[~absent])
    assert np.isnan(found.table["y"][absent]).all()
    assert {note for note, gone in zip(found.table["note"], absent, strict=True) if gone} == {None}
    assert notices == [
        "smoothing goes through 4 gaps in time, which cut series in training: 4 rows that are not "
        "in table count as missing"
    ]


def test_one_row_that_is_not_there() -> None:
    days = [f"2024-01-0{day}" for day in (1, 2, 4, 5)]
    notices: list[str] = []
    table = Table.from_columns({"when": days, "y": np.arange(4.0)})
    assert completed(encoder(table), table, notices).rows.tolist() == [0, 1, -1, 2, 3]
    assert notices == [
        "smoothing goes through 1 gap in time, which cuts series in training: 1 row that is not in "
        "table counts as missing"
    ]


def test_a_table_without_gaps_stays_as_it_is() -> None:
    table = Table.from_columns({"when": ["2024-01-02", "2024-01-01", "2024-01-03"], "y": [1, 2, 3]})
    found = completed(encoder(table), table, [])
    assert found.table is table
    assert found.rows.tolist() == [0, 1, 2]
