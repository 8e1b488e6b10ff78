from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagi_cli.data.table import Table, as_text, encode_text, label, parse_number
from tagi_cli.errors import UserError


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_label_does_not_depend_on_the_spelling_of_a_number(value: float) -> None:
    assert label(value) == label(repr(value)) == label(f" {value!r} ")
    assert float(label(value)) == value


@pytest.mark.parametrize("text", ["1", "1.0", "01", " 1 ", "1e0"])
def test_whole_numbers_are_labelled_without_a_point(text: str) -> None:
    assert label(text) == "1"


def test_parse_number_tells_missing_from_text() -> None:
    assert all(np.isnan(parse_number(text)) for text in ["", " ", "NaN", "na", "NULL"])  # type: ignore[arg-type]
    assert [parse_number(text) for text in ["none", "1_0", "1,5", "x"]] == [None] * 4


def test_numbers_are_a_view() -> None:
    values = np.arange(3.0)
    table = Table.from_columns({"a": values})
    assert np.shares_memory(table["a"], values)
    assert np.shares_memory(table.numbers("a"), values)


@given(st.lists(st.floats(allow_infinity=False), max_size=20))
def test_numbers_as_text_read_back(values: list[float]) -> None:
    column = as_text(np.array(values, dtype=np.float64))
    back = [float(column.labels[code]) if code >= 0 else np.nan for code in column.codes]
    assert np.array_equal(back, values, equal_nan=True)
    assert len(set(column.labels)) == len(column.labels)


def test_text_columns() -> None:
    columns: dict[str, Any] = {"t": ["b", "a", "b", None, ""], "n": [1, 2, None, "", "na"]}
    table = Table.from_columns(columns)
    assert table["t"].tolist() == ["b", "a", "b", None, None]
    assert np.array_equal(table["n"], [1, 2, np.nan, np.nan, np.nan], equal_nan=True)


def test_columns_of_times_and_truth_values() -> None:
    times = np.array(["2024-01-01", "NaT"], dtype="datetime64[D]")
    table = Table.from_columns({"t": times, "b": [True, False]})
    assert table["t"].tolist() == ["2024-01-01", None]
    assert table["b"].tolist() == [1, 0]


def test_encode_text_keeps_first_seen_order() -> None:
    column = encode_text(["z", "a", "z"])
    assert column.labels == ("z", "a")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1, 2], "b": [1]}, r"table: columns of different lengths: a \(2\), b \(1\)"),
        ({"a": [[1, 2]]}, r"table, column 'a': an array of shape \(1, 2\)"),
        ({"a": [1.0, np.inf]}, r"table, row 2, column 'a': an infinite number"),
        ({"a": np.array([1j])}, r"column 'a': values of type complex128"),
        ({"a": np.array([{}], dtype=object)}, r"column 'a': a value of type dict"),
    ],
)
def test_columns_that_cannot_be(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Table.from_columns(columns)


def test_an_absent_column() -> None:
    table = Table.from_columns({"price": [1.0], "area": [2.0]}, "t.csv")
    with pytest.raises(UserError, match=r"t\.csv: no column 'prise'\. Did you mean 'price'\? Col"):
        table["prise"]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["1", "x", "y"], r"t\.csv, row 2, column 'a': 'x' is not a number in a column that also"),
        (["u", "x", "y"], r"t\.csv, row 1, column 'a': 'u' is not a number \(why\)\."),
        (["1,234.5", "999", "2,000,000"], r"'1,234\.5' is not .* commas between thousands"),
        (["1,5", "2,5", ""], r"row 1, column 'a': '1,5' is not .* Write decimals with a point"),
    ],
)
def test_text_where_numbers_are_wanted(column: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Table.from_columns({"a": column}, "t.csv").numbers("a", " (why)")
