"""A table in memory: named columns of numbers or text, and where each row came from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tagi_cli.errors import UserError, listing, nearest

MISSING_TOKENS = frozenset({"", "nan", "na", "null"})
"""Texts (any case) that stand for a missing value."""

MOST_COLUMNS = 1_000_000
"""Of a table. What names more is no table, and a file of a few bytes may claim any number."""

_DECIMAL_COMMA = re.compile(r"[+-]?(\d+(,\d*)?|,\d+)([eE][+-]?\d+)?\s*$", re.ASCII)


def parse_number(text: str) -> float | None:
    """The number a text stands for, NaN for a missing token, None where it is neither.

    An infinite number comes back as it is: whether it may stand is for the caller to say.
    """
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return float("nan") if text.strip().lower() in MISSING_TOKENS else None


def parse_decimal_comma(text: str) -> float | None:
    """As `parse_number`, of text whose decimal mark is a comma (`1,5`); no thousands marks."""
    if _DECIMAL_COMMA.match(text.lstrip()):
        return float(text.replace(",", "."))
    return float("nan") if text.strip().lower() in MISSING_TOKENS else None


def label(value: float | str) -> str:
    """The one spelling of a category: `1`, `1.0` and `01` are all `1`; text is stripped."""
    number = parse_number(value) if isinstance(value, str) else float(value)
    if number is None or number != number:
        return str(value).strip()
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


@dataclass(frozen=True)
class NumberColumn:
    """`values (n,) float64`, NaN where missing."""

    values: NDArray[np.float64]


@dataclass(frozen=True)
class TextColumn:
    """`labels[codes[i]]` is the text of row i; code -1 is a missing value."""

    codes: NDArray[np.int32]
    labels: tuple[str, ...]

    def numeric_labels(self) -> list[str]:
        """The labels that are numbers: not empty means a mixture of text and numbers."""
        return [text for text in self.labels if parse_number(text) is not None]


Column = NumberColumn | TextColumn


@dataclass(frozen=True)
class Table:
    """Columns of equal length by name, in the order of their source.

    `source` names the table in messages; `lines (n,)` are the line numbers of a text file, from 1;
    `has_header` is False where the columns were named `c0, c1, ...` for want of names.
    """

    source: str
    data: Mapping[str, Column]
    lines: NDArray[np.int64] | None = None
    has_header: bool = True
    _length: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        first = next(iter(self.data.values()), None)
        length = 0
        if first is not None:
            length = len(first.values if isinstance(first, NumberColumn) else first.codes)
        object.__setattr__(self, "_length", length)

    @classmethod
    def from_columns(cls, columns: Mapping[str, ArrayLike], source: str = "table") -> Table:
        """A table of `{name: values (n,)}`: numbers (float64 is not copied) or text.

        Raises:
            UserError: columns of different lengths, not one-dimensional, or of another type.
        """
        data: dict[str, Column] = {}
        lengths: dict[str, int] = {}
        for name, values in columns.items():
            array = np.asarray(values)
            if array.ndim != 1:
                raise UserError(
                    f"{source}, column '{name}': an array of shape {array.shape}; a column has one "
                    "dimension"
                )
            data[name] = _column(array, f"{source}, column '{name}'")
            lengths[name] = len(array)
        if len(set(lengths.values())) > 1:
            raise UserError(
                f"{source}: columns of different lengths: "
                + listing(f"{name} ({length})" for name, length in lengths.items())
            )
        table = cls(source, data)
        for name, column in data.items():
            if isinstance(column, NumberColumn) and np.isinf(column.values).any():
                row = int(np.flatnonzero(np.isinf(column.values))[0])
                raise UserError(f"{table.where(row, name)}: an infinite number")
        return table

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(self.data)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Values of a column: a view of float64 numbers, or text (None where missing).

        Raises:
            UserError: no such column.
        """
        column = self.column(name)
        if isinstance(column, NumberColumn):
            return column.values
        return np.array([*column.labels, None], dtype=object)[column.codes]

    def column(self, name: str) -> Column:
        """A column as it is stored.

        Raises:
            UserError: no such column.
        """
        if name not in self.data:
            raise UserError(f"{self.source}: {absent(name, self.columns)}")
        return self.data[name]

    def where(self, row: int, name: str | None = None) -> str:
        """`file, row 3, column 'b'` for messages; rows count from 1, in a text file its lines."""
        number = row + 1 if self.lines is None else int(self.lines[row])
        tail = "" if name is None else f", column '{name}'"
        return f"{self.source}, row {number}{tail}"

    def missing(self, name: str) -> NDArray[np.bool_]:
        """Which rows `(n,)` have no value in a column.

        Raises:
            UserError: no such column.
        """
        column = self.column(name)
        if isinstance(column, NumberColumn):
            return np.isnan(column.values)
        return column.codes < 0

    def numbers(self, name: str, role: str = "", hint: str = "") -> NDArray[np.float64]:
        """A column that must hold numbers: `(n,)`, NaN where missing; a view, not a copy.

        Raises:
            UserError: no such column, or it holds text: the first one is named by row. `role` says
                what the column is wanted for; `hint` what else could be done.
        """
        column = self.column(name)
        if isinstance(column, NumberColumn):
            return column.values
        texts = [i for i, text in enumerate(column.labels) if parse_number(text) is None]
        row = int(np.flatnonzero(np.isin(column.codes, texts))[0])
        found = column.labels[column.codes[row]]
        if all(_DECIMAL_COMMA.match(column.labels[i]) for i in texts):
            hint = " Write decimals with a point."
        elif all(parse_number(column.labels[i].replace(",", "")) is not None for i in texts):
            hint = " Leave out the commas between thousands."
        mixture = " in a column that also holds numbers" if column.numeric_labels() else ""
        raise UserError(f"{self.where(row, name)}: '{found}' is not a number{mixture}{role}.{hint}")

    def categories(self, name: str) -> TextColumn:
        """A column as categories, whatever it holds; numbers become their shortest spelling."""
        column = self.column(name)
        if isinstance(column, TextColumn):
            return column
        return as_text(column.values)


