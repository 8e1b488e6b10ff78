"""Compiled pooling against its NumPy references."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_harness import assert_agrees, needs_compiler

from tagi_cli.backend.reference import KERNELS

pytestmark = needs_compiler

# Planes, then H, W, P, Q, kh, kw, sh, sw, top, left.
CASES = {
    "one pixel": (1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0),
    "no plane": (0, 4, 4, 2, 2, 2, 2, 2, 2, 0, 0),
    "halves": (6, 8, 10, 4, 5, 2, 2, 2, 2, 0, 0),
    "overlapping, odd": (5, 27, 27, 13, 13, 3, 3, 2, 2, 0, 0),
    "overlapping, padded all round": (5, 9, 8, 5, 4, 3, 3, 2, 2, 1, 1),
    "padded below and right": (4, 8, 8, 4, 4, 3, 3, 2, 2, 0, 0),
    "every pixel": (4, 20, 33, 20, 33, 3, 3, 1, 1, 1, 1),
    "not square": (3, 11, 17, 4, 8, 4, 3, 3, 2, 1, 1),
    "window smaller than step": (3, 10, 10, 4, 3, 1, 2, 3, 4, 0, 0),
    "all": (7, 6, 5, 1, 1, 6, 5, 6, 5, 0, 0),
    "window wider than the image": (2, 3, 2, 4, 3, 4, 3, 1, 1, 2, 1),
    "threads": (200, 40, 40, 19, 19, 3, 3, 2, 2, 0, 0),
}

cases = pytest.mark.parametrize("name", CASES)
precisions = pytest.mark.parametrize("precision", ["float32", "float64"])


def arrays(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels, with ties and all signs, and entries."""
    N, H, W, P, Q, *_ = CASES[name]
    rng = np.random.default_rng(N)
    return rng.integers(-4, 5, size=(N, H, W)) / 4, rng.normal(size=(N, P, Q))


@precisions
@pytest.mark.parametrize("certain", [False, True])
@cases
def test_forward(name: str, certain: bool, precision: str) -> None:
    a, z = arrays(name)
    var_z, var_a = (None, None) if certain else (z, a**2 + 0.1)
    assert_agrees("avg_pool2d_forward", z, var_z, a, var_a, *CASES[name], precision=precision)
    winner = np.zeros(z.shape, np.int32)
    assert_agrees(
        "max_pool2d_forward", z, var_z, winner, a, var_a, *CASES[name], precision=precision
    )


@precisions
@pytest.mark.parametrize("accumulate", [0, 1])
@cases
def test_backward(name: str, accumulate: int, precision: str) -> None:
    a, z = arrays(name)
    sizes = (*CASES[name], accumulate)
    assert_agrees("avg_pool2d_backward", a, a, z, z**2, *sizes, precision=precision)
    winner = np.zeros(z.shape, np.int32)
    KERNELS["max_pool2d_forward"](z.copy(), None, winner, a, None, *CASES[name])
    assert_agrees("max_pool2d_backward", a, a, z, z**2, winner, *sizes, precision=precision)
