"""Moments of the stages of attention by sampling: exact ones, and measured errors of weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from monte_carlo import assert_covariance, assert_moments
from plain_attention import weigh

from tagi_cli.backend.reference import KERNELS

Host = np.ndarray[Any, Any]
B, T, H, G, D = 1, 3, 2, 1, 4
SIZES = (B, T, H, G, D, 0)
DRAWS = 40_000
SCALES = [0.0, 1e-3, 1.0, 30.0]


def projections(var: float, seed: int = 0) -> tuple[Host, Host]:
    """Means and variances `(T, heads, D)` of queries, keys and values."""
    rng = np.random.default_rng(seed)
    shape = (T, H + 2 * G, D)
    return rng.normal(size=shape), var * (0.5 + rng.random(shape))


def draw(mu: Host, var: Host, draws: int = DRAWS, seed: int = 1) -> Host:
    return mu + np.sqrt(var) * np.random.default_rng(seed).standard_normal((draws, *mu.shape))


@pytest.mark.parametrize("var", SCALES)
def test_scores_are_exact(var: float) -> None:
    """Scaled by the root of the head's size, which pytagi leaves out."""
    mu_p, var_p = projections(var)
    mu, spread = np.zeros((2, B, H, T, T))
    scale = 1 / np.sqrt(D)
    KERNELS["attention_scores"](mu, spread, mu_p, var_p, scale, *SIZES)
    p = draw(mu_p, var_p)
    q, k = p[:, :, :H], p[:, :, H]
    s = np.einsum("nthm,num->nhtu", q, k) * scale
    assert_moments(s, mu[0], spread[0], 1e-10)

    for t, u in ((0, 0), (1, 2)):
        d_mu, d_var = np.zeros((2, B, H, T, T))
        d_mu[0, 1, t, u], d_var[0, 1, t, u] = 1, -1
        d_mu_p, d_var_p = np.zeros((2, *mu_p.shape))
        KERNELS["attention_scores_backward"](d_mu_p, d_var_p, d_mu, d_var, mu_p, scale, *SIZES)
        target = s[:, 1, t, u, None]
        assert_covariance(q[:, t, 1], target, (var_p * d_mu_p)[t, 1])
        assert_covariance(k[:, u], target, (var_p * d_mu_p)[u, H])
        np.testing.assert_allclose(d_var_p, -(d_mu_p**2), rtol=1e-12)


