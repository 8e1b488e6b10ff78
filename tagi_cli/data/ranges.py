"""New rows beside those that were learnt: a column in other units is noticed by its range."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tagi_cli.data.table import NumberColumn, Table

LEAST_ROWS = 5
"""Fewer rows may well be questions about what was never seen."""


def means_of(table: Table, names: Iterable[str]) -> dict[str, float]:
    """Means of columns of numbers, where a table has at least `LEAST_ROWS` values of them."""
    found = {}
    for name in names:
        column = table.data.get(name)
        if isinstance(column, NumberColumn):
            values = column.values[np.isfinite(column.values)]
            if len(values) >= LEAST_ROWS:
                found[name] = float(values.mean())
    return found


def beyond_notices(learnt: Sequence[Mapping[str, Any]], means: Mapping[str, float]) -> list[str]:
    """A remark for each column whose mean lies outside the range in which it was learnt.

    Args:
        learnt: facts of each column in the training part, as in environment.json.
        means: of new rows, by column.
    """
    notices = []
    for fact in learnt:
        name, low, high = fact["name"], fact.get("minimum"), fact.get("maximum")
        mean = means.get(name, math.nan)
        if low is None or high is None or math.isnan(mean):
            continue
        slack = 1e-9 * max(abs(low), abs(high))  # of the mean of a column that is constant
        if low - slack <= mean <= high + slack:
            continue
        notices.append(
            f"column '{name}': its mean, {mean:.6g}, lies outside what was learnt, {low:.6g} to "
            f"{high:.6g}: other units, or new ground"
        )
    return notices
