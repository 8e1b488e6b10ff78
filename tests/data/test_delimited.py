from __future__ import annotations

import csv
import gzip
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagi_cli.data import delimited
from tagi_cli.data.delimited import read_delimited
from tagi_cli.data.table import NumberColumn, Table, TextColumn
from tagi_cli.errors import UserError


def read(tmp_path: Path, text: str | bytes, name: str = "t.csv") -> Table:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_delimited(path, name)


def same(a: Table, b: Table) -> bool:
    return (
        a.columns == b.columns
        and np.array_equal(a.lines, b.lines)  # type: ignore[arg-type]
        and all(list(map(repr, a[name])) == list(map(repr, b[name])) for name in a.columns)
    )


numbers = st.floats(allow_nan=False, allow_infinity=False).map(repr)
numeric_cells = numbers | st.sampled_from(["", "NaN", "na", "NULL", " 7 "])
words = st.text("ab ,;\"'\nγ", min_size=1, max_size=6).map(lambda text: f"w{text}")
text_cells = words | st.sampled_from(["", "NA"])


@st.composite
def tables(draw: st.DrawFn) -> list[tuple[str, ...]]:
    n = draw(st.integers(1, 30))
    kinds = draw(st.lists(st.booleans(), min_size=1, max_size=4))
    # The first column is never missing as a whole row would then be a blank line.
    columns = [draw(st.lists(numbers, min_size=n, max_size=n))]
    columns += [
        draw(st.lists(text_cells if kind else numeric_cells, min_size=n, max_size=n))
        for kind in kinds
    ]
    return list(zip(*columns, strict=True))


def expected(cell: str) -> Any:
    if cell.strip().lower() in ("", "nan", "na", "null"):
        return None
    try:
        return float(cell)
    except ValueError:
        return cell.strip()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables(), st.sampled_from(",;\t"), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_what_is_written_is_read(
    tmp_path: Path, rows: list[tuple[str, ...]], delimiter: str, quoting: Any
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator="\n")
    names = [f"column {i}" for i in range(len(rows[0]))]
    writer.writerows([names, *rows])
    table = read(tmp_path, text.getvalue())
    assert table.columns == tuple(names)
    for name, cells in zip(names, zip(*rows, strict=True), strict=True):
        found = [None if value != value else value for value in table[name].tolist()]
        assert found == list(map(expected, cells))


commas = st.floats(allow_nan=False, allow_infinity=False).map(lambda x: repr(x).replace(".", ","))
cells = commas | st.sampled_from(["", "NA", " 7", ",5", "+3,"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(numbers, cells), min_size=1, max_size=20))
def test_semicolons_and_decimal_commas(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    table = read(tmp_path, "a;b\n" + "".join(f"{a};{b}\n" for a, b in rows))
    assert table["a"].tolist() == [float(a) for a, _ in rows]
    found = [None if value != value else value for value in table["b"].tolist()]
    assert found == [expected(b.replace(",", ".")) for _, b in rows]


def test_decimal_commas_are_those_of_whole_columns_between_semicolons(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a;b;c;d\nEdge, West;1,5;1,5;1.234,5\nw;2;1.5;2,5\n")
    notices: list[str] = []
    table = read_delimited(path, "t.csv", notices)
    assert [isinstance(table.column(name), NumberColumn) for name in "abcd"] == [0, 1, 0, 0]
    assert table["b"].tolist() == [1.5, 2]
    assert notices == ["t.csv: decimal commas in b"]
    headless = read(tmp_path, "1,5;2,5\n3,5;NA\n")
    assert (headless.columns, headless.has_header) == (("c0", "c1"), False)
    quoted = read(tmp_path, 'a,b\n"1,5",2\n"2,5",3\n')
    assert isinstance(quoted.column("a"), TextColumn)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables(), st.integers(1, 200))
def test_chunks_and_the_fast_parser_do_not_alter_the_result(
    tmp_path: Path, rows: list[tuple[str, ...]], chunk: int
) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([list("abcde")[: len(rows[0])], *rows])
    whole = read(tmp_path, text.getvalue())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "_CHUNK", chunk)
        patch.setattr(delimited, "_FIRST_CHUNK", 1000)
        assert same(read(tmp_path, text.getvalue()), whole)
        patch.setattr(delimited._Reader, "_parse", lambda self, lines: None)
        assert same(read(tmp_path, text.getvalue()), whole)


