"""Fitting an encoder: inputs, categories and scalers from the training rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.components import Components
from tagi_cli.data.inputs import (
    Input,
    TimeInput,
    category_counts,
    checked_scaler,
    fit_categories,
    fit_input,
)
from tagi_cli.data.options import DataOptions
from tagi_cli.data.scaling import Moments, fit, moments
from tagi_cli.data.splits import PARTS
from tagi_cli.data.table import Table
from tagi_cli.errors import UserError, listing

Rows = NDArray[np.int64]

# Squares of errors, and sums of them, in the unit of the target stay within float64.
_LARGEST_TARGET = 1e100


def fit_inputs(
    table: Table,
    components: Components,
    train: Rows,
    others: Rows,
    options: DataOptions,
    notices: list[str],
) -> tuple[Input, ...]:
    """The inputs as the training rows have them; of categories also those of the `others`.

    Raises:
        UserError: an input without a value in the training rows, or one too large to be scaled.
    """
    method = options.scaling_method if options.scaling_tag != "none" else "none"
    keep_mean = options.missing == "mean"
    columns: list[Input] = []
    for name in components.inputs:
        if name in components.categorical:
            columns.append(fit_categories(table, name, train, keep_mean, others))
            unseen = _unseen(table, name, train, others)
            if unseen:
                notices.append(
                    f"column '{name}': {listing(unseen)} in no training row; predictions for "
                    "rows like these will be unsure"
                )
        else:
            columns.append(fit_input(table, name, train, method, keep_mean))
    if options.time is not None:
        columns += [TimeInput(name, options.time) for name in options.time_covariates]
    return tuple(columns)


def fit_targets(
    table: Table, names: Sequence[str], train: Sequence[Rows], options: DataOptions
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres and scales of targets `(K,)`, each from its own training rows.

    Raises:
        UserError: values so large or small that variances in their unit are no numbers.
    """
    method = options.scaling_method if options.scaling_tag == "full" else "none"
    pairs = zip(names, train, strict=True)
    scalers = [_target_scaler(table, name, rows, method) for name, rows in pairs]
    center, scale = np.array(scalers, dtype=np.float64).T
    return center.copy(), scale.copy()


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


def _unseen(table: Table, name: str, train: Rows, rows: Rows) -> list[str]:
    """Categories of these rows that no training row holds."""
    column = table.categories(name)
    others = category_counts(column, rows)
    alone = np.flatnonzero((others > 0) & (category_counts(column, train) == 0))
    return sorted(column.labels[i] for i in alone)


def check_targets(table: Table, names: Sequence[str], parts: Sequence[Rows]) -> None:
    """Make sure that every target has a value in the training rows, and in those of validation.

    Raises:
        UserError: one has none.
    """
    for name in names:
        missing = table.missing(name)
        if missing.all():
            raise UserError(f"{table.source}, column '{name}': the target has no value at all")
        for part, rows in zip(PARTS[:2], parts[:2], strict=True):
            if len(rows) and missing[rows].all():
                raise UserError(
                    f"{table.source}, column '{name}': the target has no value in the {part} part"
                )


def statistics(
    table: Table, components: Components, train: Rows, notices: list[str]
) -> list[dict[str, Any]]:
    """Facts of each input and target in the training part, for the report."""
    facts = []
    for name in dict.fromkeys((*components.inputs, *components.outputs)):
        fact: dict[str, Any] = {
            "name": name,
            "role": "target" if name in components.outputs else "input",
        }
        if name in components.categorical or name in components.labels:
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
