"""Observation noise: batch AGVI against an inverse-gamma posterior, sampling and conditioning."""

from __future__ import annotations

import numpy as np
import pytest

from tagi_cli import nn
from tagi_cli.backend import select
from tagi_cli.backend.reference import KERNELS
from tagi_cli.training.noise import registry


def learn(residuals: np.ndarray, batch: int, var: float = 0.0) -> tuple[float, float]:
    """Mean and sd of the error variance after batches of residuals, prior mean and variance 1."""
    mean, variance, sums = np.ones(1), np.ones(1), np.zeros((1, 3))
    for first in range(0, len(residuals), batch):
        y = residuals[first : first + batch, None]
        B = len(y)
        KERNELS["noise_statistics"](sums, np.zeros((B, 1)), np.full((B, 1), var), y, mean, B, 1)
        KERNELS["noise_step"](mean, variance, sums, 1e-12, 1)
    return float(mean[0]), float(np.sqrt(variance[0]))


@pytest.mark.parametrize("batch", [1, 20, 100, 500])
@pytest.mark.parametrize("true", [0.02, 0.37, 1.5])
def test_learnt_variance_is_the_inverse_gamma_posterior(true: float, batch: int) -> None:
    """Certain predictions: the exact posterior under a flat prior is inverse gamma."""
    n = 4000
    residuals = np.sqrt(true) * np.random.default_rng(0).standard_normal(n)
    shape, scale = n / 2 - 1, 0.5 * (residuals**2).sum()
    exact_mean = scale / (shape - 1)
    exact_sd = exact_mean / np.sqrt(shape - 2)
    mean, sd = learn(residuals, batch)
    assert abs(mean - exact_mean) < exact_sd
    # Few large batches far from the prior leave a trace of it.
    assert 0.85 < sd / exact_sd < (1.2 if batch == 500 else 1.1)


def test_moments_behind_the_learnt_variance_by_sampling() -> None:
    """`V^2` of `V ~ N(0, W)`, `W ~ N(m, q)`: variance `3 q + 2 m^2`, covariance `q` with W."""
    rng = np.random.default_rng(1)
    m, q, n = 1.0, 0.04, 2_000_000
    W = m + np.sqrt(q) * rng.standard_normal(n)
    square = (np.sqrt(np.abs(W)) * rng.standard_normal(n)) ** 2
    assert abs(square.var() / (3 * q + 2 * m**2) - 1) < 0.01
    assert abs(np.cov(square, W)[0, 1] / q - 1) < 0.05


def test_uncertain_predictions_do_not_inflate_the_noise() -> None:
    """Residuals hold the prediction's own variance as well; only the rest is noise."""
    rng = np.random.default_rng(2)
    residuals = np.sqrt(0.3 + 0.5) * rng.standard_normal(20_000)
    mean, _ = learn(residuals, 16, var=0.5)
    assert abs(mean / 0.3 - 1) < 0.05


@pytest.mark.parametrize("batch", [1, 2, 7, 512])
def test_mean_and_variance_stay_positive(batch: int) -> None:
    rng = np.random.default_rng(3)
    for scale in (1e-6, 1.0, 1e6):
        mean, sd = learn(scale * rng.standard_cauchy(2048), batch)
        assert mean > 0
        assert sd > 0


def test_missing_targets_take_no_part() -> None:
    rng = np.random.default_rng(4)
    residuals = rng.standard_normal(50)
    padded = np.concatenate((residuals, np.full(30, np.nan)))
    assert learn(padded, 80) == learn(residuals, 50)
    assert learn(np.full(10, np.nan), 5) == (1.0, 1.0)


def test_decay_is_a_power_of_the_epoch() -> None:
    kind = registry["decay"]
    backend = select(kernels="numpy", precision="float64")
    noise = kind.build(kind.options(sigma_v=2.0, sigma_v_min=0.5, decay=0.5), backend, 1)
    seen = []
    for epoch in range(4):
        noise.start_epoch(epoch)
        seen.append(float(np.sqrt(noise.split(np.zeros((1, 1)), np.zeros((1, 1)))[2][0, 0])))
    np.testing.assert_allclose(seen, [2, 1, 0.5, 0.5])


def test_heteroscedastic_update_is_conditioning_by_sampling() -> None:
    """Innovations of (prediction, error variance) against regression on simulated observations.

    The update is the linear one given `V`'s posterior; the prediction's part is exact given a
    certain error variance, and a large residual must raise, a small one lower the error variance.
    """
    mu = np.array([0.5, 0.8])
    var = np.array([0.3, 0.1])
    d_mu, d_var = np.zeros(2), np.zeros(2)
    y = np.array([0.5 + 3.0])
    KERNELS["heteroscedastic_update"](d_mu, d_var, mu, var, y, 1)
    assert d_mu[0] == pytest.approx(3.0 / 1.1)
    assert d_var[0] == pytest.approx(-1 / 1.1)
    assert d_mu[1] > 0
    KERNELS["heteroscedastic_update"](d_mu, d_var, mu, var, mu[:1].copy(), 1)
    assert d_mu[1] < 0
    assert var[1] + var[1] ** 2 * d_var[1] > 0


def test_a_tiny_error_variance_does_not_overflow() -> None:
    inputs = [2.35, 1.2e-10], [0.0105, 6.8e-21], [2.2]
    exact, single = (
        [np.zeros(2, real), np.zeros(2, real), *(np.array(values, real) for values in inputs), 1]
        for real in (np.float64, np.float32)
    )
    KERNELS["heteroscedastic_update"](*exact)
    KERNELS["heteroscedastic_update"](*single)
    np.testing.assert_allclose(single[1], exact[1], rtol=1e-4)


def test_heteroscedastic_averages_to_the_prior() -> None:
    """Law of total expectation: over predicted observations the error variance does not move."""
    rng = np.random.default_rng(5)
    n = 1_000_000
    m, v, w, q = 0.0, 0.3, 0.8, 0.05
    y = m + np.sqrt(v + w) * rng.standard_normal(n)
    mu, var = np.tile([m, w], n), np.tile([v, q], n)
    d_mu, d_var = np.zeros(2 * n), np.zeros(2 * n)
    KERNELS["heteroscedastic_update"](d_mu, d_var, mu, var, y, n)
    error = d_mu[1::2].std() / np.sqrt(n)
    assert abs(d_mu[1::2].mean()) < 6 * error


def test_kinds_have_the_units_they_need() -> None:
    backend = select(kernels="numpy", precision="float64")
    units = {name: kind.build(kind.options(), backend, 2).units for name, kind in registry.items()}
    assert units == {"auto": 1, "constant": 1, "decay": 1, "heteroscedastic": 2, "learned": 1}
    kind = registry["heteroscedastic"]
    assert isinstance(kind.build(kind.options(), backend, 2).head()[0], nn.EvenExp)


@pytest.mark.parametrize("kind", ["auto", "learned", "decay"])
def test_a_floor_above_the_start_is_a_fault(kind: str) -> None:
    options = registry[kind].options
    assert options(sigma_v=0.5, sigma_v_min=0.5).faults() == []
    (fault,) = options(sigma_v=0.5, sigma_v_min=2.0).faults()
    assert fault == "noise.sigma_v_min: found 2. Allowed: at most noise.sigma_v, 0.5"
