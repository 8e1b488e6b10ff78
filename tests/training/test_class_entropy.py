"""The entropy of predicted classes, and its epistemic part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import entr, ndtr, owens_t, softmax
from scipy.stats import beta, dirichlet, entropy

from tagi_cli.training import class_entropy

Host = np.ndarray[Any, Any]
DRAWS = 40_000


def uncertain(n: int, K: int, seed: int = 0) -> tuple[Host, Host]:
    """Probabilities, and variances of them between none and the largest possible."""
    rng = np.random.default_rng(seed)
    p = softmax(3 * rng.normal(size=(n, K)), axis=1)
    return p, p * (1 - p) * rng.random((n, K)) ** 3


def test_entropy_is_its_definition() -> None:
    p, _ = uncertain(30, 4)
    np.testing.assert_allclose(class_entropy.entropy(p), entropy(p, axis=1))
    np.testing.assert_allclose(class_entropy.entropy(np.full((1, 5), 0.2)), np.log(5))
    np.testing.assert_array_equal(class_entropy.entropy(np.eye(3)), 0)


@pytest.mark.parametrize("alpha", [[0.3, 2.0, 0.7], [5.0, 1.0, 1.0, 9.0], [1e3, 1e4]])
def test_of_a_dirichlet_law_the_expected_entropy_is_exact(alpha: list[float]) -> None:
    law = dirichlet(alpha)
    found = class_entropy.expected_entropy(law.mean()[None], law.var()[None])[0]
    drawn = entropy(law.rvs(DRAWS, random_state=0), axis=1)
    assert abs(drawn.mean() - found) < 6 * drawn.std() / np.sqrt(DRAWS)


def test_each_probability_counts_by_its_own_beta_law() -> None:
    p, var = uncertain(4, 3)
    size = p * (1 - p) / var - 1
    levels = (np.arange(20_000)[:, None, None] + 0.5) / 20_000
    values = beta.ppf(levels, p * size, (1 - p) * size)
    want = entr(values).mean(axis=0).sum(axis=1)
    np.testing.assert_allclose(class_entropy.expected_entropy(p, var), want, rtol=1e-4)


def test_known_probabilities_have_no_epistemic_part_and_unknown_ones_no_other() -> None:
    p, _ = uncertain(20, 4)
    total, epistemic = class_entropy.decompose([p], [0 * p])
    np.testing.assert_allclose(epistemic, 0, atol=1e-15)
    np.testing.assert_allclose(total, entropy(p, axis=1))
    # Either of the classes for sure, and the networks know which: each probability is 0 or 1.
    total, epistemic = class_entropy.decompose([p], [p * (1 - p)])
    np.testing.assert_allclose(epistemic, total)
    # Members that are sure of different things.
    total, epistemic = class_entropy.decompose([np.eye(2), 1 - np.eye(2)], [np.zeros((2, 2))] * 2)
    np.testing.assert_allclose(epistemic, np.log(2))
    np.testing.assert_allclose(total, np.log(2))


@given(st.integers(2, 7), st.integers(1, 4), st.integers(0, 50))
def test_both_parts_are_there_and_no_more(K: int, members: int, seed: int) -> None:
    laws = [uncertain(12, K, seed + i) for i in range(members)]
    total, epistemic = class_entropy.decompose([p for p, _ in laws], [v for _, v in laws])
    assert (epistemic >= 0).all()
    assert (epistemic <= total).all()
    assert (total <= np.log(K) + 1e-12).all()
    less = class_entropy.expected_entropy(*laws[0])
    more = class_entropy.expected_entropy(laws[0][0], 0.5 * laws[0][1])
    assert (less <= more + 1e-12).all()


@pytest.mark.parametrize("share", [1e-9, 1e-13, 1e-15, 1e-30])
def test_little_variance_is_no_jump(share: float) -> None:
    p, _ = uncertain(50, 5)
    found = class_entropy.expected_entropy(p, share * p * (1 - p))
    np.testing.assert_allclose(found, entropy(p, axis=1), atol=5e-9)


def test_extremes_are_finite() -> None:
    p = np.array([[1.0, 0.0], [1 - 1e-30, 1e-30], [0.5, 0.5]])
    for var in (0 * p, p * (1 - p), np.full(p.shape, 1e-320)):
        total, epistemic = class_entropy.decompose([p], [np.minimum(var, p * (1 - p))])
        assert np.isfinite(total).all()
        assert np.isfinite(epistemic).all()


@pytest.mark.parametrize("var", [0.05, 0.5, 3.0])
def test_of_gaussian_units_it_is_close_to_that_of_samples(var: float) -> None:
    """Of binary decisions `Phi(3 z)` of Gaussian units, whose moments are exact."""
    mean = np.linspace(-2, 2, 9)
    spread = 1 / 9
    height, ratio = mean / np.sqrt(spread + var), np.sqrt(spread / (spread + 2 * var))
    p = ndtr(height)
    own = p - 2 * owens_t(height, ratio) - p**2
    both, variances = np.stack([p, 1 - p], axis=1), np.stack([own, own], axis=1)
    z = mean + np.sqrt(var) * np.random.default_rng(0).normal(size=(DRAWS, 9))
    drawn = ndtr(np.stack([3 * z, -3 * z]))
    want = entropy(drawn, axis=0).mean(axis=0)
    np.testing.assert_allclose(class_entropy.expected_entropy(both, variances), want, atol=0.02)
