"""Priors that are renewed in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagi_cli import nn
from tagi_cli.arch.latent import group_maps, request
from tagi_cli.arch.latent.shrinkage import Shrinkage, Shrunk
from tagi_cli.arch.latent.synthetic import synthetic
from tagi_cli.arch.latent_regression import ARD, Lasso, LatentRegModel


class Fixed(Shrinkage):
    def __init__(self, alpha: float) -> None:
        self.alpha = alpha

    def precision(self, mu: np.ndarray, var: np.ndarray) -> np.ndarray:
        return np.full(mu.shape, self.alpha)


@given(st.integers(0, 10_000), st.floats(0.01, 100.0))
def test_a_new_prior_is_as_if_the_data_had_been_seen_under_it(seed: int, alpha: float) -> None:
    """Scalar regressions: the exact posterior under the old prior becomes that under the new."""
    rng = np.random.default_rng(seed)
    mean, var = rng.normal(size=(2, 3)), rng.random((2, 3)) + 0.1
    information, evidence = rng.random((2, 3)) * 50, rng.normal(size=(2, 3)) * 10
    parameter = nn.Parameter("p", mean.copy(), var.copy())
    shrunk = Shrunk(parameter, Fixed(alpha))
    for prior_mean, precision, number in ((mean, 1 / var, alpha), (0 * mean, alpha, 0.5)):
        posterior = 1 / (precision + information)
        parameter.assign(posterior * (prior_mean * precision + evidence), posterior)
        shrunk.kind = Fixed(number)
        shrunk.renew(1)
        want = 1 / (number + information)
        np.testing.assert_allclose(parameter.var, want, rtol=1e-9)
        np.testing.assert_allclose(parameter.mu, want * evidence, rtol=1e-9, atol=1e-12)


def test_entries_that_would_be_improper_or_are_certain_keep_their_prior() -> None:
    parameter = nn.Parameter("p", np.array([[1.0, 2.0, 3.0]]), np.array([[0.5, 1.0, 0.0]]))
    shrunk = Shrunk(parameter, Fixed(0.1))
    # The second was learnt to be *less* certain than its prior, as rounding may have it.
    parameter.assign([[1.5, 2.0, 3.0]], [[0.25, 1.2, 0.0]])
    shrunk.renew(1)
    np.testing.assert_array_equal(parameter.mu[0, 1:], [2.0, 3.0])
    np.testing.assert_array_equal(parameter.var[0, 1:], [1.2, 0.0])
    np.testing.assert_allclose(parameter.var[0, 0], 1 / (4 - 2 + 0.1))


def test_precisions_have_their_formulas() -> None:
    mu, var = np.array([[1.0, 2.0], [0.0, 0.1]]), np.full((2, 2), 0.25)
    row = ARD(a=0.5, b=2.0).precision(mu, var)
    np.testing.assert_allclose(row[:, 0], [1.5 / (2 + 2.75), 1.5 / (2 + 0.255)])
    np.testing.assert_array_equal(row[:, 0], row[:, 1])
    column = ARD(by="column", a=0.5, b=2.0).precision(mu, var)
    np.testing.assert_allclose(column[0], [1.5 / (2 + 0.75), 1.5 / (2 + 2.255)])
    np.testing.assert_allclose(Lasso(3.0).precision(mu, var), 3 / np.sqrt(mu**2 + var))


def test_epochs_count_in_the_precision() -> None:
    """What was seen E times is as precise as E data sets: the prior is raised to that power."""
    made = []
    for epochs in (1, 4):
        parameter = nn.Parameter("p", np.zeros((1, 1)), np.ones((1, 1)))
        shrunk = Shrunk(parameter, Lasso(2.0))
        parameter.assign([[0.5]], [[0.1 / epochs]])
        shrunk.renew(epochs)
        made.append(float(parameter.var[0, 0]))
    alpha = 2.0 / np.sqrt(0.25 + 0.1)
    np.testing.assert_allclose(made, [1 / (10 - 1 + alpha), 1 / (40 - 1 + 4 * alpha)])


@pytest.mark.parametrize("kind", [ARD(by="row"), Lasso(30.0)])
def test_inputs_without_effect_shrink(kind: Shrinkage) -> None:
    """60 inputs, 8 of which matter: the others' rows of p get small, and predictions better."""
    rng = np.random.default_rng(0)
    p = np.zeros((60, 2))
    p[:8] = np.linalg.qr(rng.normal(size=(8, 2)))[0]
    u = np.linalg.qr(rng.normal(size=(20, 2)))[0] * 3
    x, x_new = rng.normal(size=(400, 60)), rng.normal(size=(2000, 60))
    y = x @ p @ u.T + rng.normal(size=(400, 20))
    excess, norms = [], []
    for shrinkage in ({}, {"p": kind}):
        model = LatentRegModel([60], [20], [2], [2], group_maps.identity(), [None], seed=0)
        model.fit([x], [y], 20, 20, epochs=10, shrinkage=shrinkage)
        (mean,), (modes,) = model.forward([x_new]), model.moments("p")
        assert modes is not None
        excess.append(np.sqrt(((mean - x_new @ p @ u.T) ** 2).mean()))
        rows = np.sqrt((modes.mu**2).sum(axis=1))
        norms.append(rows[8:].mean() / rows[:8].mean())
    assert excess[1] < 0.85 * excess[0]
    assert norms[1] < 0.7 * norms[0]