def absent(name: str, names: Sequence[str]) -> str:
    """The message for a column that is not there, with the nearest name and all others."""
    return f"no column '{name}'.{nearest(name, names)} Columns: {listing(names, 30)}"


def as_text(values: NDArray[np.float64]) -> TextColumn:
    """Numbers `(n,)` as text; NaN is a missing value."""
    unique, inverse = np.unique(values, return_inverse=True, equal_nan=True)
    codes = inverse.astype(np.int32).reshape(-1)
    if len(unique) and np.isnan(unique[-1]):
        codes[codes == len(unique) - 1] = -1
        unique = unique[:-1]
    return TextColumn(codes, tuple(label(value) for value in unique.tolist()))


def encode_text(texts: Sequence[str | None]) -> Column:
    """Texts `(n,)` as a column: of numbers where every one is a number or missing, else of text."""
    numbers = [float("nan") if text is None else parse_number(text) for text in texts]
    if not any(number is None for number in numbers):
        return NumberColumn(np.array(numbers, dtype=np.float64))
    index: dict[str, int] = {}
    codes = np.empty(len(texts), dtype=np.int32)
    for i, (text, number) in enumerate(zip(texts, numbers, strict=True)):
        missing = text is None or (number is not None and number != number)
        codes[i] = -1 if missing else index.setdefault(label(str(text)), len(index))
    return TextColumn(codes, tuple(index))


def _column(array: NDArray[Any], where: str) -> Column:
    if array.dtype.kind in "biuf":
        return NumberColumn(array.astype(np.float64, copy=False))
    if array.dtype.kind == "M":
        array = np.where(np.isnat(array), "", np.datetime_as_string(array))
    if array.dtype.kind in "UTSO":
        cells = [_cell(value, where) for value in array.tolist()]
        return encode_text(cells)
    raise UserError(f"{where}: values of type {array.dtype}; allowed: numbers and text")


def _cell(value: Any, where: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, int | float):
        return repr(float(value))
    raise UserError(f"{where}: a value of type {type(value).__name__}; allowed: numbers and text")
