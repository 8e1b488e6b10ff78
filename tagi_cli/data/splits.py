"""Which rows train, which validate, which test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.options import DataOptions
from tagi_cli.data.table import Table
from tagi_cli.data.times import times
from tagi_cli.errors import UserError, nearest

Rows = NDArray[np.int64]
PARTS = ("train", "valid", "test")


class Split(NamedTuple):
    """Row numbers of each part; `method` says how they were chosen."""

    train: Rows
    valid: Rows
    test: Rows
    method: str


def split(table: Table, rows: Rows, options: DataOptions) -> Split:
    """Divide `rows` of the table as the options say; rows of a part keep the order of the file.

    Chronological parts are in order of time instead.

    Raises:
        UserError: too few rows for the portions, an unknown name in the split column, a time that
            is none, or an empty training part.
    """
    if options.split_column is not None:
        return _by_column(table, rows[: options.limit], options)
    if options.split_method == "gal":
        # Of the whole table, as the split is defined; then without the rows that were dropped.
        train, test = (part[np.isin(part, rows)] for part in gal(len(table), options.split_index))
        train, valid = draw_valid(train, options.valid_share(plain_table=True), options.split_seed)
        return Split(train, valid, np.sort(test), f"gal {options.split_index}")
    method = options.split_method
    if method == "auto":
        method = "random" if options.time is None else "chronological"
    if method.startswith("instance-"):
        return _by_instance(table, rows, options)
    if method == "random":
        order = np.random.default_rng(options.split_seed).permutation(rows)
    elif options.time is None:
        order = rows
    else:
        order = rows[np.argsort(times(table, options.time, rows), kind="stable")]
    parts = portions(order[: options.limit], options.shares(plain_table=True), table.source)
    if method == "random":
        parts = [np.sort(part) for part in parts]
    return Split(parts[0], parts[1], parts[2], method)


def portions(
    order: Rows, shares: Sequence[float], source: str, elements: str = "rows"
) -> list[Rows]:
    """Consecutive parts of `order` in these shares; the first takes what rounding leaves.

    A part of share 0 is empty, any other has one element at least.

    Raises:
        UserError: not enough elements for that.
    """
    n = len(order)
    n_valid, n_test = (max(1, round(share * n)) if share > 0 else 0 for share in shares[1:])
    n_train = n - n_valid - n_test
    if n_train < 1:
        one = "one" if elements != "rows" else "row"
        raise UserError(
            f"data.split_portions: {list(shares)} of {n} {elements} in {source} leave no training "
            f"{one}; use more {elements}, or set the portion of the validation or test part to 0"
        )
    return [order[:n_train], order[n_train : n_train + n_valid], order[n_train + n_valid :]]


def gal(n: int, index: int) -> tuple[Rows, Rows]:
    """Training and test rows of standard UCI split `index` (0 to 19) of a table of n rows.

    The published splits come from one legacy generator seeded with 1 that draws a permutation
    per split; 90 % (rounded half up) are for training. Rows are in the published order.
    """
    generator = np.random.RandomState(1)
    for _ in range(index + 1):
        order = generator.choice(n, n, replace=False)
    cut = int(0.9 * n + 0.5)
    return order[:cut].astype(np.int64), order[cut:].astype(np.int64)


def draw_valid(train: Rows, portion: float, seed: int) -> tuple[Rows, Rows]:
    """Move a random portion of the training rows (one at least, unless 0) to validation; sorted.

    Raises:
        UserError: no training row would be left.
    """
    if portion == 0:
        return np.sort(train), train[:0]
    n_valid = max(1, round(portion * len(train)))
    if n_valid >= len(train):
        raise UserError(
            f"data.valid_portion: {portion:g} of {len(train)} training rows leaves the training "
            "part empty; use more rows, or set it to 0"
        )
    order = np.random.default_rng(seed).permutation(train)
    return np.sort(order[n_valid:]), np.sort(order[:n_valid])


def marks(table: Table, rows: Rows, name: str) -> Rows:
    """Number in `PARTS` of the part that a split column gives each of these rows.

    Raises:
        UserError: a value that names no part, or no row for training.
    """
    column = table.categories(name)
    part_of_code = np.full(len(column.labels) + 1, -1)
    for code, text in enumerate(column.labels):
        if text.lower() in PARTS:
            part_of_code[code] = PARTS.index(text.lower())
    part = part_of_code[column.codes[rows]]
    if (part < 0).any():
        row = int(rows[part < 0].min())
        code = int(column.codes[row])
        found = "no value" if code < 0 else f"'{column.labels[code]}'"
        hint = "" if code < 0 else nearest(column.labels[code].lower(), PARTS)
        raise UserError(f"{table.where(row, name)}: {found}.{hint} Allowed: {', '.join(PARTS)}")
    if not (part == 0).any():
        raise UserError(
            f"data.split_column: column '{name}' of {table.source} marks no row as train; "
            "the training part must not be empty"
        )
    return part


def _by_instance(table: Table, rows: Rows, options: DataOptions) -> Split:
    """All rows of an instance in one part; instances at random, or by the time of their first."""
    name, method = str(options.instance), options.split_method
    codes = table.categories(name).codes[rows].astype(np.int64)
    if (codes < 0).any():
        row = int(rows[np.flatnonzero(codes < 0)[0]])
        raise UserError(
            f"{table.where(row, name)}: no value; every row needs the name of its instance"
        )
    order = np.arange(len(rows))
    if method == "instance-chronological" and options.time is not None:
        order = np.argsort(times(table, options.time, rows), kind="stable")
    found, first = np.unique(codes[order], return_index=True)
    instances = found[np.argsort(first)]
    if method == "instance-random":
        instances = np.random.default_rng(options.split_seed).permutation(instances)
    shares = options.shares(plain_table=True)
    parts = portions(instances[: options.limit], shares, table.source, "instances")
    train, valid, test = (rows[np.isin(codes, part)] for part in parts)
    return Split(train, valid, test, method)


def _by_column(table: Table, rows: Rows, options: DataOptions) -> Split:
    name = str(options.split_column)
    part = marks(table, rows, name)
    train, valid, test = (rows[part == i] for i in range(3))
    if not len(valid):
        train, valid = draw_valid(train, options.valid_share(plain_table=True), options.split_seed)
    return Split(train, valid, test, f"column {name}")