def test_a_latent_too_many_shrinks() -> None:
    """By column: the weakest latent, and the weakest direction of the product, get smaller."""
    rng = np.random.default_rng(1)
    p = np.linalg.qr(rng.normal(size=(15, 2)))[0]
    u = np.linalg.qr(rng.normal(size=(12, 2)))[0] * 3
    x = rng.normal(size=(600, 15))
    y = x @ p @ u.T + rng.normal(size=(600, 12))
    weakest, singular = [], []
    for ard in ({}, dict.fromkeys(("p", "u"), ARD(by="column"))):
        model = LatentRegModel([15], [12], [3], [3], group_maps.identity(), [None], seed=0)
        model.fit([x], [y], 20, 20, epochs=15, shrinkage=ard)
        (modes,), (ups,) = model.moments("p"), model.moments("u")
        assert modes is not None
        assert ups is not None
        norms = np.linalg.norm(modes.mu, axis=0) * np.linalg.norm(ups.mu, axis=0)
        weakest.append(norms.min())
        singular.append(np.linalg.svd(ups.mu @ modes.mu.T, compute_uv=False)[2])
    assert weakest[1] < 0.7 * weakest[0]
    assert singular[1] < 0.85 * singular[0]


def test_l1_penalties_are_laplace_priors_of_either_convention() -> None:
    """By its code the original penalises the mean of the entries, by its documentation the sum."""
    for convention, rate in (("code", 100 * 0.5 / 12), ("docs", 100 * 0.5)):
        with pytest.warns(UserWarning, match="l1_p_lambda: penalties become Laplace priors"):
            made = request.lassos("l1_p_lambda", [None, 0.5], [(3, 2), (4, 3)], 100, convention)
        assert made == [None, Lasso(rate)]


def test_l1_penalties_shrink() -> None:
    data = synthetic(300, 0)
    groups = data.groups
    sizes = []
    for penalty in (None, [3.0, None]):
        model = LatentRegModel(
            groups.d_in, groups.d_out, groups.d_proj, groups.d_trans, group_maps.identity(),
            [None], seed=0,
        )  # fmt: skip
        if penalty is None:
            model.fit(data.x, data.y, 20, 20, epochs=4)
        else:
            with pytest.warns(UserWarning, match="l1_p_lambda"):
                model.fit(data.x, data.y, 20, 20, epochs=4, l1_p_lambda=penalty)
        (first, _) = model.moments("p")
        assert first is not None
        sizes.append(np.abs(first.mu).mean())
    assert sizes[1] < 0.9 * sizes[0]


def test_wrong_numbers_are_named() -> None:
    for make, text in (
        (lambda: ARD(by="entry"), "ARD by 'entry'. Allowed: row, column"),
        (lambda: ARD(b=0.0), "Allowed: a from 0, b above 0"),
        (lambda: Lasso(0.0), "lasso of rate 0. Allowed: above 0"),
        (lambda: request.lassos("l", None, [], 1, "text"), "l1_convention: found 'text'"),
        (lambda: request.lassos("l", [0.1], [(1, 1)] * 2, 1, "code"), "found 1 penalties"),
    ):
        with pytest.raises(ValueError, match=r"Allowed|found") as caught:
            make()
        assert text in str(caught.value)
    with pytest.raises(ValueError, match="found -1"), pytest.warns(UserWarning, match="penalties"):
        request.lassos("l", [-1.0], [(1, 1)], 1, "code")
