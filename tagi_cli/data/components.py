"""Which columns are inputs and targets, and which inputs are categories."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

import numpy as np

from tagi_cli.data.options import DataOptions
from tagi_cli.data.splits import PARTS
from tagi_cli.data.table import NumberColumn, Table, TextColumn, absent
from tagi_cli.errors import UserError, UserErrors, listing

_MOST_CATEGORIES = 100


@dataclass(frozen=True)
class Components:
    """Columns by role, in the user's order.

    `categorical` is a subset of `inputs`; `labels` are the outputs where they are classes, else
    empty.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    categorical: frozenset[str]
    labels: frozenset[str] = frozenset()


def choose(
    table: Table,
    options: DataOptions,
    default_outputs: Sequence[str],
    notices: list[str],
    *,
    classify: bool = False,
    windowed: bool = False,
    predicts_later: bool = False,
) -> Components:
    """Find the columns that the options name.

    Args:
        table: with the columns.
        options: what the user asked for.
        default_outputs: targets where the options name none.
        notices: collects remarks for the user.
        classify: whether the target is a label, which may be text.
        windowed: whether inputs are seen through windows, so that a target may be one.
        predicts_later: whether targets come after the inputs, so that all targets are inputs where
            the options name none; the only column of numbers is then the default target.

    Raises:
        UserErrors: every name that is not there or has two roles at once.
        UserError: no target named, no number in the table, no input left, several labels, or a
            column that mixes text and numbers.
    """
    feeds_back = predicts_later and not classify
    wanted = options.out_components or tuple(default_outputs)
    wanted = _targets(table, options, wanted, classify=classify, feeds_back=feeds_back)
    special = {
        "data.split_column": options.split_column,
        "data.instance": options.instance,
        "data.time": options.time,
    }
    reserved = {name for name in special.values() if name is not None}
    faults = [
        f"{key}: {_absent(table, name)}"
        for key, name in special.items()
        if name is not None and name not in table.columns
    ]
    outputs = _matching("data.out_components", wanted, table, reserved, faults)
    reserved |= set(outputs)
    shown = outputs if windowed else []
    inputs = _matching("data.in_components", options.in_components, table, reserved, faults, shown)
    categorical = _matching("data.categorical", options.categorical, table, reserved, faults)
    faults += [
        f"data.out_components: column '{name}' is also {key}"
        for name in outputs
        for key, other in special.items()
        if name == other
    ]
    faults += _not_inputs(table, options, inputs, () if windowed else outputs)
    remarks: list[str] = []
    if not options.in_components:
        if feeds_back:
            reserved -= set(outputs)
        inputs = _default_inputs(table, reserved, categorical, outputs, remarks)
    notices += remarks
    faults += [
        f"data.categorical: column '{name}' is not among the inputs"
        for name in categorical
        if name not in inputs
    ]
    if faults:
        raise UserErrors(faults)
    if not inputs and not options.time_covariates:
        reasons = "".join(f"; {remark}" for remark in remarks)
        raise UserError(
            f"data.in_components: {table.source} has no column left to be an input{reasons}"
        )
    if classify and len(outputs) > 1:
        raise UserError(
            f"data.out_components: found {listing(outputs)}. Allowed: one column of labels"
        )
    numbers = [name for name in inputs if name not in categorical]
    _check_numbers(table, () if classify else outputs, numbers)
    texts = {name for name in inputs if isinstance(table.column(name), TextColumn)}
    return Components(
        tuple(inputs),
        tuple(outputs),
        frozenset(texts | set(categorical)),
        frozenset(outputs if classify else ()),
    )


def _targets(
    table: Table,
    options: DataOptions,
    wanted: tuple[str, ...],
    *,
    classify: bool,
    feeds_back: bool,
) -> tuple[str, ...]:
    """The wanted targets; where there are none and they are fed back, the only numbers.

    Raises:
        UserError: none is known, or the table has no numbers.
    """
    names = table.columns
    if not classify and not any(_has_number(table, name) for name in names):
        raise UserError(f"{table.source}: no column holds numbers. Columns: {listing(names, 30)}")
    if not wanted and feeds_back:
        wanted = _only_numbers(table, options)
    if not wanted:
        raise UserError(
            "data.out_components: name the column to predict (or several). Columns of "
            f"{table.source}: {listing(names, 30)}"
        )
    return wanted


