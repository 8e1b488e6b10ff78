from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagi_cli.data.gaps import without_gaps
from tagi_cli.data.series import Series
from tagi_cli.data.table import Table
from tagi_cli.errors import UserError

cells = st.none() | st.integers(0, 9)


def series_of(n: int, cut: int) -> Series:
    """A series, cut once unless that is at 0, whose rows stand in the table back to front."""
    bounds = np.unique([0, cut, n])
    return Series(("",), np.arange(n)[::-1].copy(), np.zeros(n, np.int64), bounds)


def handled(
    columns: dict[str, Any], missing: str, cut: int = 0, notices: list[str] | None = None
) -> tuple[Table, Series]:
    table = Table.from_columns(columns, "t.csv")
    series = series_of(len(table), cut)
    inputs = list(columns)
    return without_gaps(table, series, inputs, missing, [] if notices is None else notices)


def plain(column: list[int | None]) -> list[Any]:
    return [None if value is None else float(value) for value in column]


@given(st.lists(cells, min_size=2, max_size=20), st.data())
def test_values_are_carried_forward_within_a_slice(
    column: list[int | None], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(1, len(column) - 1))
    numbers = {
        "a": np.array(plain(column), float),
        "b": [None if v is None else f"v{v}" for v in column],
    }
    ordered = column[::-1]
    expected: list[int | None] = []
    for part in (ordered[:cut], ordered[cut:]):
        last = None
        for value in part:
            last = value if value is not None else last
            expected.append(last)
    if all(value is None for value in expected):
        with pytest.raises(UserError, match=r"data\.missing: 'ffill' leaves no row of t\.csv"):
            handled(numbers, "ffill", cut)
        return
    table, series = handled(numbers, "ffill", cut)
    kept = [value for value in expected if value is not None]
    assert table["a"][series.rows].tolist() == kept
    assert table["b"][series.rows].tolist() == [f"v{value}" for value in kept]
    # What is left out comes before the first value of its slice.
    assert len(series) == len(kept)


def test_the_future_is_never_looked_at() -> None:
    column = np.array([5.0, np.nan, np.nan, 2.0])[::-1]
    changed = column.copy()
    changed[0] = 99.0  # the last in time
    for one, two in zip(
        handled({"a": column}, "ffill"), handled({"a": changed}, "ffill"), strict=True
    ):
        if isinstance(one, Table) and isinstance(two, Table):
            assert one["a"][1:].tolist() == two["a"][1:].tolist() == [5.0, 5.0, 5.0]


def test_the_given_table_stays_as_it_is() -> None:
    columns = {"a": np.array([1.0, np.nan, 3.0])}
    table = Table.from_columns(columns, "t.csv")
    filled, _ = without_gaps(table, series_of(3, 0), ["a"], "ffill", [])
    assert np.isnan(table["a"][1])
    assert filled["a"].tolist() == [1, 3, 3]


def test_series_are_cut_at_rows_with_a_missing_input() -> None:
    notices: list[str] = []
    table, series = handled({"a": [1.0, 2, None, 4, 5], "b": [1.0] * 5}, "split", 1, notices)
    assert [part.tolist() for part in np.split(series.rows, series.bounds[1:-1])] == [
        [4],
        [3],
        [1, 0],
    ]
    assert np.isnan(table["a"][2])
    assert notices == ["1 of 5 rows left out: an input is missing, and the series is cut there"]


def test_what_was_filled_is_noted() -> None:
    notices: list[str] = []
    handled({"a": [3.0, None, None, 1, None]}, "ffill", 3, notices)
    assert notices == [
        "1 missing inputs filled with the value before them",
        "2 of 5 rows left out: an input is missing and has no value before",
    ]


def test_nothing_missing_changes_nothing() -> None:
    for missing in ("error", "split", "ffill", "mean"):
        notices: list[str] = []
        table, series = handled({"a": [1.0, 2.0]}, missing, 1, notices)
        assert len(series) == 2
        assert notices == []
    table, series = handled({"a": [1.0, np.nan]}, "mean")
    assert np.isnan(table["a"][1])
    assert len(series) == 2


def test_a_missing_input_is_an_error_unless_said_otherwise() -> None:
    with pytest.raises(
        UserError,
        match=r"t\.csv, row 2, column 'a': no value \(and 1 more in this column\)\. Set data\.miss"
        r"ing to 'split' .* 'ffill' .* 'mean'",
    ):
        handled({"a": [1.0, None, 3.0, None]}, "error")
    with pytest.raises(UserError, match=r"data\.missing: 'split' leaves no row of t\.csv"):
        handled({"a": [None, 1.0], "b": [1.0, None]}, "split")
