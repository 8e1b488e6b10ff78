"""Reading delimited text: numpy's parser where a chunk is plain, an exact reader where it is not.

The exact reader knows everything (missing tokens, text, line numbers) and is slow; the fast one
accepts a chunk only when the exact one would give the same values, else it hands the chunk over.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import math
import shlex
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from tagi_cli.compression import open_gzip
from tagi_cli.data.dialect import Dialect, sniff
from tagi_cli.data.table import (
    MOST_COLUMNS,
    Column,
    NumberColumn,
    Table,
    TextColumn,
    as_text,
    label,
    parse_decimal_comma,
    parse_number,
)
from tagi_cli.errors import UserError, listing

_FIRST_CHUNK = 1 << 16
_CHUNK = 1 << 22  # characters: large enough for numpy's parser, small beside the table


def read_delimited(path: Path, source: str, notices: list[str] | None = None) -> Table:
    """A delimited text file (UTF-8, with or without header, gzipped where it ends in .gz).

    Raises:
        UserError: empty, not UTF-8 text, damaged gzip, duplicate column names, records of
            different lengths, an infinite number; each with its row where it has one.
    """
    try:
        try:
            with _open(path) as stream:
                return _read(stream, source, notices if notices is not None else [])
        except UnicodeDecodeError:
            row, encoding = _undecodable(path)
            cat = "zcat" if path.suffix.lower() == ".gz" else "cat"
            raise UserError(
                f"{source}, row {row}: not UTF-8 text. Save it as UTF-8, or try: "
                f"{cat} {shlex.quote(source)} | iconv -f {encoding} -t UTF-8 > utf8.csv"
            ) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{source}: not a complete gzip file ({error})") from None


def _open(path: Path) -> IO[str]:
    if path.suffix.lower() == ".gz":
        return io.TextIOWrapper(open_gzip(path), encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")


def _undecodable(path: Path) -> tuple[int, str]:
    """Number of the first line that is not UTF-8, and the encoding that the file may have."""
    with open_gzip(path) if path.suffix.lower() == ".gz" else path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                wide = line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
                return number, "UTF-16" if wide else "WINDOWS-1252"
    return 1, "WINDOWS-1252"


def _read(stream: IO[str], source: str, notices: list[str]) -> Table:
    lines = stream.readlines(_FIRST_CHUNK)
    while lines and not "".join(lines).strip() and (more := stream.readlines(_CHUNK)):
        lines += more
    dialect = sniff(lines)
    try:
        first = next(dialect.records(lines), None)
    except csv.Error as error:
        raise UserError(f"{source}, row 1: {error}; is it a table?") from None
    if first is None:
        raise UserError(f"{source}: the file is empty")
    begin, fields = first
    if len(fields) > MOST_COLUMNS:
        raise UserError(
            f"{source}, row {begin + 1}: {len(fields)} fields. Allowed: at most {MOST_COLUMNS}; "
            "is it a table?"
        )
    has_header = dialect.is_header(fields)
    names = _names(fields, has_header, source, notices)
    reader = _Reader(source, dialect, names, f"row {begin + 1} has")
    next_line = begin + 1 if has_header else begin
    # A header may fill the first chunk.
    chunk = lines[next_line:] or stream.readlines(_CHUNK)
    while chunk:
        chunk = _whole(chunk, stream)
        reader.add(chunk, next_line + 1)
        next_line += len(chunk)
        chunk = stream.readlines(_CHUNK)
    if not reader.lines:
        raise UserError(f"{source}: a header and no rows")
    return Table(source, reader.finish(notices), np.concatenate(reader.lines), has_header)


def _names(fields: list[str], has_header: bool, source: str, notices: list[str]) -> list[str]:
    if not has_header:
        return [f"c{i}" for i in range(len(fields))]
    names = [field.strip() for field in fields]
    for i, name in enumerate(names):
        if not name:
            names[i] = f"c{i}"
            notices.append(f"{source}: column {i + 1} has no name; it is called 'c{i}'")
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise UserError(f"{source}: column names that occur twice: {listing(repeated)}")
    return names


def _whole(chunk: list[str], stream: IO[str]) -> list[str]:
    """The chunk, made longer while a quoted field may run on past its end."""
    quotes = "".join(chunk).count('"')
    while quotes % 2 and (line := stream.readline()):
        chunk.append(line)
        quotes += line.count('"')
    return chunk


class _Codes(dict[str, int]):
    """Code of a text as it stands in the file; made on first sight, -1 for a missing token."""

    def __init__(self) -> None:
        super().__init__()
        self.labels: dict[str, int] = {}

    def __missing__(self, text: str) -> int:
        number = parse_number(text)
        code = -1 if number is not None and math.isnan(number) else self.of_label(label(text))
        self[text] = code
        return code

    def of_label(self, text: str) -> int:
        return self.labels.setdefault(text, len(self.labels))


def _number(text: str) -> float:
    number = parse_number(text)
    if number is None:
        raise ValueError(text)
    return number


class _Growing:
    """One column while it is read: numbers, until a text turns it into codes."""

    def __init__(self) -> None:
        self.parts: list[NDArray[np.float64]] = []
        self.codes: _Codes | None = None
        self.has_missing = False

    @property
    def converter(self) -> Callable[[str], float] | None:
        """What numpy's parser needs for this column; None for plain numbers."""
        if self.codes is not None:
            return self.codes.__getitem__
        return _number if self.has_missing else None

    def add(self, cells: Sequence[str]) -> int | None:
        """Append texts; gives the index of an infinite number and appends nothing, if any."""
        if self.codes is None:
            numbers = [parse_number(cell) for cell in cells]
            if all(number is not None for number in numbers):
                values = np.array(numbers, dtype=np.float64)
                if np.isinf(values).any():
                    return int(np.flatnonzero(np.isinf(values))[0])
                self.has_missing |= bool(np.isnan(values).any())
                self.parts.append(values)
                return None
            self.codes = self._turn_into_text()
        self.parts.append(np.array([self.codes[cell] for cell in cells], dtype=np.float64))
        return None

    def _turn_into_text(self) -> _Codes:
        codes = _Codes()
        for i, part in enumerate(self.parts):
            column = as_text(part)
            new = np.array([*map(codes.of_label, column.labels), -1], dtype=np.float64)
            self.parts[i] = new[column.codes]
        return codes

    def finish(self) -> Column:
        values = np.concatenate(self.parts)
        self.parts.clear()
        if self.codes is None:
            return NumberColumn(values)
        return TextColumn(values.astype(np.int32), tuple(self.codes.labels))


