"""Kernels of classes against their NumPy references, and these against what they stand for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_harness import Exact, assert_agrees, needs_compiler
from scipy.special import log_softmax, softmax

from tagi_cli import nn
from tagi_cli.backend import Call, select
from tagi_cli.backend.reference import KERNELS

PRECISIONS = ("float32", "float64")
SIZES = [(1, 2), (5, 3), (33, 10), (7, 130)]


def labels(rng: np.random.Generator, B: int, K: int) -> Any:
    """One-hot rows; every fourth is missing, the first is not."""
    y = np.eye(K)[rng.integers(0, K, B)]
    y[3::4] = np.nan
    return y


def probabilities(rng: np.random.Generator, B: int, K: int) -> tuple[Any, Any]:
    p = softmax(3 * rng.normal(size=(B, K)), axis=1)
    return p, p * (1 - p) * rng.random((B, K))


@needs_compiler
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("B", "K"), SIZES)
def test_scores(B: int, K: int, precision: str) -> None:
    rng = np.random.default_rng(K)
    scores, (p, _) = Exact(rng.random((K, 3))), probabilities(rng, B, K)
    assert_agrees("class_score", scores, p, labels(rng, B, K), B, K, precision=precision)


@needs_compiler
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("certain", [True, False])
@pytest.mark.parametrize("error", [0.0, 0.1])
@pytest.mark.parametrize(("B", "K"), SIZES)
def test_update(B: int, K: int, error: float, certain: bool, precision: str) -> None:
    rng = np.random.default_rng(K)
    p, var = probabilities(rng, B, K)
    out = np.zeros((B, K))
    given = None if certain else 2 * var
    y = labels(rng, B, K)
    for row in range(B):  # by itself, as innovations of a row are of its own size
        one = slice(row, row + 1)
        v = None if given is None else given[one]
        assert_agrees(
            "categorical_update", out[one], out[one], p[one], v, y[one], error, 1, K,
            precision=precision, rtol=1e-4 if precision == "float32" else 1e-9,
        )  # fmt: skip


@needs_compiler
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("certain", [True, False])
@pytest.mark.parametrize(("B", "K"), SIZES)
def test_update_of_logits(B: int, K: int, certain: bool, precision: str) -> None:
    rng = np.random.default_rng(K)
    p, var = probabilities(rng, B, K)
    out, given = np.zeros((B, K)), None if certain else 2 * var
    y = labels(rng, B, K)
    assert_agrees("softmax_update", out, out, p, given, y, B, K, precision=precision)


@needs_compiler
@pytest.mark.parametrize("depth", [4, 9, 12, 13, 14, 20, 40])
@pytest.mark.parametrize("rest", [1.0, 1.1, 4.0])
def test_remax_far_below_zero(depth: float, rest: float) -> None:
    """One class is less improbable than the others, whose rectified logits vanish or nearly do."""
    B, K, var = 4, 10, 0.014
    z = np.full((B, K), -rest * depth) + 0.1 * np.arange(K)
    z[:, 3] = -depth
    backend = select(kernels="host")
    mu, v = backend.asarray(z * np.sqrt(var)), backend.asarray(np.full((B, K), var))
    a, var_a, jac = (backend.zeros((B, K)) for _ in range(3))
    sizes = np.int32(B), np.int32(K)
    backend.bind([Call("remax_forward", (a, var_a, jac, mu, v, *sizes))]).run()
    p, spread = backend.to_host(a), backend.to_host(var_a)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    assert (spread >= 0).all()
    assert np.isfinite(spread).all()
    assert np.isfinite(backend.to_host(jac)).all()
    if depth < 12:
        want = [np.zeros((B, K)) for _ in range(3)]
        KERNELS["remax_forward"](*want, z * np.sqrt(var), np.full((B, K), var), B, K)
        np.testing.assert_allclose(p, want[0], atol=1e-3)
        np.testing.assert_allclose(spread, want[1], atol=1e-3)


def test_the_update_of_logits_is_that_of_their_probabilities() -> None:
    rng = np.random.default_rng(2)
    p, var = probabilities(rng, 9, 4)
    y, jac = labels(rng, 9, 4), p * (1 - p)
    a_mu, a_var, z_mu, z_var = np.zeros((4, 9, 4))
    KERNELS["categorical_update"](a_mu, a_var, p, 2 * var, y, 0.0, 9, 4)
    KERNELS["softmax_update"](z_mu, z_var, p, 2 * var, y, 9, 4)
    np.testing.assert_allclose(z_mu, jac * a_mu, atol=1e-12)
    np.testing.assert_allclose(z_var, jac**2 * a_var, atol=1e-12)
    scaled = np.zeros((2, 9, 4))
    KERNELS["softmax_update"](*scaled, 3 * p, 9 * 2 * var, y, 9, 4)
    np.testing.assert_allclose(scaled, [z_mu, z_var], rtol=1e-12)


def test_a_label_that_was_excluded_moves_probabilities_as_far_as_these_may_be_off() -> None:
    p, y = np.array([[1e-9, 0.4, 0.6 - 1e-9]]), np.array([[1.0, 0.0, 0.0]])
    d_mu, d_var = np.zeros((2, 1, 3))
    KERNELS["categorical_update"](d_mu, d_var, p, None, y, 0.01, 1, 3)
    np.testing.assert_allclose(d_mu, (y - p) / (p * (1 - p) + 0.01), rtol=1e-9)
    np.testing.assert_allclose(d_var, -1 / (p * (1 - p) + 0.01), rtol=1e-9)
    assert d_mu[0, 0] == pytest.approx(100, rel=1e-6)


@needs_compiler
@pytest.mark.parametrize("kernels", ["numpy", "host"])
def test_a_row_that_is_wrong_beyond_doubt_still_learns(kernels: str) -> None:
    backend = select(kernels=kernels)
    z = backend.asarray(np.array([[300.0, 0.0, -300.0]]))
    p, jac, d_mu, d_var = (backend.zeros((1, 3)) for _ in range(4))
    y = backend.asarray(np.array([[0.0, 1.0, 0.0]]))
    calls = [
        Call("softmax_forward", (p, None, jac, z, None, np.int32(1), np.int32(3))),
        Call("softmax_update", (d_mu, d_var, p, None, y, np.int32(1), np.int32(3))),
    ]
    backend.bind(calls).run()
    np.testing.assert_allclose(d_mu, [[-1, 1, 0]])


@needs_compiler
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("certain", [True, False])
@pytest.mark.parametrize(("B", "K"), SIZES)
def test_weights_of_labels(B: int, K: int, certain: bool, precision: str) -> None:
    rng = np.random.default_rng(K)
    U = K + 2
    var, noise, weight = rng.random((B, U)), rng.random((B, U)), 4 * rng.random(K) + 0.01
    d_mu, d_var = rng.normal(size=(B, U)) / (var + noise), -1 / (var + noise)
    given = None if certain else var
    assert_agrees(
        "weigh_labels", d_mu, d_var, given, labels(rng, B, K), weight, B, K, U, precision=precision
    )


def test_a_weight_divides_the_error_variance_of_what_is_observed() -> None:
    rng = np.random.default_rng(0)
    y, weight = labels(rng, 9, 3), np.array([0.2, 1.0, 7.0])
    error, var, noise = rng.normal(size=(9, 5)), rng.random((9, 5)), rng.random((9, 5))
    missing = np.isnan(y[:, 0])
    d_mu, d_var = error / (var + noise), -1 / (var + noise)
    d_mu[missing] = d_var[missing] = 0
    KERNELS["weigh_labels"](d_mu, d_var, var, y, weight, 9, 3, 5)
    w = np.where(missing, 1, weight[np.nan_to_num(y).argmax(axis=1)])[:, None]
    want = np.where(missing[:, None], 0, 1 / (var + noise / w))
    np.testing.assert_allclose(d_mu, error * want)
    np.testing.assert_allclose(d_var, -want)
    # Without any error a label is learnt once, however often it counts.
    d_mu, d_var = error / var, -1 / var
    KERNELS["weigh_labels"](d_mu, d_var, var, y, weight, 9, 3, 5)
    np.testing.assert_allclose(d_var, -1 / var)


@needs_compiler
@pytest.mark.parametrize("p", [[0, 1, 0], [0, 0, 0], [1, 1e-30, 1e-12], [np.nan, 1, 0], [2, 2, 4]])
def test_update_at_extremes(p: list[float]) -> None:
    out, y = np.zeros((1, 3)), np.array([[0.0, 1, 0]])
    a = np.array([p], float)
    assert_agrees("softmax_update", out, out, a, None, y, 1, 3, rtol=1e-4)
    for error in (0.0, 0.01):
        assert_agrees("categorical_update", out, out, a, None, y, error, 1, 3, rtol=1e-4)


@needs_compiler
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("B", "K"), SIZES)
def test_trees(B: int, K: int, precision: str) -> None:
    rng = np.random.default_rng(K)
    U = K + 2
    codes = rng.choice([1.0, -1.0, np.nan], (K, U))
    assert_agrees(
        "tree_targets", np.zeros((B, U)), labels(rng, B, K), codes, B, K, U, precision=precision
    )
    mu, var = rng.normal(size=(B, U)), rng.random((B, U))
    for scale in (1, 0.01):
        assert_agrees(
            "tree_probabilities", np.zeros((B, K)), scale * mu, var, codes, 1 / 9, B, K, U,
            precision=precision,
        )  # fmt: skip


def test_scores_are_the_cross_entropy_and_the_errors_of_each_class() -> None:
    rng = np.random.default_rng(0)
    logits, label = rng.normal(size=(50, 4)), rng.integers(0, 4, 50)
    scores = np.zeros((4, 3))
    KERNELS["class_score"](scores, 3 * softmax(logits, axis=1), np.eye(4)[label], 50, 4)
    nll, wrong = -log_softmax(logits, axis=1)[np.arange(50), label], logits.argmax(1) != label
    for k in range(4):
        mine = label == k
        want = [mine.sum(), nll[mine].sum(), wrong[mine].sum()]
        np.testing.assert_allclose(scores[k], want)


def test_a_label_of_no_probability_has_a_finite_score() -> None:
    scores = np.zeros((2, 3))
    KERNELS["class_score"](scores, np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), 1, 2)
    np.testing.assert_allclose(scores[1], [1, 126 * np.log(2), 1])


def test_the_update_is_that_of_logistic_regression() -> None:
    """Innovations of certain logits are the derivatives of the log-likelihood, also far out."""
    rng = np.random.default_rng(1)
    z = np.vstack([rng.normal(size=(6, 4)), [[30, 0, -20, -5]]])
    y = np.eye(4)[[0, 1, 2, 3, 0, 1, 1]]
    p = softmax(z, axis=1)
    jac = np.zeros_like(p)
    KERNELS["softmax_forward"](p, None, jac, z, None, 7, 4)
    d_mu, d_var = np.zeros((2, 7, 4))
    KERNELS["categorical_update"](d_mu, d_var, p, None, y, 0.0, 7, 4)
    np.testing.assert_allclose(jac * d_mu, y - p, atol=1e-12)
    np.testing.assert_allclose(jac**2 * d_var, -p * (1 - p), atol=1e-12)


def test_an_update_leaves_probabilities_between_zero_and_one_certain_where_they_must_be() -> None:
    """With all of the variance epistemic, one observation settles the class."""
    p = np.array([[0.2, 0.3, 0.5]])
    var, y = p * (1 - p), np.array([[0.0, 1.0, 0.0]])
    d_mu, d_var = np.zeros((2, 1, 3))
    KERNELS["categorical_update"](d_mu, d_var, p, var, y, 0.0, 1, 3)
    np.testing.assert_allclose(p + var * d_mu, y, atol=1e-12)
    np.testing.assert_allclose(var + var**2 * d_var, 0, atol=1e-12)


@pytest.mark.parametrize("K", [2, 3, 7, 16])
def test_trees_are_those_of_the_hierarchical_softmax(K: int) -> None:
    tree, rng = nn.HRCSoftmax(K), np.random.default_rng(K)
    mu, var = rng.normal(size=(5, tree.len)), rng.random((5, tree.len))
    p = np.zeros((5, K))
    KERNELS["tree_probabilities"](p, mu, var, tree.codes, 1 / 9, 5, K, tree.len)
    np.testing.assert_allclose(p, tree.probabilities(mu, var))
    label = rng.integers(0, K, 5)
    target = np.zeros((5, tree.len))
    KERNELS["tree_targets"](target, np.eye(K)[label], tree.codes, 5, K, tree.len)
    obs, idx = tree.encode(label)
    for row in range(5):
        seen = {int(i) - 1: o for i, o in zip(idx[row], obs[row], strict=True)}
        for unit, value in enumerate(target[row]):
            assert np.isnan(value) or value == seen[unit]
        # Only what leaves no choice is not observed.
        assert all(
            np.isnan(tree.codes[:, u]).sum() == K - (tree.codes[:, u] == 1).sum()
            for u in seen
            if np.isnan(target[row, u])
        )