def test_a_plain_file_takes_the_fast_parser_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited._Reader, "_add_exactly", None)
    table = read(tmp_path, "a,b\n1,2\n3,4.5\n")
    assert table["b"].tolist() == [2, 4.5]


def test_after_one_exact_chunk_missing_values_and_text_take_the_fast_parser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact: list[int] = []
    original = delimited._Reader._add_exactly

    def counted(self: Any, chunk: list[str], first: int) -> None:
        exact.append(first)
        original(self, chunk, first)

    monkeypatch.setattr(delimited._Reader, "_add_exactly", counted)
    monkeypatch.setattr(delimited, "_FIRST_CHUNK", 20)
    monkeypatch.setattr(delimited, "_CHUNK", 20)
    table = read(tmp_path, "a,b\n" + "1,x\n,y\n,z\n" * 20)
    assert exact == [2]
    assert table["b"].tolist() == ["x", "y", "z"] * 20
    assert np.isnan(table["a"]).sum() == 40


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n3,4\n",
        "a;b\n1;2\n3;4\n",
        "a\tb\n1\t2\n3\t4\n",
        "  a   b\n 1  2 \n   3 4\n",
        '"a", "b"\n1, 2\n"3", "4"\n',
        '"a" "b"\n"1" 2\n3 4\n',
        "\ufeffa,b\n1,2\n3,4\n",
        "a,b\r\n1,2\r\n3,4\r\n",
        "a,b\n1,2\n3,4",
        "\n\na,b\n1,2\n\n3,4\n\n   \n",
    ],
)
def test_dialects(tmp_path: Path, text: str) -> None:
    table = read(tmp_path, text)
    assert table.columns == ("a", "b")
    assert table["a"].tolist() == [1, 3]
    assert table["b"].tolist() == [2, 4]


def test_without_a_header_columns_are_numbered(tmp_path: Path) -> None:
    table = read(tmp_path, " 0.5  1e3 -2\n 1  NaN 4\n")
    assert (table.columns, table.has_header) == (("c0", "c1", "c2"), False)
    assert table["c2"].tolist() == [-2, 4]


def test_a_date_and_time_does_not_make_spaces_the_delimiter(tmp_path: Path) -> None:
    table = read(tmp_path, "2024-01-01 00:00:00,1\n2024-01-01 01:00:00,2\n")
    assert len(table.columns) == 2


def test_a_single_column(tmp_path: Path) -> None:
    assert read(tmp_path, "my value\n1\n2\n3\n")["my value"].tolist() == [1, 2, 3]


def test_a_space_before_a_quote_in_a_chunk_for_the_fast_parser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited, "_FIRST_CHUNK", 8)
    monkeypatch.setattr(delimited, "_CHUNK", 8)
    table = read(tmp_path, 'a,b\n1,"x"\n2, "x"\n3, "y"\n')
    assert table["b"].tolist() == ["x", "x", "y"]


def test_gzip(tmp_path: Path) -> None:
    table = read(tmp_path, gzip.compress(b"\xef\xbb\xbfa,b\n1,2\n3,4\n"), "t.csv.gz")
    assert table["a"].tolist() == [1, 3]


def test_lines_count_blank_lines_and_lines_inside_quotes(tmp_path: Path) -> None:
    table = read(tmp_path, 'a,b\n1,"two\nlines"\n\n2,x\n')
    assert table.lines is not None
    assert table.lines.tolist() == [2, 5]
    assert table.where(1, "a") == "t.csv, row 5, column 'a'"


