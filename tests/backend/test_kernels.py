"""Compiled kernels against their NumPy references."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_harness import SIZES, Exact, assert_agrees, needs_compiler, run

from tagi_cli.backend.host import compiler
from tagi_cli.backend.reference import KERNELS
from tagi_cli.nn.rules import RULES

pytestmark = needs_compiler

PRECISIONS = ("float32", "float64")


def moments(rng: np.random.Generator, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances over many scales, with exact zeros among both."""
    mu = rng.normal(size=shape) * 10.0 ** rng.integers(-3, 2, size=shape)
    var = rng.random(shape) * 10.0 ** rng.integers(-6, 2, size=shape)
    mu[rng.random(shape) < 0.05] = 0
    var[rng.random(shape) < 0.1] = 0
    return mu, var


def test_every_kernel_has_a_reference_and_every_reference_a_kernel() -> None:
    assert set(compiler.units()) == set(KERNELS)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(
    "kernel", ["relu", "leaky_relu", "sigmoid", "tanh", "mixture_relu", "even_exp"]
)
def test_activation(kernel: str, n: int, certain: bool, precision: str) -> None:
    rng = np.random.default_rng(n)
    mu, var = moments(rng, 2 * n)
    mu, var = np.clip(mu, -20, 20), np.minimum(var, 3)
    out = np.zeros(2 * n)
    constants = (0.1,) if kernel == "leaky_relu" else ()
    var_a, var_z = (None, None) if certain else (out, var)
    assert_agrees(
        f"{kernel}_forward", out, var_a, out, mu, var_z, *constants, 2 * n, precision=precision
    )


@pytest.mark.parametrize("m", [-30.0, -8.0, -2.0, -1e-3, 0.0, 1e-3, 2.0, 8.0, 30.0])
def test_mixture_relu_keeps_relative_precision_in_the_tails(m: float) -> None:
    var = np.array([1e-8, 1e-2, 1.0, 100.0])
    assert_agrees("mixture_relu_forward", *np.zeros((3, 4)), np.full(4, m), var, 4, rtol=1e-5)


@pytest.mark.parametrize("accumulate", [0, 1])
@pytest.mark.parametrize("n", SIZES)
def test_jacobian_backward(n: int, accumulate: int) -> None:
    rng = np.random.default_rng(n)
    assert_agrees("jacobian_backward", *rng.normal(size=(5, n)), n, accumulate)


# Below, at and across what is looped by hand and what goes to BLAS.
LINEAR = [(1, 1, 1), (1, 13, 50), (3, 5, 7), (10, 13, 50), (16, 16, 16), (17, 33, 18), (5, 50, 1),
          (64, 100, 33), (1, 300, 300)]  # fmt: skip


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize(("B", "I", "O"), LINEAR)
def test_linear_forward(B: int, I: int, O: int, certain: bool, bias: bool, precision: str) -> None:
    rng = np.random.default_rng(B + I + O)
    mu_a, var_a = moments(rng, B, I)
    mu_w, var_w = rng.normal(size=(O, I)), rng.random((O, I))
    mu_b, var_b = (rng.normal(size=O), rng.random(O)) if bias else (None, None)
    out = np.zeros((B, O))
    scratch = np.zeros(max(B * I + O * I + B * O, 2 * O * I))
    assert_agrees(
        "linear_forward", out, out, mu_a, None if certain else var_a, mu_w, var_w, mu_b, var_b,
        scratch, B, I, O, precision=precision, scratch=8,
    )  # fmt: skip


@pytest.mark.parametrize("accumulate", [0, 1])
@pytest.mark.parametrize(("B", "I", "O"), LINEAR)
def test_linear_backward(B: int, I: int, O: int, accumulate: int) -> None:
    rng = np.random.default_rng(B + I + O)
    d_a, d_z = rng.normal(size=(2, B, I)), rng.normal(size=(2, B, O))
    scratch = np.zeros(O * I + B * I)
    assert_agrees(
        "linear_backward", *d_a, *d_z, rng.normal(size=(O, I)), scratch, B, I, O, accumulate,
        scratch=5,
    )  # fmt: skip


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("accumulate", [0, 1])
@pytest.mark.parametrize(("B", "I", "O"), LINEAR)
def test_linear_innovation(B: int, I: int, O: int, accumulate: int, bias: bool) -> None:
    rng = np.random.default_rng(B + I + O)
    w, d_z = rng.normal(size=(2, O, I)), rng.normal(size=(2, B, O))
    b = rng.normal(size=(2, O)) if bias else (None, None)
    scratch = np.zeros(B * I + O * I)
    assert_agrees(
        "linear_innovation", *w, *b, rng.normal(size=(B, I)), *d_z, scratch, B, I, O, accumulate,
        scratch=7,
    )  # fmt: skip


@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize(("n", "period"), [(1, 1), (30, 3), (33, 33), (128, 1)])
def test_gaussian_update(n: int, period: int, certain: bool) -> None:
    rng = np.random.default_rng(n)
    mu, var = moments(rng, n)
    y, var_v = rng.normal(size=n), rng.random(period)
    y[::5], y[1::7] = np.nan, np.inf
    var_v[0] = 0
    assert_agrees("gaussian_update", mu, mu, mu, None if certain else var, y, var_v, n, period)