def with_decimal_commas(column: TextColumn) -> NumberColumn | None:
    """The numbers of a text column if all its texts are numbers with or without decimal comma."""
    numbers = [parse_decimal_comma(text) for text in column.labels]
    if any(number is None or not math.isfinite(number) for number in numbers):
        return None
    return NumberColumn(np.array([*numbers, np.nan], dtype=np.float64)[column.codes])


class _Reader:
    """Columns that grow chunk by chunk; `lines` holds the line number of each row."""

    def __init__(self, source: str, dialect: Dialect, names: list[str], width: str) -> None:
        self.source = source
        self.dialect = dialect
        self.names = names
        self.width = width
        self.columns = [_Growing() for _ in names]
        self.lines: list[NDArray[np.int64]] = []

    def add(self, chunk: list[str], first_line: int) -> None:
        block = self._parse(chunk)
        if block is None:
            self._add_exactly(chunk, first_line)
            return
        for j, column in enumerate(self.columns):
            column.parts.append(block[:, j].copy())
        self.lines.append(np.arange(first_line, first_line + len(chunk), dtype=np.int64))

    def _parse(self, chunk: list[str]) -> NDArray[np.float64] | None:
        """The chunk by numpy's parser `(lines, columns)`; None where it needs the exact reader."""
        spaced = f'{self.dialect.delimiter or ""} "'
        if not chunk[0].strip() or spaced in "".join(chunk):
            return None
        converters: dict[int | str, Callable[[str], float]] = {
            j: c for j, g in enumerate(self.columns) if (c := g.converter) is not None
        }
        try:
            block = np.loadtxt(
                chunk,
                np.float64,
                delimiter=self.dialect.delimiter,
                comments=None,
                quotechar='"',
                converters=converters,
                ndmin=2,
            )
        except ValueError:
            return None
        # Fewer rows than lines: blank lines or quoted line ends, which shift the line numbers.
        if block.shape != (len(chunk), len(self.columns)) or np.isinf(block).any():
            return None
        return block

    def _add_exactly(self, chunk: list[str], first_line: int) -> None:
        lines, rows = [], []
        try:
            for begin, fields in self.dialect.records(chunk):
                if len(fields) != len(self.names):
                    hint = ". Remove the lines before the header" if len(self.names) == 1 else ""
                    raise UserError(
                        f"{self.source}, row {first_line + begin}: {len(fields)} fields; "
                        f"{self.width} {len(self.names)}{hint}"
                    )
                lines.append(first_line + begin)
                rows.append(fields)
        except csv.Error as error:
            line = lines[-1] + 1 if lines else first_line
            raise UserError(f"{self.source}, row {line}: {error}; is a quote left open?") from None
        if not rows:
            return
        for name, column, cells in zip(
            self.names, self.columns, zip(*rows, strict=True), strict=True
        ):
            infinite = column.add(cells)
            if infinite is not None:
                raise UserError(
                    f"{self.source}, row {lines[infinite]}, column '{name}': "
                    f"'{cells[infinite].strip()}' is not a finite number"
                )
        self.lines.append(np.array(lines, dtype=np.int64))

    def finish(self, notices: list[str]) -> dict[str, Column]:
        columns = {name: g.finish() for name, g in zip(self.names, self.columns, strict=True)}
        if not self.dialect.has_decimal_comma:
            return columns
        with_commas = {
            name: numbers
            for name, column in columns.items()
            if isinstance(column, TextColumn)
            and (numbers := with_decimal_commas(column)) is not None
        }
        if with_commas:
            notices.append(f"{self.source}: decimal commas in {listing(with_commas)}")
        return columns | with_commas
