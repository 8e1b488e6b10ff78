"""From the options of `data:` to scaled parts ready for training."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from tagi_cli.data import bundled
from tagi_cli.data.components import Components, choose
from tagi_cli.data.encoder import (
    Encoder,
    Input,
    category_counts,
    checked_scaler,
    filled_notice,
    fit_categories,
    fit_input,
    no_value,
)
from tagi_cli.data.options import DataOptions
from tagi_cli.data.parts import Dataset, Part, Rows
from tagi_cli.data.scaling import Moments, fit, moments
from tagi_cli.data.sources import read_table
from tagi_cli.data.splits import PARTS, Split, split
from tagi_cli.data.table import Table
from tagi_cli.errors import UserError, UserErrors, listing

# Squares of errors, and sums of them, in the unit of the target stay within float64.
_LARGEST_TARGET = 1e100


def load(
    options: DataOptions, *, dtype: str = "float32", notices: list[str] | None = None
) -> Dataset:
    """Read, split and scale the table that the options name.

    Args:
        options: the keys of `data:`.
        dtype: of the scaled arrays, float32 or float64: that of the network that learns them.
        notices: collects one-line remarks for the user.

    Raises:
        UserError: any mistake in the options or the file; see the modules of this package.
    """
    notices = notices if notices is not None else []
    faults = options.faults()
    if faults:
        raise UserErrors(faults)
    notices += options.remarks()
    table, name, sha256, default_outputs = _source(options, notices)
    if len(table) < 2:
        raise UserError(f"{table.source}: 1 row; training and validation need 2 at least")
    components = choose(table, options, default_outputs, notices)
    rows = _usable_rows(table, components, options, notices)
    parts = split(table, rows, options)
    _check_parts(table, components, parts)
    if options.rows_per_update(len(parts.train)) > len(parts.train):
        raise UserError(
            f"data.batch_size: found {options.batch_size}. Allowed: at most the "
            f"{len(parts.train)} training rows of {table.source}, or null"
        )
    encoder = _fit(table, components, parts, options, dtype, notices)
    encoded, filled = [], Counter[str]()
    for part_rows in parts[:3]:
        x, counts = encoder.encode_counting(table, part_rows)
        filled += counts
        y, target = encoder.targets(table, part_rows), encoder.raw_targets(table, part_rows)
        assert y is not None  # the targets were found in this table
        assert target is not None
        encoded.append(Part(x, y, target, part_rows, encoder.center_y[None], encoder.scale_y[None]))
    if filled:
        in_order = {name: filled[name] for name in encoder.inputs if filled[name]}
        notices.append(filled_notice(in_order))
    summary = {
        "name": name,
        "source": table.source,
        "sha256": sha256,
        "rows": len(table),
        "columns": len(table.columns),
        "inputs": list(encoder.inputs),
        "features": list(encoder.features),
        "outputs": list(encoder.outputs),
        "split": {"method": parts.method, "seed": options.split_seed}
        | {part: len(rows) for part, rows in zip(PARTS, parts[:3], strict=True)},
        "rows_dropped": len(table) - len(rows),
        "inputs_filled": filled.total(),
        "statistics": _statistics(table, components, parts.train, notices),
    }
    return Dataset(encoded[0], encoded[1], encoded[2], encoder, name, sha256, summary)


def _source(options: DataOptions, notices: list[str]) -> tuple[Table, str, str, tuple[str, ...]]:
    """The table, its name, the sha256 of its source, and its usual targets."""
    if options.path is None:
        name = str(options.name)
        chosen = bundled.find(name)
        table, sha256 = chosen.read()
        return table, name, sha256, chosen.outputs
    try:
        table = read_table(options.path, notices)
    except UserError as error:
        raise UserError(f"data.path: {error}") from None
    path = Path(options.path).expanduser()
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return table, options.name or path.name.split(".")[0], sha256, ()


def _usable_rows(
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
    if len(table) - dropped < 2:
        raise UserError(
            f"data.missing: dropping rows with a missing input leaves {len(table) - dropped} of "
            f"{len(table)} rows of {table.source}; leave the emptiest columns out of "
            "data.in_components, or set data.missing to 'mean'"
        )
    return rows[complete]


def _check_parts(table: Table, components: Components, parts: Split) -> None:
    for name in components.outputs:
        values = table.numbers(name)
        if np.isnan(values).all():
            raise UserError(f"{table.source}, column '{name}': the target has no value at all")
        for part, rows in zip(PARTS[:2], parts[:2], strict=False):
            if len(rows) and np.isnan(values[rows]).all():
                raise UserError(
                    f"{table.source}, column '{name}': the target has no value in the {part} part"
                )


def _fit(
    table: Table,
    components: Components,
    parts: Split,
    options: DataOptions,
    dtype: str,
    notices: list[str],
) -> Encoder:
    train, others = parts.train, np.concatenate(parts[1:3])
    method_x = options.scaling_method if options.scaling_tag != "none" else "none"
    method_y = options.scaling_method if options.scaling_tag == "full" else "none"
    keep_mean = options.missing == "mean"
    columns: list[Input] = []
    for name in components.inputs:
        if name in components.categorical:
            columns.append(fit_categories(table, name, train, keep_mean, others))
            unseen = _unseen(table, name, parts)
            if unseen:
                notices.append(
                    f"column '{name}': {listing(unseen)} in no training row; predictions for "
                    "rows like these will be unsure"
                )
        else:
            columns.append(fit_input(table, name, train, method_x, keep_mean))
    scalers = [_target_scaler(table, name, train, method_y) for name in components.outputs]
    center_y, scale_y = np.array(scalers, dtype=np.float64).T
    return Encoder(tuple(columns), components.outputs, center_y.copy(), scale_y.copy(), dtype)


def _target_scaler(table: Table, name: str, train: Rows, method: str) -> tuple[float, float]:
    """Centre and scale of a target.

    Raises:
        UserError: its values are so large or small that variances in their unit are no numbers.
    """
    found = moments(table.numbers(name)[train])
    center, scale = checked_scaler(table, name, found, method)
    if abs(center) > _LARGEST_TARGET or not 1 / _LARGEST_TARGET < scale < _LARGEST_TARGET:
        raise UserError(
            f"{table.source}, column '{name}': values between {found.minimum:g} and "
            f"{found.maximum:g} have no variance in float64; give the target in another unit"
        )
    return center, scale


def _unseen(table: Table, name: str, parts: Split) -> list[str]:
    """Categories of the validation and test rows that no training row holds."""
    column = table.categories(name)
    others = category_counts(column, np.concatenate(parts[1:3]))
    alone = np.flatnonzero((others > 0) & (category_counts(column, parts.train) == 0))
    return sorted(column.labels[i] for i in alone)


def _statistics(
    table: Table, components: Components, train: Rows, notices: list[str]
) -> list[dict[str, Any]]:
    """Facts of each input and target in the training part, for the report."""
    facts = []
    for name in (*components.inputs, *components.outputs):
        fact: dict[str, Any] = {
            "name": name,
            "role": "target" if name in components.outputs else "input",
        }
        if name in components.categorical:
            column = table.categories(name)
            counts = category_counts(column, train)
            pairs = zip(column.labels, counts.tolist(), strict=True)
            fact["categories"] = {text: count for text, count in sorted(pairs) if count}
            observed = int(counts.sum())
        else:
            found: Moments = moments(table.numbers(name)[train])
            fact |= {"mean": found.mean, "sd": found.sd}
            fact |= {"minimum": found.minimum, "maximum": found.maximum}
            observed = found.observed
            fact["constant"] = fit(found, "z-norm").is_constant
            if fact["constant"]:
                notices.append(f"column '{name}' is constant in the training part ({found.mean:g})")
        fact["missing"] = len(train) - observed
        facts.append(fact)
    return facts
