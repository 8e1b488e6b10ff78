"""Factors on predictive variances, against direct searches and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from scipy.stats import chi2, norm
from scipy.stats import t as student_t

from tagi_cli.training import calibration
from tagi_cli.training.interface import Floats, Prediction


def _surprise(factor: float) -> float:
    """Half the deviance of ten values that are exactly as far away as a factor of 1 says."""
    return -float(10 * (norm.logpdf(1, scale=np.sqrt(factor)) - norm.logpdf(1)))


def _searched(y: Floats, mu: Floats, var: Floats) -> tuple[float, float]:
    """The factor of one target by a direct search, mixtures written out, and its loss."""

    def loss(log_factor: float) -> float:
        factor = float(np.exp(log_factor))
        members = norm.logpdf(y, mu, np.sqrt(factor * var))
        mixture = logsumexp(members, axis=0) - np.log(len(mu))
        return _surprise(factor) - float(mixture.sum())

    found = minimize_scalar(loss, bounds=(-5, 5), method="bounded")
    return float(np.exp(found.x)), float(found.fun)


@pytest.mark.parametrize("spread", [0.3, 1.0, 4.0])
def test_factors_are_those_of_a_direct_search(spread: float) -> None:
    rng = np.random.default_rng(3)
    mu = rng.normal(size=(4, 60, 2))
    var = rng.uniform(0.5, 2, size=mu.shape)
    y = mu.mean(axis=0) + spread * rng.normal(size=(60, 2))
    y[rng.random(y.shape) < 0.2] = np.nan
    found, surprise = calibration.factors(y, mu, var)
    expected = 0.0
    for k in range(2):
        known = ~np.isnan(y[:, k])
        laws = []
        for place, degrees in enumerate((4, 16, np.inf)):
            wide = calibration.spread(4, degrees)
            factor, loss = _searched(y[known, k], mu[:, known, k], var[:, known, k] * wide[:, None])
            laws.append((loss + 3 * place, factor * wide, _surprise(factor) + 3 * place))
        _, direct, prior = min(laws, key=lambda law: law[0])
        np.testing.assert_allclose(found[:, k], direct, rtol=0.02)
        expected += prior
    assert surprise == pytest.approx(expected, abs=0.05)


def test_members_stand_for_the_variance_of_a_student_t() -> None:
    """The mixture of very many members of equal mean, beside the law with 4 degrees of freedom."""
    wide = calibration.spread(4000, 4)
    assert np.exp(np.log(wide).mean()) == pytest.approx(1)
    assert np.all(np.diff(wide) < 0)
    quantiles = 4 / chi2.ppf((np.arange(4000) + 0.5) / 4000, 4)
    scale = np.sqrt(wide / quantiles)
    np.testing.assert_allclose(scale, scale[0])
    for y in (0.0, 1.0, 3.0):
        mixture = norm.pdf(y, scale=np.sqrt(wide)).mean()
        assert mixture == pytest.approx(student_t.pdf(y, 4, scale=scale[0]), rel=0.01)
    np.testing.assert_allclose(calibration.spread(1, 4), 1)
    np.testing.assert_allclose(calibration.spread(8, np.inf), 1)


@pytest.mark.parametrize(
    ("n", "degrees", "expected"), [(2000, np.inf, np.inf), (2000, 4, 4), (50, np.inf, 4)]
)
def test_many_values_tell_the_law_of_the_variance(n: int, degrees: float, expected: float) -> None:
    """Many values of either law give it away; of few, heavier tails are believed."""
    law = norm if np.isinf(degrees) else student_t(degrees)
    y = law.rvs(size=(n, 1), random_state=np.random.default_rng(5))
    found, _ = calibration.factors(y, np.zeros((8, n, 1)), np.ones((8, n, 1)))
    wide = calibration.spread(8, expected)
    np.testing.assert_allclose(found[:, 0] / found[0, 0], wide / wide[0])


def test_one_network_has_a_closed_form() -> None:
    rng = np.random.default_rng(0)
    y, mu, var = rng.normal(size=(30, 1)), rng.normal(size=(1, 30, 1)), np.full((1, 30, 1), 0.2)
    squares = float(np.sum((y - mu[0]) ** 2 / var[0]))
    assert calibration.factors(y, mu, var)[0] == pytest.approx((squares + 10) / 40)


def test_a_calibrated_law_is_left_alone_and_few_values_say_little() -> None:
    rng = np.random.default_rng(1)
    n = 20_000
    y = rng.normal(size=(n, 1))
    right = np.zeros((1, n, 1)), np.ones((1, n, 1))
    assert calibration.factors(y, *right)[0] == pytest.approx(1, abs=0.03)
    far, _ = calibration.factors(np.array([[3.0]]), np.zeros((1, 1, 1)), np.ones((1, 1, 1)))
    assert far == pytest.approx(19 / 11)


def test_nothing_known_leaves_the_factor_at_one() -> None:
    y = np.array([[np.nan, 1.0]])
    var = np.array([[[1.0, 0.0]]])  # a point mass has no variance to multiply
    found, surprise = calibration.factors(y, np.zeros((1, 1, 2)), var)
    np.testing.assert_allclose(found, [[1, 1]])
    assert surprise == 0


def test_factors_travel_with_the_states_of_members() -> None:
    members = [{"a": np.ones(2)}, {"a": np.zeros(2)}]
    found = np.array([[1.5, 0.5], [3.0, 1.0]])
    with_factors = calibration.calibrated(members, found)
    again = calibration.calibrated_alike(members, with_factors)
    for one, other, own in zip(with_factors, again, found, strict=True):
        np.testing.assert_array_equal(calibration.factors_of(one), own)
        np.testing.assert_array_equal(calibration.factors_of(other), own)
    assert [set(one) for one in calibration.uncalibrated(with_factors, "rows")] == [{"a"}, {"a"}]
    assert calibration.uncalibrated(with_factors, "") == with_factors  # none were held out
    assert calibration.factors_of(members[0]) is None
    assert calibration.calibrated(members, None) == members
    assert calibration.calibrated_alike(members, members) == members


def test_variances_are_multiplied_and_means_are_not() -> None:
    law = Prediction(np.ones((3, 2)), np.full((3, 2), 2.0), np.full((3, 2), 3.0))
    mu, epistemic, noise = calibration.scaled(law, np.array([2.0, 0.5]))
    np.testing.assert_array_equal(mu, law.mu)
    np.testing.assert_array_equal(epistemic, np.tile([4.0, 1.0], (3, 1)))
    np.testing.assert_array_equal(noise, np.tile([6.0, 1.5], (3, 1)))
    assert calibration.scaled(law, None) is law
