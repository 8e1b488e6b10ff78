"""The epochs of a run as rows, and as one array that a checkpoint can hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Row = dict[str, Any]
"""One epoch: `phase` (text), `epoch` (from 1) and numbers by name."""

SEARCH, REFIT = "search", "refit"
PHASES = (SEARCH, REFIT)
"""The search of the best epoch on the training rows; the refit on all rows."""


def to_array(rows: Sequence[Row]) -> tuple[list[str], NDArray[np.float64]]:
    """Column names, and the rows as `(epochs, columns)`; what a row lacks is NaN."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    array = np.full((len(rows), len(columns)), math.nan)
    for line, row in zip(array, rows, strict=True):
        for column, name in enumerate(columns):
            value = row.get(name, math.nan)
            line[column] = PHASES.index(value) if name == "phase" else value
    return columns, array


def from_array(columns: Sequence[str], array: NDArray[np.float64]) -> list[Row]:
    """The rows that `to_array` was given; values that were NaN are left out."""
    rows = []
    for line in array.tolist():
        row: Row = {n: v for n, v in zip(columns, line, strict=True) if not math.isnan(v)}
        rows.append(row | {"phase": PHASES[int(row["phase"])], "epoch": int(row["epoch"])})
    return rows
