"""Rows picked from the data in the order of an epoch."""

from __future__ import annotations

import numpy as np

from tagi_cli.backend.base import Array


def gather_rows(out: Array, table: Array, order: Array, cursor: Array, B: int, n: int) -> None:
    """`out[b] = table[order[cursor + b]]`: `B` rows of `n` elements; `cursor` is one number."""
    first = int(cursor[0])
    np.take(table, order[first : first + B], axis=0, out=out, mode="clip")


def advance(cursor: Array, B: int) -> None:
    """Move the cursor past a batch."""
    cursor[0] += B


def fill(out: Array, value: float, n: int) -> None:
    """Set `n` elements to one value."""
    out.fill(value)
