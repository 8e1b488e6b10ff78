from __future__ import annotations

import numpy as np

from tagi_cli.data.parts import Part
from tagi_cli.data.windows import Windows

ROWS = np.random.default_rng(0).normal(size=(10, 2))


def part_of(numbers: np.ndarray, level: float) -> Part:
    """Windows of three rows, each scaled by scalers of its own; the two after them are targets."""
    center, scale = np.full((2, len(numbers), 2), [[[level]], [[level + 1]]])
    x = Windows(ROWS, numbers, 3, center, scale)
    y = Windows(ROWS, numbers + 3, 2, center, scale)
    raw = Windows(ROWS, numbers + 3, 2)
    index = np.stack([numbers * 0, numbers * 0, numbers], axis=1)
    return Part(x, y, raw, numbers, center, scale, index, numbers * 1.5)


def test_targets_are_flat_step_by_step_and_restored_by_their_scalers() -> None:
    part = part_of(np.array([0, 4]), 2.0)
    assert part.target.shape == part.center.shape == part.scale.shape == (2, 4)
    assert part.target[1].tolist() == [*ROWS[7], *ROWS[8]]
    y = np.asarray(part.y).reshape(2, 4)
    np.testing.assert_allclose(part.center + part.scale * y, part.target, atol=1e-12)


def test_targets_of_no_example_have_their_width() -> None:
    part = part_of(np.empty(0, np.int64), 2.0)
    assert part.target.shape == part.center.shape == (0, 4)


def test_components_keep_their_scalers_in_every_step() -> None:
    y = Windows(ROWS, np.array([1, 2, 3]), 2)
    center, scale = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])
    part = Part(y, y, y, np.arange(3), center, scale)
    assert part.center.tolist() == [[1, 2, 1, 2]]
    assert part.scale.tolist() == [[3, 4, 3, 4]]


def test_parts_of_windows_join_in_every_field() -> None:
    one, two = part_of(np.array([0, 4]), 1.0), part_of(np.array([2]), 3.0)
    both = one.followed_by(two)
    assert len(both) == 3
    assert both.rows.tolist() == [0, 4, 2]
    for name in ("x", "y", "target", "center", "scale", "index", "time"):
        parts = [np.asarray(getattr(part, name)) for part in (one, two)]
        assert np.array_equal(np.asarray(getattr(both, name)), np.concatenate(parts))


def test_scalers_that_both_parts_share_stay_one_row() -> None:
    shared = np.array([[2.0]])
    row = np.zeros((1, 1))
    one = Part(row, row, row, np.array([0]), shared, shared)
    both = one.followed_by(Part(row, row, row, np.array([1]), shared, shared))
    assert both.center.tolist() == both.scale.tolist() == [[2.0]]
    assert both.index is None
    assert both.time is None
