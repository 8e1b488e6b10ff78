"""Compiled kernels of dropout against their NumPy references."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_harness import SIZES, assert_agrees, needs_compiler

pytestmark = needs_compiler

PRECISIONS = ("float32", "float64")


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize("n", SIZES)
def test_moments(n: int, certain: bool, precision: str) -> None:
    rng = np.random.default_rng(n)
    var = None if certain else rng.random(n)
    assert_agrees(
        "dropout_moments_forward", np.zeros(n), rng.normal(size=n), var, 0.3, n, precision=precision
    )


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize("n", SIZES)
def test_sample(n: int, certain: bool, precision: str) -> None:
    rng = np.random.default_rng(n)
    out = np.zeros(n)
    var_z, var_a = (None, None) if certain else (out, rng.random(n))
    for generator, first in (([0, 0], 0), ([5, 1], 12), ([2**31 - 1, 2**31 - 1], 2**31 - 1)):
        assert_agrees(
            "dropout_sample_forward", out, var_z, out, rng.normal(size=n), var_a,
            np.array(generator), 0.7, first, n, precision=precision,
        )  # fmt: skip
