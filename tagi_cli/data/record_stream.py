"""Rows that arrive one by one, as text: CSV with a header, or a JSON object on each line."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from tagi_cli.data.delimited import with_decimal_commas
from tagi_cli.data.dialect import Dialect, sniff
from tagi_cli.data.table import Column, NumberColumn, Table, TextColumn, absent, encode_text
from tagi_cli.errors import UserError, listing

SOURCE = "standard input"


class CsvRecords:
    """Records of delimited text.

    Args:
        header: the first line that is not blank; a record, where it names no columns.
        number: its line number, from 1.
        wanted: columns that are read; the others are passed over.

    Attributes:
        names: of the columns.
        has_header: whether the first line names them.
    """

    def __init__(self, header: str, number: int, wanted: Collection[str]) -> None:
        self._dialect: Dialect = sniff([header])
        try:
            fields = next((found for _, found in self._dialect.records([header])), [])
        except csv.Error as error:
            raise UserError(f"{SOURCE}, row {number}: {error}") from None
        if not fields:
            raise UserError(f"{SOURCE}, row {number}: no field in it. Allowed: names of columns")
        named = self._dialect.is_header(fields)
        self.names = [f.strip() for f in fields] if named else [f"c{i}" for i in range(len(fields))]
        repeated = sorted(name for name, count in Counter(self.names).items() if count > 1)
        if repeated:
            raise UserError(f"{SOURCE}: column names that occur twice: {listing(repeated)}")
        self._number = number
        self._wanted = [(i, name) for i, name in enumerate(self.names) if name in wanted]
        self.has_header = named

    @property
    def header(self) -> Table:
        """A table of all columns, without rows."""
        nothing = NumberColumn(np.empty(0))
        return Table(SOURCE, dict.fromkeys(self.names, nothing), None, self.has_header)

    def table(self, records: Sequence[tuple[int, str]]) -> Table:
        """Records, with the numbers of their lines, as a table.

        Raises:
            UserError: a record has another number of fields than the header, or an infinite number.
        """
        rows: list[list[str]] = []
        for number, text in records:
            try:
                found = [fields for _, fields in self._dialect.records(text.splitlines(True))]
            except csv.Error as error:
                raise UserError(f"{SOURCE}, row {number}: {error}") from None
            fields = found[0] if len(found) == 1 else []
            if len(fields) != len(self.names):
                raise UserError(
                    f"{SOURCE}, row {number}: {len(fields)} fields; row {self._number} has "
                    f"{len(self.names)}"
                )
            rows.append(fields)
        data = {name: self._column([fields[i] for fields in rows]) for i, name in self._wanted}
        return _checked(data, [number for number, _ in records], has_header=self.has_header)

    def _column(self, cells: Sequence[str]) -> Column:
        column = encode_text(cells)
        if self._dialect.has_decimal_comma and isinstance(column, TextColumn):
            return with_decimal_commas(column) or column
        return column


class JsonRecords:
    """Records that are JSON objects, with a key for each column.

    Args:
        wanted: keys that are read; the others are passed over.
    """

    def __init__(self, wanted: Collection[str]) -> None:
        self.names = list(wanted)

    def table(self, records: Sequence[tuple[int, str]]) -> Table:
        """Records, with the numbers of their lines, as a table.

        Raises:
            UserError: a line is no JSON object, lacks a key, or has a value that is neither number
                nor text nor null.
        """
        columns: dict[str, list[Any]] = {name: [] for name in self.names}
        for number, text in records:
            where = f"{SOURCE}, row {number}"
            try:
                record = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise UserError(f"{where}: no JSON object ({error})") from None
            if not isinstance(record, dict):
                raise UserError(f"{where}: found a {type(record).__name__}. Allowed: an object")
            for name, cells in columns.items():
                if name not in record:
                    raise UserError(
                        f"{where}: {absent(name, list(record))}; write null where it is missing"
                    )
                cells.append(_cell(record[name], where, name))
        data = {name: encode_text(cells) for name, cells in columns.items()}
        return _checked(data, [number for number, _ in records])


Records = CsvRecords | JsonRecords


def records_of(line: str, number: int, wanted: Collection[str]) -> Records:
    """How records are written, from the first line that is not blank.

    Args:
        line: that line.
        number: its number, from 1.
        wanted: the columns to read.

    Raises:
        UserError: a header without a name, with a name that occurs twice, or too long a field.
    """
    if line.lstrip().startswith("{"):
        return JsonRecords(wanted)
    return CsvRecords(line, number, wanted)


def _cell(value: Any, where: str, name: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        try:
            return repr(float(value))
        except OverflowError:
            raise UserError(f"{where}, column '{name}': a number beyond the range") from None
    raise UserError(
        f"{where}, column '{name}': found a {type(value).__name__}. Allowed: a number, text, null"
    )


def _checked(data: dict[str, Column], numbers: Sequence[int], *, has_header: bool = True) -> Table:
    """The table of these columns; refuses infinite numbers."""
    table = Table(SOURCE, data, np.array(numbers, np.int64), has_header)
    for name, column in data.items():
        if isinstance(column, TextColumn):
            continue
        infinite = [i for i, value in enumerate(column.values.tolist()) if math.isinf(value)]
        if infinite:
            raise UserError(f"{table.where(infinite[0], name)}: an infinite number")
    return table
