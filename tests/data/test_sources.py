from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

from tagi_cli.data.sources import read_table
from tagi_cli.errors import UserError


def test_npz_arrays_become_columns(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    x = np.arange(6.0).reshape(3, 2)
    np.savez(path, x=x, y=np.ones((3, 1), np.float32), kind=np.array(["a", "b", "a"]), n=[1, 2, 3])
    table = read_table(path)
    assert table.columns == ("x0", "x1", "y", "kind", "n")
    assert np.array_equal(np.stack([table["x0"], table["x1"]], axis=1), x)
    assert table["kind"].tolist() == ["a", "b", "a"]


def test_parquet_columns_of_every_usual_type(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    polars.DataFrame(
        {
            "i": [1, None, 3],
            "f": [0.5, 1.5, None],
            "b": [True, False, None],
            "s": ["x", None, "y"],
            "c": polars.Series(["u", "v", "u"], dtype=polars.Categorical),
            "d": [date(2024, 1, 1), None, date(2024, 1, 3)],
            "t": [datetime(2024, 1, 1, 12), datetime(2024, 1, 2), None],
            "n": [None, None, None],
        }
    ).write_parquet(path)
    table = read_table(path)
    expected: dict[str, list[Any]] = {
        "i": [1, None, 3],
        "f": [0.5, 1.5, None],
        "b": [1, 0, None],
        "s": ["x", None, "y"],
        "c": ["u", "v", "u"],
        "d": ["2024-01-01", None, "2024-01-03"],
        "n": [None, None, None],
    }
    for name, values in expected.items():
        found = [None if value != value else value for value in table[name].tolist()]
        assert found == values, name
    assert [t and datetime.fromisoformat(t) for t in table["t"]][:2] == [
        datetime(2024, 1, 1, 12),
        datetime(2024, 1, 2),
    ]


def test_parquet_without_polars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "d.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(UserError, match=r"needs polars; install it with pip install 'tagi-cli\["):
        read_table(path)


def test_parquet_of_lists(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    polars.DataFrame({"a": [[1, 2], [3]]}).write_parquet(path)
    with pytest.raises(UserError, match=r"d\.parquet, column 'a': values of type List"):
        read_table(path)


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "houses.csv").write_text("a\n1\n")
    with pytest.raises(UserError, match=r"house\.csv: no such file\. Did you mean 'houses\.csv'\?"):
        read_table(tmp_path / "house.csv")
    with pytest.raises(UserError, match=r"There is no folder .*nowhere"):
        read_table(tmp_path / "nowhere" / "house.csv")


def test_a_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.csv").write_text("a\n1\n2\n")
    assert len(read_table("~/a.csv")) == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.xlsx",
            b"PK",
            r"a\.xlsx: a file of type \.xlsx\. Save the sheet as CSV .* Allowed: \.csv, \.tsv",
        ),
        ("a.json.gz", b"", r"a\.json\.gz: a file of type \.json"),
        ("a.npz", b"PK", r"a\.npz: not a readable NPZ file"),
        ("a.parquet", b"PAR0", r"a\.parquet: not a readable Parquet file"),
        ("a.tsv", b"", r"a\.tsv: the file is empty"),
    ],
)
def test_files_that_are_no_table(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_table(tmp_path / name)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a file"):
        read_table(tmp_path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones((2, 3, 4))}, r"array 'x': shape \(2, 3, 4\); allowed: \(rows,\)"),
        ({"x": np.ones(())}, r"array 'x': shape \(\)"),
        ({"x": np.ones(2), "y": np.ones(3)}, r"different lengths: x \(2\), y \(3\)"),
        ({"x": np.ones((2, 2)), "x0": np.ones(2)}, r"two columns are called 'x0'"),
        ({"x": np.array([{}, {}])}, r"d\.npz: not a readable NPZ file \(Object arrays"),
        ({"x": np.empty((0, 10**9))}, r"array 'x': 1000000000 columns; allowed: at most 1000000"),
        ({}, r"d\.npz: the file is empty"),
    ],
)
def test_npz_files_that_are_no_table(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(UserError, match=message):
        read_table(tmp_path / "d.npz")


def test_a_single_array_is_no_npz(tmp_path: Path) -> None:
    with (tmp_path / "d.npz").open("wb") as stream:
        np.save(stream, np.ones(3))
    with pytest.raises(UserError, match="one array, not an NPZ archive"):
        read_table(tmp_path / "d.npz")
