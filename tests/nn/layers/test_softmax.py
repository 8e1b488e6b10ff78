"""Class probabilities: first-order expansion, textbook formulas, sampling, extremes."""

from __future__ import annotations

import numpy as np
import pytest
from activation_moments import moments
from scipy.special import softmax
from scipy.stats import norm

from tagi_cli import nn

ALL = [nn.Softmax, nn.ClosedFormSoftmax, nn.Remax]


def logits(rows: int, K: int, v: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, K)), v * (0.5 + rng.random((rows, K)))


def test_softmax_is_linearised_in_all_logits() -> None:
    """Variance by the full Jacobian, found by central differences; rows are samples."""
    m, v = logits(4, 5, 1.0)
    mu, var, jac = moments(nn.Softmax(), m, v)
    np.testing.assert_allclose(mu, softmax(m, axis=1), rtol=1e-14)
    h = 1e-6
    for b in range(4):
        slopes = np.stack(
            [(softmax(m[b] + h * e) - softmax(m[b] - h * e)) / (2 * h) for e in np.eye(5)], axis=1
        )
        np.testing.assert_allclose(var[b], slopes**2 @ v[b], rtol=1e-8)
        np.testing.assert_allclose(jac[b], np.diag(slopes), rtol=1e-8)


def textbook_closed_form(m: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, ...]:
    """The moments as usually written, in logarithms and without any protection."""
    e = np.exp(m + v / 2)
    var_e = np.exp(2 * m + v) * (np.exp(v) - 1)
    total, var_total = e.sum(axis=1, keepdims=True), var_e.sum(axis=1, keepdims=True)
    var_log = np.log(1 + var_total / total**2)
    cov = np.log(1 + var_e / (total * e))
    mean_log = m - (np.log(total) - var_log / 2)
    spread = v + var_log - 2 * cov
    mu = np.exp(mean_log + spread / 2)
    return mu, (np.exp(spread) - 1) * mu**2, mu * (v - cov) / v


def textbook_remax(m: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, ...]:
    """The moments as usually written, in logarithms and without any protection."""
    s = np.sqrt(v)
    P, p = norm.cdf(m / s), norm.pdf(m / s)
    M = m * P + s * p
    V = (m**2 + v) * P + m * s * p - M**2
    total, var_total = M.sum(axis=1, keepdims=True), V.sum(axis=1, keepdims=True)
    var_log, var_log_total = np.log(1 + V / M**2), np.log(1 + var_total / total**2)
    cov = np.log(1 + V / (total * M))
    mean = np.log(M) - var_log / 2 - np.log(total) + var_log_total / 2
    spread = var_log + var_log_total - 2 * cov
    u = np.exp(mean + spread / 2)
    a = u / u.sum(axis=1, keepdims=True)
    var = (np.exp(spread) - 1) * a**2
    cov_a = (np.exp(var_log - cov) - 1) * a * M
    return a, var, np.minimum(np.sqrt(var * v), cov_a / P) / v


@pytest.mark.parametrize("K", [1, 2, 5, 10])
@pytest.mark.parametrize("v", [1e-2, 0.1, 0.8])
@pytest.mark.parametrize(
    ("make", "textbook"),
    [(nn.ClosedFormSoftmax, textbook_closed_form), (nn.Remax, textbook_remax)],
)
def test_rearranged_formulas_are_the_textbook_ones(
    make: object, textbook: object, v: float, K: int
) -> None:
    m, v = logits(6, K, v)
    for got, want in zip(moments(make(), m, v), textbook(m, v), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-13)


def sampled(function: object, m: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, ...]:
    """Mean, standard deviation and J of a function of logits, one row at a time."""
    e = np.random.default_rng(1).standard_normal((50_000, m.shape[1]))
    result = []
    for mean, var in zip(m, v, strict=True):
        z = mean + np.sqrt(var) * e
        a = function(z)
        jac = ((a - a.mean(axis=0)) * (z - mean)).mean(axis=0) / var
        result.append((a.mean(axis=0), a.std(axis=0), jac))
    return tuple(np.stack(part) for part in zip(*result, strict=True))


def share(z: np.ndarray) -> np.ndarray:
    r = np.maximum(z, 0)
    total = r.sum(axis=1, keepdims=True)
    return np.where(total > 0, r / np.where(total > 0, total, 1), 1 / z.shape[1])


# Largest error of mean, standard deviation and J over 20 rows of 10 standard normal logits, by the
# variance of each logit; docs/theory/softmax.md tells the same.
ERRORS = [
    (nn.Softmax, 0.01, 0.002, 0.002, 0.005),
    (nn.Softmax, 0.1, 0.02, 0.01, 0.02),
    (nn.Softmax, 1.0, 0.15, 0.15, 0.1),
    (nn.ClosedFormSoftmax, 0.01, 0.001, 0.002, 0.005),
    (nn.ClosedFormSoftmax, 0.1, 0.005, 0.02, 0.02),
    (nn.ClosedFormSoftmax, 1.0, 0.1, 0.35, 0.1),
    (nn.Remax, 0.01, 0.005, 0.02, 0.2),
    (nn.Remax, 0.1, 0.015, 0.08, 0.2),
    (nn.Remax, 1.0, 0.015, 0.06, 0.05),
]