def _not_inputs(
    table: Table, options: DataOptions, inputs: Sequence[str], targets: Sequence[str]
) -> list[str]:
    """What keeps columns from being inputs, one message each; no target may be one."""
    faults = []
    for name in inputs:
        if name in targets or name == options.split_column:
            role = "a target" if name in targets else "data.split_column"
            faults.append(f"data.in_components: column '{name}' is also {role}")
        elif name == options.time and isinstance(table.column(name), TextColumn):
            faults.append(
                f"data.in_components: column '{name}' holds times as text, which cannot be an "
                "input; add columns of numbers made from it, such as the hour or the day"
            )
    return faults


def _check_numbers(table: Table, targets: Iterable[str], inputs: Iterable[str]) -> None:
    """Make sure that targets are numbers, and that no input mixes numbers and text.

    Raises:
        UserError: one is not.
    """
    for name in targets:
        table.numbers(name, " (a target must be)", " For labels set task=classification.")
    for name in inputs:
        if _has_number(table, name):
            table.numbers(
                name, hint=" List the column in data.categorical to use its values as categories."
            )


def _only_numbers(table: Table, options: DataOptions) -> tuple[str, ...]:
    """The only column of numbers that has no other role; empty if there are several."""
    others = {options.instance, options.time, options.split_column, *options.categorical}
    found = [name for name in table.columns if name not in others and _has_number(table, name)]
    return tuple(found) if len(found) == 1 else ()


def _matching(
    key: str,
    patterns: Iterable[str],
    table: Table,
    reserved: set[str],
    faults: list[str],
    otherwise: Sequence[str] = (),
) -> list[str]:
    """Columns named by `patterns`, each once.

    A pattern takes no reserved column, but those of `otherwise` where it names nothing else.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        if pattern in table.columns:
            found[pattern] = None
            continue
        free = (name for name in table.columns if name not in reserved)
        hits = [name for name in free if fnmatchcase(name, pattern)]
        hits = hits or [name for name in otherwise if fnmatchcase(name, pattern)]
        if not hits:
            faults.append(f"{key}: {_absent(table, pattern)}")
        found.update(dict.fromkeys(hits))
    return list(found)


def _absent(table: Table, name: str) -> str:
    hint = "" if table.has_header else " (the first row holds no names, and is data)"
    return f"{table.source} has {absent(name, table.columns)}{hint}"


def _default_inputs(
    table: Table,
    reserved: set[str],
    categorical: Sequence[str],
    targets: Sequence[str],
    notices: list[str],
) -> list[str]:
    """All columns without another role, less those without values and those like identifiers."""
    inputs = []
    for name in table.columns:
        if name in reserved:
            continue
        column = table.column(name)
        if isinstance(column, NumberColumn):
            if name not in categorical and bool(np.isnan(column.values).all()):
                notices.append(f"column '{name}' has no value at all; left out of the inputs")
                continue
            counts = len(table) > 2 and bool((np.diff(column.values) == 1).all())
            if counts and name not in targets:
                notices.append(
                    f"column '{name}' counts the rows and is used as an input; if it is only a "
                    "number for each row, list the others in data.in_components"
                )
        elif name not in categorical and not column.numeric_labels():
            different = len(column.labels)
            if {text.lower() for text in column.labels} <= set(PARTS) and different > 1:
                notices.append(
                    f"column '{name}' holds {listing(column.labels)} and is used as an input; if "
                    f"it is the split, set data.split_column={name}"
                )
            if different > min(_MOST_CATEGORIES, max(2, len(table) // 2)):
                use = "name it in data.categorical to use it"
                if _is_time(column.labels[0]):
                    use = f"{shlex.quote(f'data.time={name}')} would split by time"
                notices.append(
                    f"column '{name}' has {different} different texts, such as "
                    f"'{column.labels[0]}', in {len(table)} rows; left out of the inputs ({use})"
                )
                continue
        inputs.append(name)
    return inputs


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _has_number(table: Table, name: str) -> bool:
    column = table.column(name)
    if isinstance(column, TextColumn):
        return bool(column.numeric_labels())
    return not bool(np.isnan(column.values).all())
