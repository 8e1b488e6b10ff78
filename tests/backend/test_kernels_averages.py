"""Compiled kernels of running averages against their NumPy references."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_harness import assert_agrees, needs_compiler

pytestmark = needs_compiler

SIZES = [(1, 1, 1), (4, 3, 7), (2, 5, 16), (9, 4, 33), (0, 2, 3)]  # rows, window, units


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize(("B", "W", "n"), SIZES)
def test_forward(B: int, W: int, n: int, certain: bool, precision: str) -> None:
    rng = np.random.default_rng(n)
    out, mu, var = np.zeros((B, n)), rng.normal(size=(B, n)), rng.random((B, n))
    var_a = None if certain else var
    window, average = rng.random((2, W, n)), rng.random((2, n))
    assert_agrees(
        "moving_average_forward", out, out, mu, var_a, *window, B, W, n, precision=precision
    )
    assert_agrees(
        "exponential_average_forward", out, out, mu, var_a, *average, 0.9, B, n,
        precision=precision,
    )  # fmt: skip


@pytest.mark.parametrize("accumulate", [0, 1])
@pytest.mark.parametrize(("B", "W", "n"), SIZES)
def test_backward(B: int, W: int, n: int, accumulate: int) -> None:
    d = np.random.default_rng(n).normal(size=(4, B, n))
    assert_agrees("moving_average_backward", *d, B, W, n, accumulate)
    assert_agrees("exponential_average_backward", *d, 0.9, B, n, accumulate)


@pytest.mark.parametrize("n", [1, 16, 33])
def test_mixture_average(n: int) -> None:
    assert_agrees("mixture_average", *np.random.default_rng(n).random((4, n)), 0.9, n)
