"""Rows picked from the data in the order of an epoch."""

from __future__ import annotations

import numpy as np

from tagi_cli.backend.base import Array


def gather_rows(out: Array, table: Array, order: Array, cursor: Array, B: int, n: int) -> None:
    """`out[b] = table[order[cursor + b]]`: `B` rows of `n` elements; `cursor` is one number."""
    first = int(cursor[0])
    np.take(table, order[first : first + B], axis=0, out=out, mode="clip")


def gather_windows(
    out: Array,
    rows: Array,
    starts: Array,
    order: Array,
    cursor: Array,
    center: Array | None,
    scale: Array | None,
    B: int,
    T: int,
    C: int,
) -> None:
    """`out[b]` is window `i = order[cursor + b]`: the `T` rows of `C` columns from `starts[i]` on.

    They are less `center[i]` and divided by `scale[i]`, `(n, C)` each, where these are given.
    """
    first = int(cursor[0])
    which = order[first : first + B]
    taken = out.reshape(B, T, C)
    np.take(rows, starts[which, None] + np.arange(T), axis=0, out=taken, mode="clip")
    if center is not None and scale is not None:
        taken -= center[which, None]
        taken /= scale[which, None]


def follow_rows(continues: Array, follows: Array, cursor: Array, fresh: int, B: int) -> None:
    """Row `b` of a batch goes on from carried row `b` where it follows, else from row `fresh`."""
    first = int(cursor[0])
    continues[:B] = np.where(follows[first : first + B], np.arange(B), fresh)


def keep_rows(
    kept: Array,
    held: Array,
    carried: Array,
    slots: Array,
    order: Array,
    cursor: Array,
    B: int,
    n: int,
) -> None:
    """Keep `n` elements of each row of a batch that has a slot: `kept[slot] = carried[b]`.

    Row `b` has slot `slots[order[cursor + b]]`, or none where that is negative; `held` says of each
    slot whether it was filled.
    """
    first = int(cursor[0])
    slot = slots[order[first : first + B]]
    ends = np.flatnonzero(slot >= 0)
    kept.reshape(-1, n)[slot[ends]] = carried.reshape(-1, n)[ends]
    held[slot[ends]] = 1


def advance(cursor: Array, B: int) -> None:
    """Move the cursor past a batch."""
    cursor[0] += B


def fill(out: Array, value: float, n: int) -> None:
    """Set `n` elements to one value."""
    out.fill(value)
