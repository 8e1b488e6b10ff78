"""Compiled kernels that bring the rows of a batch, and its states, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_harness import assert_agrees, needs_compiler, run

pytestmark = needs_compiler

SIZES = [(1, 1, 1), (3, 5, 1), (16, 17, 2), (7, 48, 3)]  # batch, steps, columns


def windows(B: int, T: int, C: int) -> tuple[np.ndarray, ...]:
    """Rows, starts, order and cursor of some windows, one of which ends at the last row."""
    rng = np.random.default_rng(B)
    N, n = T + 30, 2 * B + 3
    starts = rng.integers(N - T + 1, size=n)
    starts[0] = N - T
    order = rng.permutation(n)
    return rng.normal(size=(N, C)), starts, order, np.array([B])


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(("B", "T", "C"), SIZES)
def test_windows(B: int, T: int, C: int, scaled: bool, precision: str) -> None:
    rows, starts, order, cursor = windows(B, T, C)
    rng = np.random.default_rng(1)
    scalers = (rng.normal(size=(len(order), C)), rng.uniform(0.5, 2, size=(len(order), C)))
    center, scale = scalers if scaled else (None, None)
    out = np.zeros((B, T * C))
    assert_agrees(
        "gather_windows", out, rows, starts, order, cursor, center, scale, B, T, C,
        precision=precision,
    )  # fmt: skip


def test_windows_by_hand() -> None:
    """Columns are scaled each by itself, and what is missing stays missing."""
    rows = np.array([[0.0, 10], [1, np.nan], [2, 30], [3, 40]], np.float32)
    integers = [np.array(a, np.int32) for a in ([1, 2], [1, 1, 0], [1])]
    center, scale = np.array([[1.0, 20], [0, 0]], np.float32), np.array([[2, 5], [1, 1]], "f4")
    out = np.zeros((2, 2, 2), np.float32)
    sizes = [np.int32(size) for size in (2, 2, 2)]
    got = run("gather_windows", out, rows, *integers, center, scale, *sizes)[0]
    np.testing.assert_array_equal(got[0], [[2, 30], [3, 40]])
    np.testing.assert_array_equal(got[1], [[0, np.nan], [0.5, 2]])


@pytest.mark.parametrize("B", [1, 7, 100])
def test_rows_that_follow(B: int) -> None:
    rng = np.random.default_rng(B)
    follows = rng.integers(2, size=3 * B)
    assert_agrees("follow_rows", np.full(B + 1, -7), follows, np.array([B]), B, B)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(("B", "n"), [(1, 4), (5, 12), (33, 28)])
def test_kept_rows(B: int, n: int, precision: str) -> None:
    rng = np.random.default_rng(B)
    rows, S = 3 * B, B + 2
    slots = np.full(rows, -1)
    slots[rng.permutation(rows)[:S]] = rng.permutation(S)
    assert_agrees(
        "keep_rows", np.zeros((S, n)), np.zeros(S), rng.normal(size=(B + 1, n)), slots,
        rng.permutation(rows), np.array([B]), B, n, precision=precision,
    )  # fmt: skip
