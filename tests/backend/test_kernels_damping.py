"""Damped updates: compiled kernels against their reference."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_harness import assert_agrees, needs_compiler, run

from tagi_cli.backend.reference import KERNELS

SHAPES = [(1, 1), (3, 7), (16, 17), (5, 100)]


def case(B: int, K: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(B * K)
    mu, var, y = rng.normal(size=(B, K)), rng.random((B, K)), rng.normal(size=(B, K))
    y[rng.random((B, K)) < 0.2] = np.nan
    return mu, var, y, rng.random(K) + 0.1, rng.random(K)


@needs_compiler
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(("B", "K"), SHAPES)
@pytest.mark.parametrize("certain", [False, True])
def test_compiled_kernels_follow_the_reference(
    B: int, K: int, certain: bool, precision: str
) -> None:
    mu, var, y, var_v, share = case(B, K)
    d_mu, d_var = np.zeros((B, K)), np.zeros((B, K))
    given = None if certain else var
    assert_agrees(
        "damped_update", d_mu, d_var, mu, given, y, var_v, share, float(B - 1), B, K,
        precision=precision,
    )  # fmt: skip
    assert_agrees("damping_share", share, given, y, var_v, 0.2, 0.6, B, K, precision=precision)


def test_without_damping_it_is_the_plain_update() -> None:
    mu, var, y, var_v, share = case(9, 5)
    plain = [np.zeros((9, 5)) for _ in range(2)]
    damped = [np.zeros((9, 5)) for _ in range(2)]
    KERNELS["gaussian_update"](*plain, mu, var, y, var_v, 45, 5)
    KERNELS["damped_update"](*damped, mu, var, y, var_v, 0 * share, 8.0, 9, 5)
    np.testing.assert_array_equal(damped, plain)


def test_rows_that_are_alike_never_overshoot() -> None:
    """50 equal rows, seen through 20 weights, move the mean by one residual at most."""
    rng = np.random.default_rng(0)
    x, v, B = rng.normal(size=20), np.full(20, 0.5), 50
    mu, var = np.zeros((B, 1)), np.full((B, 1), (x**2 * v).sum())
    y, var_v = np.full((B, 1), 2.0), np.array([0.1])
    moved = {}
    for share in (0.0, 1.0):
        d_mu, d_var = np.zeros((B, 1)), np.zeros((B, 1))
        KERNELS["damped_update"](d_mu, d_var, mu, var, y, var_v, np.array([share]), B - 1.0, B, 1)
        G, L = x * d_mu.sum(), x**2 * d_var.sum()
        moved[share] = (x * v / (1 - v * L) * G).sum()
    assert moved[0.0] > 5 * 2.0
    assert 0.5 * 2.0 < moved[1.0] <= 2.0


def test_the_share_grows_between_its_bounds() -> None:
    """An output that nothing was seen of keeps its share."""
    var = np.array([[0.1, 0.5, 3.0, 1.0]])
    y = np.array([[0.0, 0.0, 0.0, np.nan]])
    share = np.full(4, 0.25)
    KERNELS["damping_share"](share, var, y, np.ones(4), 0.2, 0.6, 1, 4)
    np.testing.assert_allclose(share, [0.0, (1 / 3 - 0.2) / 0.4, 1.0, 0.25])


@pytest.mark.parametrize("rule", ["sum", "capped", "information", "information_capped", "site"])
@pytest.mark.parametrize("compiled", [pytest.param(True, marks=needs_compiler), False])
def test_a_certain_parameter_stays_certain(rule: str, compiled: bool) -> None:
    """Variance 0 is no variance that fell below zero: no floor, no step, no count."""
    mu, var = np.array([1.0, 2.0]), np.array([0.0, 0.5])
    G, L = np.array([3.0, 1.0]), np.array([-2.0, -0.5])
    floored, ends = np.zeros(1, np.int32), np.array([2], np.int32)
    arguments = [mu, var, G, L, floored, ends, np.array([4.0])]
    arguments += [np.float64(2.0), np.int32(1), np.int32(2)]
    if compiled:
        arguments = run(f"step_{rule}", *arguments, precision="float64")
    else:
        KERNELS[f"step_{rule}"](*arguments)
    assert (arguments[0][0], arguments[1][0], arguments[4][0]) == (1.0, 0.0, 0)
    assert arguments[0][1] > 2.0
    assert 0 < arguments[1][1] < 0.5
