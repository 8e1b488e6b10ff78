"""Compiled kernels of innovations through a batch's statistics, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_harness import Exact, assert_agrees, needs_compiler

pytestmark = needs_compiler

SIZES = [(1, 1, 1), (7, 3, 1), (16, 5, 17), (3, 33, 100)]  # batch, channels, positions


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(("B", "C", "P"), SIZES)
def test_channel_sums(B: int, C: int, P: int, precision: str) -> None:
    rng = np.random.default_rng(B)
    mu, d = rng.normal(2, 3, size=(2, B, C, P))
    mean, scale = rng.normal(2, 1, size=C), rng.uniform(0.1, 2, size=C)
    sums = Exact(np.zeros(1 + 2 * C))
    assert_agrees("channel_sums", sums, mu, mean, scale, d, B, C, P, precision=precision)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(("B", "C", "P"), SIZES)
def test_projection(B: int, C: int, P: int, precision: str) -> None:
    rng = np.random.default_rng(B)
    d, mu = rng.normal(2, 3, size=(2, B, C, P))
    mean, scale, gain = rng.normal(size=(3, C))
    sums = rng.normal(size=1 + 2 * C)
    sums[0] = B * P
    assert_agrees(
        "project_innovation", d, Exact(sums), mu, mean, scale, gain, B, C, P, precision=precision
    )


def test_an_empty_batch_is_left_as_it_is() -> None:
    assert_agrees(
        "project_innovation", np.zeros((0, 2, 3)), Exact(np.zeros(5)), np.zeros((0, 2, 3)),
        np.zeros(2), np.ones(2), np.ones(2), 0, 2, 3,
    )  # fmt: skip
