"""Compiled kernels of embedding against their NumPy references."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_harness import assert_agrees, needs_compiler

pytestmark = needs_compiler

SIZES = [(1, 1, 1), (6, 5, 3), (40, 7, 16), (9, 3, 33)]  # ids, rows of the table, columns


def ids_of(rng: np.random.Generator, n: int, V: int) -> np.ndarray:
    """Ids with repetitions; one too large, one negative, one NaN where there is room."""
    ids = rng.integers(V, size=n).astype(float)
    if n > 4:
        ids[1], ids[2], ids[3] = V, -1, np.nan
    return ids


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("padding", [-1, 0])
@pytest.mark.parametrize(("n", "V", "D"), SIZES)
def test_forward(n: int, V: int, D: int, padding: int, precision: str) -> None:
    rng = np.random.default_rng(n)
    table, out = rng.random((2, V, D)), np.zeros((n, D))
    assert_agrees(
        "embedding_forward", out, out, ids_of(rng, n, V), *table, padding, n, V, D,
        precision=precision,
    )  # fmt: skip


@pytest.mark.parametrize("accumulate", [0, 1])
@pytest.mark.parametrize("padding", [-1, 0])
@pytest.mark.parametrize(("n", "V", "D"), SIZES)
def test_innovation(n: int, V: int, D: int, padding: int, accumulate: int) -> None:
    rng = np.random.default_rng(n)
    sums, d = rng.normal(size=(2, V, D)), rng.normal(size=(2, n, D))
    assert_agrees(
        "embedding_innovation", *sums, ids_of(rng, n, V), *d, padding, n, V, D, accumulate
    )
