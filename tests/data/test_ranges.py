"""Columns of new rows that lie where nothing was learnt."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tagi_cli.data.ranges import beyond_notices, means_of
from tagi_cli.data.table import Table

LEARNT = [
    {"name": "area", "minimum": 40.0, "maximum": 250.0},
    {"name": "city", "categories": {"Oslo": 3}},
    {"name": "same", "minimum": 0.1, "maximum": 0.1},
    {"name": "none", "minimum": None, "maximum": None},
]


@pytest.mark.parametrize("mean", [40.0, 100.0, 250.0, math.nan])
def test_a_mean_within_the_range_is_no_remark(mean: float) -> None:
    means = {"area": mean, "same": float(np.mean([0.1] * 7)), "none": 3.0, "other": 1e9}
    assert beyond_notices(LEARNT, means) == []


@pytest.mark.parametrize(("mean", "told"), [(39.9, "39.9"), (1234.5678, "1234.57")])
def test_a_mean_outside_is_told_with_the_range(mean: float, told: str) -> None:
    assert beyond_notices(LEARNT, {"area": mean}) == [
        f"column 'area': its mean, {told}, lies outside what was learnt, 40 to 250: other units, "
        "or new ground"
    ]


def test_means_are_those_of_numbers_that_are_there() -> None:
    table = Table.from_columns(
        {
            "a": [1.0, 2, 3, 4, 5, math.nan],
            "few": [9.0, 9, 9, 9, math.nan, math.nan],
            "kind": ["x", "y", "x", "y", "x", "y"],
        },
        "t.csv",
    )
    assert means_of(table, ("a", "few", "kind", "absent")) == {"a": 3.0}
