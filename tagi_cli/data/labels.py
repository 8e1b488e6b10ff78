"""Labels of classes as numbers, and as indicators."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tagi_cli.data.table import Table, TextColumn, parse_number
from tagi_cli.errors import UserError, listing, nearest

Rows = NDArray[np.int64]


def fit_classes(table: Table, name: str, rows: Rows) -> tuple[str, ...]:
    """The labels that these rows hold, sorted: numbers by value if all are numbers, else as text.

    Raises:
        UserError: fewer than two.
    """
    column: TextColumn = table.categories(name)
    codes = np.unique(column.codes[rows])
    found = [column.labels[code] for code in codes if code >= 0]
    if len(found) < 2:
        held = f"only '{found[0]}'" if found else "no value"
        raise UserError(
            f"{table.source}, column '{name}': {held} in the training part; to tell classes apart "
            "takes two labels at least"
        )
    numbers = [parse_number(text) for text in found]
    if all(number is not None for number in numbers):
        return tuple(sorted(found, key=float))
    return tuple(sorted(found))


def class_numbers(
    table: Table, name: str, rows: Rows | slice, classes: tuple[str, ...]
) -> NDArray[np.float64]:
    """Number of the class of each row `(rows,)`, NaN where there is no label.

    Raises:
        UserError: a label that is not among the classes.
    """
    column = table.categories(name)
    place = {label: float(i) for i, label in enumerate(classes)}
    known = np.array([*(place.get(text, -1.0) for text in column.labels), np.nan])
    numbers = known[column.codes[rows]]
    unknown = np.flatnonzero(numbers < 0)
    if len(unknown):
        row = int(np.arange(len(table))[rows][unknown[0]])
        text = column.labels[column.codes[row]]
        more = f" ({len(unknown) - 1} more rows likewise)" if len(unknown) > 1 else ""
        raise UserError(
            f"{table.where(row, name)}: label '{text}' is in no training row{more}."
            f"{nearest(text, classes)} Known: {listing(classes)}"
        )
    return numbers


def one_hot(numbers: NDArray[np.float64], classes: int, dtype: DTypeLike) -> NDArray[Any]:
    """Indicators `(n, classes)` of class numbers `(n,)`; a missing one gives a row of NaN."""
    made: NDArray[Any] = (numbers[:, None] == np.arange(classes)).astype(dtype)
    made[np.isnan(numbers)] = np.nan
    return made