@pytest.mark.parametrize("var", SCALES)
def test_turns_are_exact(var: float) -> None:
    mu, spread = projections(var)
    rng = np.random.default_rng(2)
    angle = rng.uniform(-3, 3, (T, D // 2))
    width = (H + 2 * G) * D
    sizes = (T, T, width, (H + G) * D, D // 2)
    turned, mixed = mu.copy(), spread.copy()
    KERNELS["rotate_pairs"](turned, mixed, np.cos(angle), np.sin(angle), *sizes, 0)
    p = draw(mu, spread)
    z = (p[..., ::2] + 1j * p[..., 1::2]) * np.exp(1j * angle)[:, None]
    samples = np.stack([z.real, z.imag], axis=-1).reshape(p.shape)
    samples[:, :, H + G :] = p[:, :, H + G :]
    assert_moments(samples, turned, mixed, 1e-10)

    # The way back: the covariance of one unit before and one after the turn.
    d_mu, d_var = np.zeros((2, *mu.shape))
    d_mu[1, 2, 3], d_var[1, 2, 3] = 1, -1
    KERNELS["rotate_pairs"](d_mu, d_var, np.cos(angle), np.sin(angle), *sizes, 1)
    assert_covariance(p[:, 1, 2], samples[:, 1, 2, 3, None], (spread * d_mu)[1, 2])
    np.testing.assert_allclose(d_var, -(d_mu**2), rtol=1e-12)
    KERNELS["rotate_pairs"](turned, mixed, np.cos(angle), np.sin(angle), *sizes, 1)
    np.testing.assert_allclose(turned, mu, rtol=1e-12)


def test_turned_scores_depend_on_distances_alone() -> None:
    """The same token at all positions: scores are equal along diagonals."""
    tokens, half = 6, D // 2
    rng = np.random.default_rng(3)
    p = np.tile(rng.normal(size=(H + 2 * G) * D), (tokens, 1))
    v = np.tile(np.repeat(rng.random((H + 2 * G) * half), 2), (tokens, 1))
    angle = np.arange(tokens)[:, None] * np.array([1.0, 0.1])
    KERNELS["rotate_pairs"](
        p, v, np.cos(angle), np.sin(angle), tokens, tokens, p.shape[1], (H + G) * D, half, 0
    )
    scores = np.zeros((2, H, tokens, tokens))
    KERNELS["attention_scores"](*scores, p, v, 1.0, 1, tokens, H, G, D, 0)
    np.testing.assert_allclose(scores[..., 1:, 1:], scores[..., :-1, :-1], rtol=1e-12)
    assert len({f"{s:.6f}" for s in scores[0, 0, 0]}) == tokens


def weights(kind: str, m: Host, v: Host, causal: int = 0) -> tuple[Host, Host, Host, Host]:
    """Means, strengths, slopes and second moments of the weights of rows `(rows, tokens)`."""
    mu, var, (slope, second) = m.copy(), v.copy(), np.zeros((2, *m.shape))
    KERNELS[f"attention_{kind}"](mu, var, slope, second, *m.shape, causal)
    return mu, var, slope, second


@pytest.mark.parametrize("var", SCALES)
def test_weighted_values_are_exact(var: float) -> None:
    """Of weights with the moments that they are given, which sum to one."""
    mu_p, var_p = projections(var)
    rng = np.random.default_rng(4)
    m, v = rng.normal(size=(H * T, T)), 0.5 * rng.random((H * T, T))
    a, c, r, e = (x.reshape(H, T, T) for x in weights("softmax", m, v))
    mu, spread = np.zeros((2, T, H, D))
    KERNELS["attention_values"](mu, spread, a, c, e, mu_p, var_p, *SIZES)
    values = draw(mu_p, var_p)[:, :, H + G]
    steps = np.sqrt(c) * np.random.default_rng(5).standard_normal((DRAWS, H, T, T))
    sampled = a + steps - a * steps.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(sampled.sum(axis=-1), 1, rtol=1e-12)
    assert_moments(sampled, a, e - a * a)
    y = np.einsum("nhtu,num->nthm", sampled, values)
    assert_moments(y, mu, spread)

    d_y = np.zeros((2, T, H, D))
    d_y[:, 1, 1, 2] = 1, -1
    d_mu_p, d_var_p = np.zeros((2, *mu_p.shape))
    KERNELS["attention_values_backward"](d_mu_p, d_var_p, *d_y, a, *SIZES)
    d_mu_v, target = d_mu_p[:, H + G, 2], y[:, 1, 1, 2, None]
    assert_covariance(values[..., 2], target, var_p[:, H + G, 2] * d_mu_v)
    np.testing.assert_allclose(d_var_p, -(d_mu_p**2), rtol=1e-12)

    # A score moves its row along `e_k - A`, by `r` times its own deviation.
    d_s = np.zeros((2, B, H, T, T))
    KERNELS["attention_weights_backward"](*d_s, *d_y, mu, r, mu_p, *SIZES)
    gap = mu_p[:, H + G, 2] - mu[1, 1, 2]
    np.testing.assert_allclose(d_s[0, 0, 1, 1], r[1, 1] * gap, rtol=1e-10)
    np.testing.assert_allclose(d_s[1], -(d_s[0] ** 2), rtol=1e-12)
    d_s[:, 0, 1, 1] = 0
    assert (d_s == 0).all()


# Largest root mean square error, over 20 rows of 10 standard normal scores, of mean, standard
# deviation and covariance with a score (over its variance) of weighted standard normal values, by
# the variance of scores; docs/theory/attention.md tells the same.
ERRORS = [
    ("softmax", 0.01, 0.002, 0.002, 0.004),
    ("softmax", 0.1, 0.008, 0.003, 0.005),
    ("softmax", 1.0, 0.05, 0.03, 0.015),
    ("softmax", 10.0, 0.15, 0.1, 0.02),
    ("remax", 0.01, 0.02, 0.03, 0.08),
    ("remax", 0.1, 0.005, 0.025, 0.015),
    ("remax", 1.0, 0.01, 0.05, 0.01),
    ("remax", 10.0, 0.01, 0.05, 0.006),
]


@pytest.mark.parametrize(("kind", "v", "mean", "sd", "slope"), ERRORS)
def test_errors_of_weighted_values(
    kind: str, v: float, mean: float, sd: float, slope: float
) -> None:
    rng = np.random.default_rng(6)
    m, values = rng.normal(size=(20, 10)), rng.normal(size=(20, 10, 4))
    w = v * (0.5 + rng.random(m.shape))
    a, c, r, _ = weights(kind, m, w)
    squares: list[list[float]] = []
    alone: list[float] = []
    for row in range(20):
        s = draw(m[row], w[row], DRAWS // 4, seed=row)
        y = weigh(kind, s, np.ones(10, bool)) @ values[row]
        mu = a[row] @ values[row]
        gap = values[row] - mu
        pairs = (
            (mu, y.mean(axis=0)),
            (np.sqrt(c[row] @ gap**2), y.std(axis=0)),
            (
                r[row, :, None] * gap,
                (s - m[row]).T @ (y - y.mean(axis=0)) / len(s) / w[row][:, None],
            ),
        )
        squares.append([float(np.mean((ours - theirs) ** 2)) for ours, theirs in pairs])
        diagonal = (r * (1 - a))[row, :, None] * values[row]
        alone.append(float(np.mean((diagonal - pairs[2][1]) ** 2)))
    errors = np.sqrt(np.mean(squares, axis=0))
    assert (errors < (mean, sd, slope)).all(), errors
    # Each score through its own weight alone would be further off.
    assert errors[2] < 0.75 * np.sqrt(np.mean(alone))


@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("kind", ["softmax", "remax"])
def test_weights_are_those_of_a_distribution(kind: str, causal: int) -> None:
    """They sum to one, and so does any deviation to zero; what is masked is exactly zero."""
    rng = np.random.default_rng(7)
    for v in (0.0, 0.1, 5.0, 1e4):
        m, var = rng.normal(size=(2, 12, 6))
        var = v * var**2
        if causal:
            m, var = (np.tril(x.reshape(2, 6, 6)).reshape(12, 6) for x in (m, var))
        a, c, r, e = weights(kind, m, var, causal)
        np.testing.assert_allclose(a.sum(axis=1), 1, rtol=1e-12)
        # The categorical distribution is the limit: no weight has a larger variance.
        assert (c <= a * (1 + 1e-12)).all()
        assert (e - a * a <= a * (1 - a) + 1e-12).all()
        # An exact observation leaves a variance that is not negative.
        assert (r**2 * var <= c * (1 + 1e-9)).all()
        if v == 0:
            assert (c == 0).all()
        if causal:
            for x in (a, c, r, e):
                assert (x.reshape(2, 6, 6)[:, ~np.tri(6, dtype=bool)] == 0).all()


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["softmax", "remax"])
def test_extremes_are_finite(kind: str, precision: str) -> None:
    m = np.array([[300.0, -300], [1e4, 1e4], [-50, -60], [0, 0], [1, 2], [-3, 0]])
    v = np.array([[1.0, 1], [1, 1e-9], [1, 1], [0, 0], [1e3, 1e5], [0, 0]])
    for var in (v, 0 * v):
        with np.errstate(all="ignore"):
            found = weights(kind, m.astype(precision), var.astype(precision))
        for x in found:
            assert np.isfinite(x).all()
            assert (x >= 0).all()
        np.testing.assert_allclose(found[0].sum(axis=1), 1, rtol=1e-5)


def test_remax_without_positive_scores_is_undecided() -> None:
    """Among those looked at."""
    m = np.tril(-1 - np.arange(9.0).reshape(3, 3))
    a, c, r, _ = weights("remax", m, 0 * m, 1)
    np.testing.assert_allclose(a, np.tri(3) / np.arange(1, 4)[:, None])
    assert (c == 0).all()
    assert (r == 0).all()


def test_nan_is_not_hidden() -> None:
    m = np.array([[np.nan, 1.0], [1.0, 2.0]])
    for kind in ("softmax", "remax"):
        a, _, _, _ = weights(kind, m, np.ones((2, 2)))
        assert np.isnan(a[0]).all()
        assert np.isfinite(a[1]).all()
