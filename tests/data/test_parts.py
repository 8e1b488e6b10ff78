from __future__ import annotations

import numpy as np

from tagi_cli.data.parts import Part
from tagi_cli.data.windows import Windows

ROWS = np.arange(20.0).reshape(10, 2)


def part_of(numbers: np.ndarray, scale: float) -> Part:
    y = Windows(ROWS, numbers + 1, 1)
    target = np.asarray(y).reshape(len(numbers), 2)
    index = np.stack([numbers * 0, numbers * 0, numbers], axis=1)
    each = np.full((len(numbers), 2), scale)
    return Part(Windows(ROWS, numbers, 3), y, target, numbers, each, each, index, numbers * 1.5)


def test_parts_of_windows_join_in_every_field() -> None:
    one, two = part_of(np.array([0, 4]), 1.0), part_of(np.array([2]), 3.0)
    both = one.followed_by(two)
    assert len(both) == 3
    assert both.rows.tolist() == [0, 4, 2]
    assert np.array_equal(both.x, np.concatenate([one.x, two.x]))
    assert np.array_equal(both.y, np.concatenate([one.y, two.y]))
    assert np.array_equal(both.target, np.asarray(both.y)[:, 0])
    assert both.scale.tolist() == [[1, 1], [1, 1], [3, 3]]
    assert both.index is not None
    assert both.index[:, 2].tolist() == [0, 4, 2]
    assert both.time is not None
    assert both.time.tolist() == [0, 6, 3]


def test_scalers_that_both_parts_share_stay_one_row() -> None:
    shared = np.array([[2.0]])
    row = np.zeros((1, 1))
    one = Part(row, row, row, np.array([0]), shared, shared)
    both = one.followed_by(Part(row, row, row, np.array([1]), shared, shared))
    assert both.center.tolist() == both.scale.tolist() == [[2.0]]
    assert both.index is None
    assert both.time is None
