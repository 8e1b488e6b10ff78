"""Compiled kernels of normalisation against their NumPy references."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_harness import Exact, assert_agrees, needs_compiler

pytestmark = needs_compiler

PRECISIONS = ("float32", "float64")
# Rows, channels, positions: below, at and across strips and vectors.
SHAPES = [(1, 1, 1), (5, 7, 1), (3, 16, 1), (12, 33, 1), (2, 3, 5), (4, 17, 16), (1, 2, 49)]


def units(rng: np.random.Generator, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(3, 2, size=shape), rng.random(shape)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize(("B", "C", "P"), [*SHAPES, (0, 3, 2)])
def test_channel_moments(B: int, C: int, P: int, certain: bool, precision: str) -> None:
    mu, var = units(np.random.default_rng(C), B, C, P)
    moments = Exact(np.zeros((1, 1 + 2 * C)))
    rtol = 1e-6 if precision == "float32" else 1e-12
    var_a = None if certain else var
    assert_agrees("channel_moments", moments, mu, var_a, B, C, P, precision=precision, rtol=rtol)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("seen", [0.0, 1.0])
@pytest.mark.parametrize("unbiased", [0, 1])
def test_batch_norm_statistics(unbiased: int, seen: float, precision: str) -> None:
    rng = np.random.default_rng(0)
    for counts in ([12], [1], [0], [5, 0, 3]):
        C = 19
        moments = rng.random((len(counts), 1 + 2 * C))
        moments[:, 0] = counts
        old, flag = rng.random((2, C)), np.array([seen])
        assert_agrees(
            "batch_norm_statistics", *np.zeros((3, C)), *old, flag, Exact(moments), len(counts), C,
            unbiased, 1e-5, 0.9, precision=precision,
        )  # fmt: skip


@pytest.mark.parametrize("n", [1, 16, 33])
def test_norm_scale(n: int) -> None:
    assert_agrees("norm_scale", np.zeros(n), np.random.default_rng(n).random(n), 1e-5, n)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize("centred", [0, 1])
@pytest.mark.parametrize(("rows", "n"), [(1, 1), (5, 7), (3, 16), (4, 100), (0, 3)])
def test_row_statistics(rows: int, n: int, centred: int, certain: bool, precision: str) -> None:
    mu, var = units(np.random.default_rng(n), rows, n)
    for unbiased in (0, 1):
        assert_agrees(
            "row_statistics", *np.zeros((3, rows)), mu, None if certain else var, rows, n, centred,
            unbiased, 1e-4, precision=precision,
        )  # fmt: skip


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize("per_row", [0, 1])
@pytest.mark.parametrize(("B", "C", "P"), SHAPES)
def test_norm_forward(
    B: int, C: int, P: int, per_row: int, certain: bool, bias: bool, precision: str
) -> None:
    rng = np.random.default_rng(C)
    mu, var = units(rng, B, C, P)
    mean, scale = rng.random((2, B if per_row else C))
    w, b = rng.random((2, C)), rng.random((2, C)) if bias else (None, None)
    out = np.zeros((B, C, P))
    assert_agrees(
        "norm_forward", out, out, mu, None if certain else var, mean, scale, *w, *b, B, C, P,
        per_row, precision=precision,
    )  # fmt: skip


@pytest.mark.parametrize("accumulate", [0, 1])
@pytest.mark.parametrize("per_row", [0, 1])
@pytest.mark.parametrize(("B", "C", "P"), SHAPES)
def test_norm_backward(B: int, C: int, P: int, per_row: int, accumulate: int) -> None:
    rng = np.random.default_rng(C)
    d = rng.normal(size=(4, B, C, P))
    scale, w = rng.random(B if per_row else C), rng.normal(size=C)
    assert_agrees("norm_backward", *d, scale, w, B, C, P, per_row, accumulate)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("accumulate", [0, 1])
@pytest.mark.parametrize("per_row", [0, 1])
@pytest.mark.parametrize(("B", "C", "P"), SHAPES)
def test_norm_innovation(B: int, C: int, P: int, per_row: int, accumulate: int, bias: bool) -> None:
    rng = np.random.default_rng(C)
    w, b = rng.normal(size=(2, C)), rng.normal(size=(2, C)) if bias else (None, None)
    mean, scale = rng.random((2, B if per_row else C))
    mu, d, e = rng.normal(size=(3, B, C, P))
    assert_agrees("norm_innovation", *w, *b, mu, mean, scale, d, e, B, C, P, per_row, accumulate)
