"""The mixture's law against scipy, integration and sampling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import integrate, optimize
from scipy.stats import norm

from tagi_cli.training import mixture

RNG = np.random.default_rng(3)
MU = RNG.normal(0, 3, size=(4, 6))
VAR = RNG.uniform(0.01, 4, size=(4, 6))
Y = RNG.normal(0, 3, size=6)


def pdf(x: float, mu: np.ndarray, var: np.ndarray) -> float:
    return float(np.mean(norm.pdf(x, mu, np.sqrt(var))))


@pytest.mark.parametrize("j", range(6))
def test_moments_match_integrals(j: int) -> None:
    mu, var = MU[:, j], VAR[:, j]

    def integral(power: int, centre: float) -> float:
        def term(x: float) -> float:
            return (x - centre) ** power * pdf(x, mu, var)

        return float(integrate.quad(term, -40, 40, points=list(mu), limit=400)[0])

    mean = integral(1, 0.0)
    assert mixture.mean(MU)[j] == pytest.approx(mean, rel=1e-7, abs=1e-9)
    assert mixture.variance(MU, VAR)[j] == pytest.approx(integral(2, mean), rel=1e-7)


def test_density_and_cdf_match_scipy() -> None:
    expected = np.log(np.mean(norm.pdf(Y, MU, np.sqrt(VAR)), axis=0))
    np.testing.assert_allclose(mixture.log_density(Y, MU, VAR), expected, rtol=1e-12)
    expected = np.mean(norm.cdf(Y, MU, np.sqrt(VAR)), axis=0)
    np.testing.assert_allclose(mixture.cdf(Y, MU, VAR), expected, rtol=1e-12)


def test_density_far_out_is_finite() -> None:
    """exp(-5e5) underflows; its logarithm does not."""
    found = mixture.log_density(np.array(1000.0), np.array([0.0, 0.5]), np.ones(2))
    assert found == pytest.approx(norm.logpdf(1000, 0.5) - np.log(2), rel=1e-12)


def test_crps_is_the_integral_of_the_squared_distance() -> None:
    for j in range(6):
        mu, var, y = MU[:, j], VAR[:, j], Y[j]

        def squared(x: float, mu=mu, var=var, y=y) -> float:
            return float((np.mean(norm.cdf(x, mu, np.sqrt(var))) - (x >= y)) ** 2)

        parts = [integrate.quad(squared, *ends, limit=400)[0] for ends in ((-60, y), (y, 60))]
        assert mixture.crps(Y, MU, VAR)[j] == pytest.approx(sum(parts), rel=1e-6)


def test_crps_matches_sampling() -> None:
    rng = np.random.default_rng(0)
    n = 200_000
    member = rng.integers(4, size=(2, n))
    x = MU[member, 2] + np.sqrt(VAR[member, 2]) * rng.normal(size=(2, n))
    draws = np.abs(x[0] - Y[2]) - 0.5 * np.abs(x[0] - x[1])
    standard_error = draws.std() / np.sqrt(n)
    assert abs(mixture.crps(Y, MU, VAR)[2] - draws.mean()) < 6 * standard_error


@pytest.mark.parametrize("probability", [1e-6, 0.05, 0.5, 0.9, 0.999])
def test_quantile_matches_brent(probability: float) -> None:
    found = mixture.quantile(probability, MU, VAR)
    for j in range(6):
        mu, sd = MU[:, j], np.sqrt(VAR[:, j])
        expected = optimize.brentq(
            lambda x, mu=mu, sd=sd: np.mean(norm.cdf(x, mu, sd)) - probability,
            -60,
            60,
            xtol=1e-13,
        )
        assert found[j] == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_quantile_of_one_member_is_exact() -> None:
    expected = norm.ppf(0.95, MU[:1], np.sqrt(VAR[:1]))[0]
    np.testing.assert_allclose(mixture.quantile(0.95, MU[:1], VAR[:1]), expected, rtol=1e-14)


@given(
    arrays.arrays(np.float64, (3, 5), elements=st.floats(-1e6, 1e6)),
    arrays.arrays(np.float64, (3, 5), elements=st.floats(-12, 12)),
    st.floats(0.001, 0.999),
)
def test_quantile_inverts_the_cdf(mu: np.ndarray, log_var: np.ndarray, probability: float) -> None:
    """Also where narrow members lie far apart: around the result the cdf passes the probability."""
    var = 10.0**log_var
    x = mixture.quantile(probability, mu, var)
    slack = 1e-9 * (np.sqrt(mixture.variance(mu, var)) + np.abs(x))
    assert (mixture.cdf(x - slack, mu, var) <= probability + 1e-12).all()
    assert (mixture.cdf(x + slack, mu, var) >= probability - 1e-12).all()


def test_quantile_of_hard_mixtures() -> None:
    """Widths over eighteen decades far apart, where Newton's steps alone go astray or crawl."""
    rng = np.random.default_rng(0)
    mu, var = rng.normal(size=(10, 20_000)), 10.0 ** rng.uniform(-12, 6, size=(10, 20_000))
    for probability in (0.05, 0.5):
        x = mixture.quantile(probability, mu, var)
        slack = 1e-9 * (np.sqrt(mixture.variance(mu, var)) + np.abs(x))
        assert (mixture.cdf(x - slack, mu, var) <= probability + 1e-12).all()
        assert (mixture.cdf(x + slack, mu, var) >= probability - 1e-12).all()


def test_point_masses() -> None:
    """Members without variance: a step of the cdf, an infinite density, the distance as CRPS."""
    mu, var = np.array([[1.0, 1.0, 1.0]] * 2), np.zeros((2, 3))
    y = np.array([0.0, 1.0, 3.0])
    np.testing.assert_array_equal(mixture.cdf(y, mu, var), [0, 0.5, 1])
    np.testing.assert_array_equal(mixture.log_density(y, mu, var), [-np.inf, np.inf, -np.inf])
    np.testing.assert_array_equal(mixture.crps(y, mu, var), [1, 0, 2])
    np.testing.assert_array_equal(mixture.quantile(0.3, mu, var), [1, 1, 1])


def test_quantile_between_point_masses() -> None:
    mu, var = np.array([[0.0], [1.0]]), np.zeros((2, 1))
    assert mixture.quantile(0.25, mu, var)[0] == pytest.approx(0, abs=1e-9)
    assert mixture.quantile(0.75, mu, var)[0] == pytest.approx(1, abs=1e-9)


def test_any_shape() -> None:
    mu, var = RNG.normal(size=(3, 2, 5)), RNG.uniform(0.1, 1, size=(3, 2, 5))
    for result in (mixture.quantile(0.2, mu, var), mixture.crps(mu[0], mu, var)):
        assert result.shape == (2, 5)
    assert mixture.quantile(0.2, np.empty((3, 0, 2)), np.empty((3, 0, 2))).shape == (0, 2)