def test_numbers_met_before_the_first_text_become_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited, "_FIRST_CHUNK", 8)
    monkeypatch.setattr(delimited, "_CHUNK", 8)
    table = read(tmp_path, "a,b\n1,01\n2,2.0\n3,2.5\n4,NA\n5,x\n6,1\n")
    assert table["b"].tolist() == ["1", "2", "2.5", None, "x", "1"]
    assert isinstance(table.column("b"), TextColumn)


def test_floats_keep_every_bit(tmp_path: Path) -> None:
    values = [math.pi, 0.1, 5e-324, -1.7976931348623157e308]
    table = read(tmp_path, "a,b\n" + "".join(f"{value!r},1\n" for value in values))
    assert table["a"].tolist() == values


def test_an_empty_column_is_of_missing_numbers(tmp_path: Path) -> None:
    table = read(tmp_path, "a,b\n1,\n2,\n")
    assert isinstance(table.column("b"), NumberColumn)
    assert np.isnan(table["b"]).all()


def test_a_column_without_a_name_is_remarked(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(",a\n0,1\n")
    notices: list[str] = []
    assert read_delimited(path, "t.csv", notices).columns == ("c0", "a")
    assert notices == ["t.csv: column 1 has no name; it is called 'c0'"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"t\.csv: the file is empty"),
        ("\n \n", r"t\.csv: the file is empty"),
        ("a,b\n", r"t\.csv: a header and no rows"),
        ("a,b,a\n1,2,3\n", r"t\.csv: column names that occur twice: a"),
        ("a,b\n1,2\n\n1,2,3\n", r"t\.csv, row 4: 3 fields; row 1 has 2"),
        ("a,b\n1,2\n3\n", r"t\.csv, row 3: 1 fields; row 1 has 2$"),
        ("A title\n\na,b\n1,2\n3,4\n", r"row 3: 2 fields; .* 1\. Remove the lines before the hea"),
        ("a,b\n1,2\n3,inf\n", r"t\.csv, row 3, column 'b': 'inf' is not a finite number"),
        ("a,b\n1,2\n3,1e999\n", r"t\.csv, row 3, column 'b': '1e999' is not a finite number"),
        (b"a,b\n1,2\n3,\xff\n", r"t\.csv, row 3: not UTF-8 text.* iconv -f WINDOWS-1252 -t UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), r"t\.csv, row 1: not UTF-8 text.* iconv -f UTF-16 -t UTF-"),
        ("x" * 200_000, r"t\.csv, row 1: field larger .* is it a table\?"),
        ("\0" * 200_000, r"t\.csv, row 1: .* is it a table\?"),
        ("," * 1_000_000, r"t\.csv, row 1: 1000001 fields\. Allowed: at most 1000000"),
        ('a,b\n1,2\n3,"' + "x" * 200_000, r"t\.csv, row 3: field larger .* is a quote left open\?"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path, text)


def test_a_header_longer_than_what_is_read_at_first(tmp_path: Path) -> None:
    names = [f"column_{i}" for i in range(10_000)]
    text = "\n".join([",".join(names), ",".join("1" * 10_000), ",".join("2" * 10_000)])
    table = read(tmp_path, text)
    assert table.columns == tuple(names)
    assert [*table["column_9999"]] == [1, 2]


def test_an_open_quote_where_another_package_has_lifted_the_limit(tmp_path: Path) -> None:
    before = csv.field_size_limit(2**40)
    try:
        with pytest.raises(UserError, match="is a quote left open"):
            read(tmp_path, 'a,b\n1,2\n3,"' + "x" * 200_000)
        assert csv.field_size_limit() == 2**40
    finally:
        csv.field_size_limit(before)


@pytest.mark.parametrize("damaged", [b"plain text", gzip.compress(b"a,b\n1,2\n" * 99)[:-9]])
def test_a_damaged_gzip_file(tmp_path: Path, damaged: bytes) -> None:
    with pytest.raises(UserError, match=r"t\.csv\.gz: not a complete gzip file"):
        read(tmp_path, damaged, "t.csv.gz")


def test_text_that_python_would_take_for_a_number(tmp_path: Path) -> None:
    assert isinstance(read(tmp_path, "a,b\n1_000,2\n1_001,3\n").column("a"), TextColumn)
