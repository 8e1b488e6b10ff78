"""Rows that arrive as text: the same values as from a file, and errors that name their line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tagi_cli.data import read_table
from tagi_cli.data.record_stream import JsonRecords, records_of
from tagi_cli.data.table import Table
from tagi_cli.errors import UserError


def table_of(lines: Sequence[str], wanted: Sequence[str]) -> Table:
    records = records_of(lines[0], 1, wanted)
    has_header = not isinstance(records, JsonRecords) and records.has_header
    rows = [(i, line) for i, line in enumerate(lines, 1) if i > has_header]
    return records.table(rows)


@pytest.mark.parametrize(
    "lines",
    [
        ["a,b,c", "1,x,2", '-3.5e2, "y, z" ,NA', ",7,0.1"],
        ["a;b;c", "1,5;x;2", "2,5;y;3"],
        ["a\tb\tc", "1\tx\t2", "2\tnull\t3"],
        ["a b c", '1 "x y" 2', "2  z  3"],
    ],
    ids=["comma", "semicolon and decimal commas", "tab", "spaces"],
)
def test_delimited_records_are_what_a_file_of_them_is(lines: list[str], tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("\n".join(lines) + "\n")
    expected = read_table(path)
    found = table_of([line + "\n" for line in lines], expected.columns)
    assert found.columns == expected.columns
    for name in expected.columns:
        np.testing.assert_array_equal(found[name], expected[name])
    assert found.where(1) == "standard input, row 3"


def test_records_without_a_header_are_called_by_number() -> None:
    found = table_of(["1,2\n", "3,4\n"], ["c1"])
    assert found.columns == ("c1",)
    assert found["c1"].tolist() == [2, 4]
    assert not found.has_header


def test_objects() -> None:
    lines = ['{"b": "x", "a": 1, "more": [2]}\n', '{"a": null, "b": null}\n', '{"a": "2", "b": 3}']
    found = table_of(lines, ["a", "b"])
    np.testing.assert_array_equal(found["a"], [1, np.nan, 2])
    assert found["b"].tolist() == ["x", None, "3"]
    truth = table_of(['{"a": true}', '{"a": NaN}'], ["a"])
    np.testing.assert_array_equal(truth["a"], [1, np.nan])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a,b", "1,2", "3"], "standard input, row 3: 1 fields; row 1 has 2"),
        (["a,b", "1,inf"], "standard input, row 2, column 'b': an infinite number"),
        (["a,a", "1,2"], "column names that occur twice: a"),
        (['""', "1,2"], "standard input, row 1: no field in it. Allowed: names of columns"),
        (["x" * 200_000, "1,2"], "standard input, row 1: field larger than field limit"),
        (['{"a": 1, "b": 2}', "1,2"], "standard input, row 2: found a list|row 2: no JSON object"),
        (['{"a": 1, "b": 2}', "[1]"], "standard input, row 2: found a list. Allowed: an object"),
        (['{"a": 1, "bb": 2}'], "row 1: no column 'b'.*write null where it is missing"),
        (['{"a": 1, "b": [2]}'], "row 1, column 'b': found a list"),
        (['{"a": 1, "b": Infinity}'], "row 1, column 'b': an infinite number"),
        (['{"a": 1, "b": 2'], "row 1: no JSON object"),
    ],
)
def test_what_is_no_record(lines: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        table_of(lines, ["a", "b"])


def test_objects_that_no_parser_follows() -> None:
    with pytest.raises(UserError, match="standard input, row 1: no JSON object"):
        table_of(['{"a": ' + "[" * 4000], ["a"])
    with pytest.raises(UserError, match="row 1, column 'a': a number beyond the range"):
        table_of(['{"a": 1' + "0" * 400 + "}"], ["a"])
