"""Compiled kernels of structural layers, scales and offsets against their NumPy references."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_harness import SIZES, assert_agrees, needs_compiler

from tagi_cli.backend.reference import KERNELS

pytestmark = needs_compiler

PRECISIONS = ("float32", "float64")
# Rows, groups, elements of each group: units on their own, channels, and one parameter for all.
GROUPS = [(1, 1, 1), (3, 17, 1), (16, 5, 1), (2, 3, 16), (5, 4, 33), (7, 1, 9)]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("certain", [(), (0,), (1,), (0, 1)])
@pytest.mark.parametrize("n", SIZES)
def test_add_forward(n: int, certain: tuple[int, ...], precision: str) -> None:
    rng = np.random.default_rng(n)
    mu, var = rng.normal(size=(2, n)), [None if k in certain else rng.random(n) for k in (0, 1)]
    out = np.zeros(n)
    var_z = None if len(certain) == 2 else out
    assert_agrees("add_forward", out, var_z, mu[0], var[0], mu[1], var[1], n, precision=precision)


@pytest.mark.parametrize("accumulate", [0, 1])
@pytest.mark.parametrize("n", SIZES)
def test_pass_backward(n: int, accumulate: int) -> None:
    rng = np.random.default_rng(n)
    assert_agrees("pass_backward", *rng.normal(size=(4, n)), n, accumulate)


@pytest.mark.parametrize("accumulate", [0, 1])
@pytest.mark.parametrize("absent", [(), (1,), (0, 1), (1, 3)])
@pytest.mark.parametrize(
    ("rows", "width", "width_in", "start", "start_in", "n"),
    [(1, 1, 1, 0, 0, 1), (4, 20, 33, 3, 0, 17), (7, 16, 40, 0, 24, 16), (3, 9, 5, 2, 1, 4)],
)
def test_copy_columns(
    rows: int, width: int, width_in: int, start: int, start_in: int, n: int,
    absent: tuple[int, ...], accumulate: int,
) -> None:  # fmt: skip
    rng = np.random.default_rng(n)
    out, into = rng.normal(size=(2, rows, width)), rng.normal(size=(2, rows, width_in))
    names = [*out, *into]
    arrays = [names[0], None if 3 in absent else names[1],
              None if 0 in absent else names[2], None if 1 in absent else names[3]]  # fmt: skip
    assert_agrees("copy_columns", *arrays, rows, width, width_in, start, start_in, n, accumulate)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize(("B", "groups", "inner"), GROUPS)
def test_scale(B: int, groups: int, inner: int, certain: bool, precision: str) -> None:
    rng = np.random.default_rng(B)
    n = B * groups * inner
    mu, d = rng.normal(size=n), rng.normal(size=(4, n))
    var = None if certain else rng.random(n)
    s, v = rng.normal(size=groups), rng.random(groups)
    sizes = (B, groups, inner)
    assert_agrees("scale_forward", *np.zeros((2, n)), mu, var, s, v, *sizes, precision=precision)
    for add in (0, 1):
        assert_agrees("scale_backward", *d, s, *sizes, add, precision=precision)
        assert_agrees(
            "scale_innovation", s, v, mu, *d[:2], *sizes, add, precision=precision, atol=1e-6
        )
        assert_agrees(
            "scale_innovation", s, v, None, *d[:2], *sizes, add, precision=precision, atol=1e-6
        )


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize(("B", "groups", "inner"), GROUPS)
def test_offset_forward(B: int, groups: int, inner: int, certain: bool, known: bool) -> None:
    rng = np.random.default_rng(B)
    n = B * groups * inner
    mu, var = rng.normal(size=n), None if certain else rng.random(n)
    b, v = rng.normal(size=groups), None if known else rng.random(groups)
    var_z = None if certain and known else np.zeros(n)
    assert_agrees("offset_forward", np.zeros(n), var_z, mu, var, b, v, B, groups, inner)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("accumulate", [0, 1])
@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize(
    ("sizes", "axes"),
    [((1, 1, 1, 1, 1), (0, 1, 2, 3, 4)), ((3, 1, 2, 5, 17), (0, 1, 2, 4, 3)),
     ((2, 3, 4, 5, 6), (0, 4, 2, 1, 3)), ((4, 1, 1, 33, 16), (0, 1, 2, 4, 3))],
)  # fmt: skip
def test_transpose(
    sizes: tuple[int, ...], axes: tuple[int, ...], certain: bool, accumulate: int, precision: str
) -> None:
    rng = np.random.default_rng(0)
    mu, var = rng.normal(size=(2, *sizes))
    out = rng.normal(size=(2, *(sizes[axis] for axis in axes)))
    steps = [mu.strides[axis] // mu.itemsize for axis in axes]
    arrays = out[0], None if certain else out[1], mu, None if certain else var
    assert_agrees("transpose", *arrays, *out[0].shape, *steps, accumulate, precision=precision)
    moved = np.empty_like(out[0])
    KERNELS["transpose"](moved, None, mu, None, *out[0].shape, *steps, 0)
    np.testing.assert_array_equal(moved, mu.transpose(axes))
