"""A plain table: each row is an example."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.components import Components
from tagi_cli.data.encoder import Encoder
from tagi_cli.data.fitting import check_targets, fit_inputs, fit_targets, statistics
from tagi_cli.data.inputs import filled_notice, no_value
from tagi_cli.data.labels import fit_classes
from tagi_cli.data.options import DataOptions
from tagi_cli.data.parts import Part
from tagi_cli.data.splits import PARTS, Split, split
from tagi_cli.data.table import Table
from tagi_cli.errors import UserError

Rows = NDArray[np.int64]


class Loaded(NamedTuple):
    """Training, validation and test part, their encoder, and facts for the report."""

    parts: tuple[Part, Part, Part]
    encoder: Encoder
    summary: dict[str, Any]


def load_rows(
    table: Table, components: Components, options: DataOptions, dtype: str, notices: list[str]
) -> Loaded:
    """Split a table by rows, fit the encoder on its training rows, and encode all of them.

    Raises:
        UserError: a value that is missing or does not fit, or a part without targets.
    """
    rows = usable_rows(table, components, options, notices)
    parts = split(table, rows, options)
    check_targets(table, components.outputs, parts[:2])
    check_batch_size(options, len(parts.train), "rows", table)
    encoder = _fit(table, components, parts, options, dtype, notices)
    encoded, filled = [], Counter[str]()
    for part_rows in parts[:3]:
        x, counts = encoder.encode_counting(table, part_rows)
        filled += counts
        y, raw = encoder.targets(table, part_rows), encoder.raw_targets(table, part_rows)
        encoded.append(Part(x, y, raw, part_rows, encoder.center_y[None], encoder.scale_y[None]))
    if filled:
        in_order = {name: filled[name] for name in encoder.inputs if filled[name]}
        notices.append(filled_notice(in_order))
    summary = {
        "split": {"method": parts.method, "seed": options.split_seed}
        | {part: len(rows) for part, rows in zip(PARTS, parts[:3], strict=True)},
        "rows_dropped": len(table) - len(rows),
        "inputs_filled": filled.total(),
        "statistics": statistics(table, components, parts.train, notices),
    }
    return Loaded((encoded[0], encoded[1], encoded[2]), encoder, summary)


def check_batch_size(
    options: DataOptions, examples: int, what: str, table: Table, why: str = ""
) -> None:
    """Make sure that there are as many training examples as a batch has.

    Args:
        options: the keys of `data:`.
        examples: how many there are.
        what: what they are, for the message.
        table: where they are from.
        why: the end of the message, if there is more to tell.

    Raises:
        UserError: there are fewer.
    """
    if options.rows_per_update(examples) > examples:
        raise UserError(
            f"data.batch_size: found {options.batch_size}. Allowed: at most the "
            f"{examples} training {what} of {table.source}, or null{why}"
        )


def usable_rows(
    table: Table, components: Components, options: DataOptions, notices: list[str]
) -> Rows:
    """Numbers of the rows to divide: all, or those whose inputs are complete."""
    rows = np.arange(len(table), dtype=np.int64)
    if options.missing == "mean":
        return rows
    complete = np.ones(len(table), dtype=bool)
    for name in components.inputs:
        missing = table.missing(name)
        if options.missing == "error" and missing.any():
            raise UserError(
                f"{no_value(table, name, rows[missing])} Set data.missing=mean to use the mean of "
                "the training part instead, or data.missing=drop to leave such rows out"
            )
        complete &= ~missing
    dropped = len(table) - int(complete.sum())
    if dropped:
        notices.append(f"{dropped} of {len(table)} rows dropped: an input is missing")
    if dropped and len(table) - dropped < 2:
        raise UserError(
            f"data.missing: dropping rows with a missing input leaves {len(table) - dropped} of "
            f"{len(table)} rows of {table.source}; leave the emptiest columns out of "
            "data.in_components, or set data.missing to 'mean'"
        )
    return rows[complete]


def _fit(
    table: Table,
    components: Components,
    parts: Split,
    options: DataOptions,
    dtype: str,
    notices: list[str],
) -> Encoder:
    train, others = parts.train, np.concatenate(parts[1:3])
    columns = fit_inputs(table, components, train, others, options, notices)
    if components.labels:
        classes = fit_classes(table, components.outputs[0], train)
        K = len(classes)
        return Encoder(columns, components.outputs, np.zeros(K), np.ones(K), dtype, classes)
    rows = [train] * len(components.outputs)
    center, scale = fit_targets(table, components.outputs, rows, options)
    return Encoder(columns, components.outputs, center, scale, dtype)
