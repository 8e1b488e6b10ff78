"""Compiled kernels of activations against their NumPy references."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_harness import SIZES, assert_agrees, needs_compiler, run

from tagi_cli.backend.reference import KERNELS

pytestmark = needs_compiler

PRECISIONS = ("float32", "float64")


def logits(rng: np.random.Generator, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances over many scales, with exact zeros among both."""
    mu = rng.normal(size=shape) * 10.0 ** rng.integers(-3, 2, size=shape)
    var = rng.random(shape) * 10.0 ** rng.integers(-6, 2, size=shape)
    mu[rng.random(shape) < 0.05] = 0
    var[rng.random(shape) < 0.1] = 0
    return mu, var


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(
    "kernel", ["softplus", "mixture_leaky_relu", "mixture_sigmoid", "mixture_tanh"]
)
def test_elementwise(kernel: str, n: int, certain: bool, precision: str) -> None:
    mu, var = logits(np.random.default_rng(n), n)
    out = np.zeros(n)
    constants = (0.1,) if kernel == "mixture_leaky_relu" else ()
    var_a, var_z = (None, None) if certain else (out, var)
    assert_agrees(
        f"{kernel}_forward", out, var_a, out, mu, var_z, *constants, n, precision=precision
    )


def test_softplus_keeps_relative_precision_and_does_not_overflow() -> None:
    for m in (-80.0, -20.0, -5.0, 0.0, 5.0, 100.0, 3e38):
        assert_agrees(
            "softplus_forward", np.zeros(1), None, np.zeros(1), np.array([m]), None, 1, rtol=1e-6
        )


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("certain", [False, True])
def test_even_exp_does_not_overflow(certain: bool, precision: str) -> None:
    mu = np.repeat([39.0, 41.0, 90.0, 1e30, -1e30, 5.0], 2)
    var = np.repeat([0.5, 0.5, 2.0, 1.0, 1.0, 1e30], 2)
    out = np.zeros(12)
    var_a, var_z = (None, None) if certain else (out, var)
    assert_agrees("even_exp_forward", out, var_a, out, mu, var_z, 12, precision=precision)


@pytest.mark.parametrize("m", [-8.0, -3.0, -1.0, -0.999, -1e-4, 0.0, 0.5, 1.0, 1.001, 12.0])
@pytest.mark.parametrize("s", [1e-8, 1e-3, 0.3, 3.9, 4.1, 30.0, 1e3, 1e6])
@pytest.mark.parametrize("kernel", ["mixture_sigmoid", "mixture_tanh"])
def test_clips_keep_relative_precision(kernel: str, m: float, s: float) -> None:
    """Of variance and slope, in tails too; of the mean, next to the standard deviation."""
    z = np.array([[m], [s * s]], np.float32)
    empty, want = np.zeros((3, 1), np.float32), np.zeros((3, 1))
    got = np.stack(run(f"{kernel}_forward", *empty, *z, np.int32(1))[:3])
    with np.errstate(all="ignore"):
        KERNELS[f"{kernel}_forward"](*want, *z.astype(np.float64), 1)
    np.testing.assert_allclose(got[0], want[0], rtol=1e-6, atol=3e-7 * min(s, 1))
    np.testing.assert_allclose(got[1:], want[1:], rtol=5e-5, atol=1e-30)


ROWS = [(1, 1), (1, 2), (5, 3), (3, 10), (2, 16), (4, 17), (1, 1000)]


# Far out in the tail of a rectified logit its variance loses digits with the fourth power of the
# distance, in units of the standard deviation.
TAIL = {"float32": 5e-3, "float64": 1e-8}
# Smaller squares are zero in compiled kernels, in single precision.
VANISHING = 1e-18


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize(("rows", "K"), ROWS)
@pytest.mark.parametrize("kernel", ["softmax", "closed_form_softmax", "remax"])
def test_rows(kernel: str, rows: int, K: int, certain: bool, precision: str) -> None:
    mu, var = logits(np.random.default_rng(K), rows, K)
    out = np.zeros((rows, K))
    var_a, var_z = (None, None) if certain else (out, np.minimum(var, 8))
    assert_agrees(
        f"{kernel}_forward", out, var_a, out, mu, var_z, rows, K, precision=precision,
        rtol=TAIL["float64"] if kernel == "remax" and precision == "float64" else None,
    )  # fmt: skip


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kernel", ["softmax", "closed_form_softmax", "remax"])
def test_rows_at_extremes(kernel: str, precision: str) -> None:
    """Far apart, all far below zero, all zero, enormous variances: finite, and as the reference."""
    mu = np.array([[300.0, -300, 0], [-9, -8, -10], [0, 0, 0], [1, 2, 3], [-2, 0, -1], [50, 1, 1]])
    var = np.array([[1.0, 1, 1], [1, 1, 1], [0, 0, 0], [500, 1e4, 0], [0, 0, 0], [1e-8, 1, 0]])
    for m, v in zip(mu, var, strict=True):
        out = np.zeros((1, 3))
        assert_agrees(
            f"{kernel}_forward", out, out, out, m[None], v[None], 1, 3, precision=precision,
            rtol=TAIL[precision] if kernel == "remax" else None, atol=VANISHING,
        )  # fmt: skip
