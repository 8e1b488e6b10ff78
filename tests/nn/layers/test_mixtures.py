"""Piecewise linear activations with exact moments: sampling, closed forms, limits."""

from __future__ import annotations

import numpy as np
import pytest
from activation_moments import moments
from monte_carlo import assert_activation
from scipy.integrate import quad
from scipy.stats import norm

from tagi_cli import nn

# Centre, edges and saturation; from nearly no variance to very wide.
POINTS = [(m, v) for m in (-4.0, -1.0, 0.0, 0.3, 1.0, 2.5) for v in (1e-8, 1e-2, 1.0, 9.0, 4e4)]


def tanh(z: np.ndarray) -> np.ndarray:
    return np.clip(z, -1, 1)


def sigmoid(z: np.ndarray) -> np.ndarray:
    return np.clip((z + 1) / 2, 0, 1)


def leaky(z: np.ndarray) -> np.ndarray:
    return np.where(z > 0, z, 0.2 * z)


EXACT = [
    (nn.MixtureTanh, tanh),
    (nn.MixtureSigmoid, sigmoid),
    (lambda: nn.MixtureLeakyReLU(0.2), leaky),
]


@pytest.mark.parametrize(("m", "v"), POINTS)
@pytest.mark.parametrize(("make", "function"), EXACT)
def test_moments_by_sampling(make: object, function: object, m: float, v: float) -> None:
    mu, var, jac = moments(make(), np.array([[m]]), np.array([[v]]))
    assert_activation(function, m, v, mu[0, 0], var[0, 0], jac[0, 0])


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("s", [0.05, 0.7, 3.0, 20.0, 99.0, 101.0, 1e3])
@pytest.mark.parametrize("m", [-9.0, -1.2, -0.4, 0.0, 1.0, 5.0])
def test_clip_agrees_with_integrals(m: float, s: float, kernels: str) -> None:
    """Mean, variance and slope by quadrature, in double precision, on both sides of the series."""
    mu, var, jac = moments(nn.MixtureTanh(), np.array([[m]]), np.array([[s * s]]), kernels)

    def mass(power: int) -> float:
        inner = quad(lambda z: z**power * norm.pdf(z, m, s), -1, 1, points=[min(max(m, -1), 1)])[0]
        return float(inner + norm.sf(1, m, s) + (-1) ** power * norm.cdf(-1, m, s))

    mean = mass(1)
    assert mu[0, 0] == pytest.approx(mean, rel=1e-9, abs=1e-10)
    assert var[0, 0] == pytest.approx(mass(2) - mean * mean, rel=1e-8, abs=1e-10)
    assert jac[0, 0] == pytest.approx(norm.cdf(1, m, s) - norm.cdf(-1, m, s), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("make", [nn.MixtureTanh, nn.MixtureSigmoid, nn.MixtureLeakyReLU])
def test_no_variance_is_the_deterministic_function(make: object, kernels: str) -> None:
    m = np.array([[-5.0, -1.0, -0.2, 0.0, 0.4, 1.0, 7.0]])
    certain = moments(make(), m, None, kernels)
    limit = moments(make(), m, np.zeros_like(m), kernels)
    function = {nn.MixtureTanh: tanh, nn.MixtureSigmoid: sigmoid}.get(
        make, lambda z: np.where(z > 0, z, 0.1 * z)
    )
    for mu, var, jac in (certain, limit):
        np.testing.assert_allclose(mu, function(m), rtol=1e-15)
        assert (var == 0).all()
        assert np.isfinite(jac).all()
    np.testing.assert_array_equal(certain[2], limit[2])


def test_a_narrow_variance_is_not_floored() -> None:
    """pytagi gives 1e-6 here, a thousand times too much."""
    for make, slope in ((nn.MixtureTanh, 1), (nn.MixtureSigmoid, 0.5)):
        _, var, jac = moments(make(), np.array([[0.3]]), np.array([[1e-9]]))
        np.testing.assert_allclose(var, slope**2 * 1e-9, rtol=1e-12)
        np.testing.assert_allclose(jac, slope)


def test_single_precision_keeps_small_variances() -> None:
    """Raw moments of numbers near 1 would leave nothing of a variance of 1e-10."""
    m, v = np.array([[0.9, -0.97, 1.0]]), np.array([[1e-10, 1e-9, 1e-10]])
    got = moments(nn.MixtureTanh(), m, v, "auto", "float32")[1]
    np.testing.assert_allclose(got, moments(nn.MixtureTanh(), m, v)[1], rtol=1e-3)


def test_slopes_join_identity_and_rectifier() -> None:
    m, v = np.random.default_rng(0).normal(size=(2, 1, 50))
    v = v**2
    for got, want in zip(
        moments(nn.MixtureLeakyReLU(0.0), m, v), moments(nn.MixtureReLU(), m, v), strict=True
    ):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-15)
    mu, var, jac = moments(nn.MixtureLeakyReLU(1.0), m, v)
    np.testing.assert_allclose((mu, var, jac), (m, v, np.ones_like(m)), rtol=1e-12)


def test_nan_is_not_hidden() -> None:
    for make in (nn.MixtureTanh, nn.MixtureSigmoid, nn.MixtureLeakyReLU):
        for kernels in ("numpy", "auto"):
            mu, _, _ = moments(make(), np.array([[np.nan]]), np.array([[1.0]]), kernels)
            assert np.isnan(mu).all()
