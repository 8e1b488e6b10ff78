"""Files that hold a table: delimited text, Parquet, NPZ."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tagi_cli import plugins
from tagi_cli.compression import refuse_bomb
from tagi_cli.data.archive import read_archive
from tagi_cli.data.delimited import read_delimited
from tagi_cli.data.table import MOST_COLUMNS, Table
from tagi_cli.errors import UserError, listing, nearest
from tagi_cli.paths import user_path

_TEXT = (".csv", ".tsv", ".txt", ".dat", ".data", "")
_PARQUET = (".parquet", ".pq")
_SHEETS = (".xlsx", ".xls", ".ods")

OWN = (*_TEXT[:-1], *_PARQUET, ".npz")
"""Endings of the names of files that are read without a plugin."""


def read_table(path: str | Path, notices: list[str] | None = None) -> Table:
    """The table in a file: CSV or other delimited text (also .gz), Parquet, NPZ, or by a plugin.

    In an NPZ file an array `(n,)` is a column named by its key, and an array `(n, k)` the columns
    `key0, key1, ...` (`key` itself where k is 1). A plugin's data source named `abc` reads files
    whose names end in `.abc`: it is called with the path, and gives columns by name. `notices`
    collects remarks for the user.

    Raises:
        UserError: missing, unreadable, empty or damaged file, or of another type.
    """
    path = user_path(path)
    if not path.exists():
        raise UserError(f"{path}: no such file.{_nearest_file(path)}")
    if not path.is_file():
        raise UserError(f"{path}: not a file")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    kind = suffixes[-1] if suffixes else ""
    try:
        if kind in _PARQUET:
            table = _read_parquet(path)
        elif kind == ".npz":
            table = _read_npz(path)
        elif kind in _TEXT:
            table = read_delimited(path, path.name, notices)
        elif (plugin := _plugin(path)) is not None:
            table = plugin.make(str(path), lambda _, read: _table_of(read, path))
        else:
            brought = [f".{one.name}" for one in plugins.installed(plugins.DATA_SOURCES)]
            allowed = listing([*OWN, *brought])
            hint = " Save the sheet as CSV (UTF-8)." if kind in _SHEETS else ""
            raise UserError(
                f"{path}: a file of type {kind}.{hint} Allowed: {allowed}, text also .gz"
            )
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    if not table.columns or not len(table):
        raise UserError(f"{path.name}: the file is empty")
    return table


def _plugin(path: Path) -> plugins.Plugin | None:
    """The data source of a plugin for files of this ending."""
    return plugins.find(plugins.DATA_SOURCES, path.suffix.lower().removeprefix("."), str(path))


def _table_of(read: Any, path: Path) -> Table:
    found = read(path)
    if not isinstance(found, Mapping):
        raise TypeError(f"it gave a {type(found).__name__} and no mapping of columns")
    return Table.from_columns(found, path.name)


def _nearest_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f" There is no folder {path.parent}."
    return nearest(path.name, [entry.name for entry in path.parent.iterdir() if entry.is_file()])


def _read_parquet(path: Path) -> Table:
    try:
        import polars
    except ImportError:
        raise UserError(
            f"{path}: reading Parquet needs polars; install it with pip install 'tagi-cli[data]'"
        ) from None
    try:
        lazy = polars.scan_parquet(path, glob=False)
        rows = int(lazy.select(polars.len()).collect().item())
        refuse_bomb(path, 8 * rows * len(lazy.collect_schema()))
        frame = lazy.collect()
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException) as error:
        raise UserError(f"{path.name}: not a readable Parquet file ({error})") from None
    columns: dict[str, Any] = {}
    for series in frame:
        where = f"{path.name}, column '{series.name}'"
        if series.dtype.is_numeric() or series.dtype == polars.Boolean:
            columns[series.name] = series.cast(polars.Float64).fill_null(float("nan")).to_numpy()
        elif series.dtype in (polars.Datetime, polars.Date):
            text = series.dt.to_string("iso:strict")
            columns[series.name] = np.array(text.to_list(), dtype=object)
        elif series.dtype in (polars.String, polars.Categorical, polars.Enum):
            columns[series.name] = np.array(series.to_list(), dtype=object)
        elif series.dtype == polars.Null:
            columns[series.name] = np.full(len(series), np.nan)
        else:
            raise UserError(f"{where}: values of type {series.dtype}; allowed: numbers and text")
    return Table.from_columns(columns, path.name)


def _read_npz(path: Path) -> Table:
    columns: dict[str, Any] = {}
    for key, array in read_archive(path, path.name).items():
        if array.ndim not in (1, 2):
            raise UserError(
                f"{path.name}, array '{key}': shape {array.shape}; allowed: (rows,) or "
                "(rows, columns)"
            )
        if array.ndim == 2 and array.shape[1] > MOST_COLUMNS:
            raise UserError(
                f"{path.name}, array '{key}': {array.shape[1]} columns; allowed: at most "
                f"{MOST_COLUMNS}"
            )
        for name, values in _npz_columns(key, array):
            if name in columns:
                raise UserError(f"{path.name}: two columns are called '{name}'")
            columns[name] = values
    return Table.from_columns(columns, path.name)


def _npz_columns(key: str, array: Any) -> list[tuple[str, Any]]:
    if array.ndim == 1:
        return [(key, array)]
    if array.shape[1] == 1:
        return [(key, array[:, 0])]
    return [(f"{key}{j}", array[:, j]) for j in range(array.shape[1])]