@pytest.mark.parametrize("scale", [1, 1e-10])
@pytest.mark.parametrize("n", [1, 8, 33])
def test_heteroscedastic_update(n: int, scale: float) -> None:
    rng = np.random.default_rng(n)
    mu, var = rng.normal(size=2 * n), rng.random(2 * n)
    mu[1::2] = scale * np.exp(mu[1::2])
    var[1::2] *= scale**2
    var[3::4] = 0
    y = rng.normal(size=n)
    y[::5] = np.nan
    assert_agrees("heteroscedastic_update", mu, mu, mu, var, y, n)


@pytest.mark.parametrize("found", [-1e-30, 0.0, -0.0, np.nan])
@pytest.mark.parametrize("n", [1, 8, 33])
def test_find_negative(n: int, found: float) -> None:
    var = np.arange(n, dtype=float)
    var[n // 2] = found
    for before in (0, 1):
        assert_agrees("find_negative", np.array([before], np.int32), var, n)
        flag = np.array([before], np.int32)
        KERNELS["find_negative"](flag, var, n)
        assert flag[0] == max(before, found < 0)


def test_an_error_variance_without_bound_teaches_nothing() -> None:
    mu = np.array([0.1, np.inf, 0.2, 3e38, 0.3, 1.0], np.float32)
    var = np.array([1.0, np.inf, 1.0, 1.0, 1.0, 2.0], np.float32)
    out, y = np.zeros(6), np.ones(3)
    assert_agrees("heteroscedastic_update", out, out, mu, var, y, 3, precision="float32")
    d_mu, d_var = np.zeros((2, 6), np.float32)
    KERNELS["heteroscedastic_update"](d_mu, d_var, mu, var, y.astype(np.float32), 3)
    np.testing.assert_array_equal(d_mu[[0, 1, 3]], 0)
    np.testing.assert_array_equal(d_var[[0, 1, 3]], 0)
    assert (d_mu[[2, 4, 5]] != 0).all()


def test_indexed_update() -> None:
    rng = np.random.default_rng(0)
    B, K, n_obs = 9, 11, 4
    index = np.stack([rng.permutation(K)[:n_obs] + 1 for _ in range(B)])
    index[2, 1] = 0
    y = rng.normal(size=(B, n_obs))
    y[3, 2] = np.nan
    mu, var = moments(rng, B, K)
    assert_agrees("indexed_update", mu, mu, mu, var, y, rng.random((B, n_obs)), index, B, K, n_obs)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("rule", RULES)
def test_step(rule: str, precision: str) -> None:
    rng = np.random.default_rng(0)
    ends = np.array([1, 18, 18 + 1023])
    n = int(ends[-1])
    mu, G = rng.normal(size=(2, n))
    var, L = rng.random(n), -rng.random(n) * 10.0 ** rng.integers(-2, 2, n)
    floored = np.zeros(3, np.int32)
    # G and L are spent by the step: the reference works in place, the compiled one leaves them.
    want = [np.array(a, precision) for a in (mu, var, G, L)]
    rest = (ends.astype(np.int32), np.array([4.0], precision))
    sizes = (np.dtype(precision).type(2), np.int32(3), np.int32(n))
    got = run(f"step_{rule}", *want, floored, *rest, *sizes, precision=precision)
    KERNELS[f"step_{rule}"](*want, floored, *rest, *sizes)
    rtol = 1e-5 if precision == "float32" else 1e-12
    np.testing.assert_allclose(got[0], want[0], rtol=rtol, atol=rtol)
    np.testing.assert_allclose(got[1], want[1], rtol=rtol, atol=rtol)
    np.testing.assert_array_equal(got[4], floored)
    if rule in ("sum", "capped"):
        assert floored.sum() > 0, "the case does not reach the floor"


@pytest.mark.parametrize(("B", "K"), [(1, 1), (16, 1), (33, 3)])
def test_learnt_noise(B: int, K: int) -> None:
    rng = np.random.default_rng(B)
    mu, var = moments(rng, B, K)
    y = rng.normal(size=(B, K))
    y[::4] = np.nan
    mean, variance = rng.random(K) + 0.1, rng.random(K)
    sums = np.zeros((K, 3))
    assert_agrees("noise_statistics", Exact(sums), mu, var, y, mean, B, K)
    with np.errstate(all="ignore"):
        KERNELS["noise_statistics"](sums, mu, var, y, mean, B, K)
    assert_agrees("noise_step", mean, variance, Exact(sums), 1e-6, K)


@pytest.mark.parametrize(("B", "K"), [(1, 1), (16, 1), (33, 3)])
def test_scores(B: int, K: int) -> None:
    rng = np.random.default_rng(B)
    mu, y = rng.normal(size=(2, B, K))
    y[::4] = np.nan
    scores = Exact(rng.random((K, 3)))
    assert_agrees("gaussian_score", scores, mu, rng.random((B, K)), y, rng.random(K) + 0.1, B, K)
    pairs = np.exp(rng.normal(size=(B, 2 * K)))
    assert_agrees("heteroscedastic_score", scores, pairs, rng.random((B, 2 * K)), y, B, K)


def test_rows() -> None:
    rng = np.random.default_rng(0)
    table, order = rng.normal(size=(50, 17)), rng.permutation(50)
    cursor = np.array([20])
    assert_agrees("gather_rows", np.zeros((16, 17)), table, order, cursor, 16, 17)
    assert_agrees("advance", cursor, 16)
    assert_agrees("fill", np.ones(33), 0.0, 33)