@pytest.mark.parametrize(("make", "v", "mean", "sd", "slope"), ERRORS)
def test_errors_of_the_approximations(
    make: object, v: float, mean: float, sd: float, slope: float
) -> None:
    m, v = logits(20, 10, v)
    mu, var, jac = moments(make(), m, v)
    function = share if make is nn.Remax else lambda z: softmax(z, axis=1)
    got = sampled(function, m, v)
    for ours, theirs, bound in zip((mu, np.sqrt(var), jac), got, (mean, sd, slope), strict=True):
        assert np.abs(ours - theirs).max() < bound


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("make", ALL)
def test_no_variance_is_the_deterministic_function(make: object, kernels: str) -> None:
    m = np.array([[2.0, 0.5, -1.0, 0.0], [-3.0, -1.0, -2.0, 5.0]])
    want = share(m) if make is nn.Remax else softmax(m, axis=1)
    for v in (None, np.zeros_like(m)):
        mu, var, jac = moments(make(), m, v, kernels)
        np.testing.assert_allclose(mu, want, rtol=1e-12)
        assert (var == 0).all()
        h = 1e-7
        for k in range(4):
            step = h * np.eye(4)[k]
            function = share if make is nn.Remax else lambda z: softmax(z, axis=1)
            slope = (function(m + step) - function(m - step))[:, k] / (2 * h)
            smooth = m[:, k] != 0  # the kink of the rectifier has no slope
            np.testing.assert_allclose(jac[smooth, k], slope[smooth], atol=1e-7)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("make", ALL)
def test_extremes_are_finite(make: object, kernels: str, precision: str) -> None:
    """Large logits overflow a plain exponential, and vanishing ones divide zero by zero."""
    m = np.array([[300.0, -300], [1e4, 1e4], [-50, -60], [0, 0], [1, 2], [-3, 0]])
    v = np.array([[1.0, 1], [1, 1e-9], [1, 1], [0, 0], [1e3, 1e5], [0, 0]])
    for var in (v, None):
        mu, spread, jac = moments(make(), m, var, kernels, precision)
        assert np.isfinite(mu).all()
        assert np.isfinite(spread).all()
        assert np.isfinite(jac).all()
        assert (spread >= 0).all()
        if make is not nn.ClosedFormSoftmax:
            np.testing.assert_allclose(mu.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("make", ALL)
def test_a_posterior_variance_stays_positive(make: object) -> None:
    """An exact observation of the probability leaves `1 - J^2 var_z / var_a` of the logit's."""
    for v in (0.01, 1.0, 10.0):
        m, v = logits(200, 3, v)
        _, var, jac = moments(make(), m, v)
        assert (jac**2 * v <= var * (1 + 1e-9)).all()


def test_one_class_is_certain() -> None:
    for make in ALL:
        mu, var, jac = moments(make(), np.array([[0.7]]), np.array([[0.5]]))
        np.testing.assert_allclose((mu, var, jac), [[[1]], [[0]], [[0]]], atol=1e-15)


def test_remax_without_positive_logits_is_undecided() -> None:
    m = np.array([[-1.0, -2.0, -0.5, -4.0]])
    mu, var, jac = moments(nn.Remax(), m, np.zeros((1, 4)))
    np.testing.assert_array_equal(mu, 0.25)
    assert (var == 0).all()
    assert (jac == 0).all()


def test_rows_are_samples_and_positions() -> None:
    """A batch is not mixed up with the classes, and the last axis is the classes' in any shape."""
    m, v = logits(6, 4, 0.3)
    for make in ALL:
        alone = [moments(make(), m[b : b + 1], v[b : b + 1]) for b in range(6)]
        for got, want in zip(moments(make(), m, v), zip(*alone, strict=True), strict=True):
            np.testing.assert_allclose(got, np.concatenate(want), rtol=1e-12)
        stacked = moments(make(), m.reshape(2, 3, 4), v.reshape(2, 3, 4))
        np.testing.assert_allclose(stacked[0].reshape(6, 4), moments(make(), m, v)[0], rtol=1e-12)


def test_nan_is_not_hidden() -> None:
    m = np.array([[np.nan, np.nan], [1.0, 2.0]])
    for make in ALL:
        for kernels in ("numpy", "auto"):
            mu, _, _ = moments(make(), m, np.ones((2, 2)), kernels)
            assert np.isnan(mu[0]).all()
            assert np.isfinite(mu[1]).all()
