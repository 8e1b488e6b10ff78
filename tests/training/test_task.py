"""Scoring of regression: the mixture's NLL, against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from linear_learner import Rows
from scipy.stats import norm

from tagi_cli.data import Windows
from tagi_cli.training.interface import NumericalError, Prediction
from tagi_cli.training.task import RegressionTask

RNG = np.random.default_rng(2)
SCALE = np.array([2.0, 50.0])


def rows(y: np.ndarray, scale: np.ndarray = SCALE[None]) -> Rows:
    return Rows(np.zeros((len(y), 1)), y, np.zeros_like(scale), scale)


def test_two_outputs_with_missing_targets() -> None:
    y = RNG.normal(size=(30, 2))
    y[RNG.uniform(size=y.shape) < 0.3] = np.nan
    members = [
        Prediction(RNG.normal(size=y.shape), RNG.uniform(size=y.shape), RNG.uniform(size=y.shape))
        for _ in range(3)
    ]
    found = RegressionTask().validate(rows(y), members)
    known = ~np.isnan(y)
    density = np.mean(
        [norm.pdf(y, one.mu, np.sqrt(one.var_epistemic + one.var_noise)) for one in members], axis=0
    )
    assert found.score == pytest.approx(-np.log(density[known]).mean(), rel=1e-12)
    original = np.log(density / SCALE)
    assert found.metrics["nll"] == pytest.approx(-original[known].mean(), rel=1e-12)
    error = (SCALE * (y - np.mean([one.mu for one in members], axis=0)))[known]
    assert found.metrics["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-12)
    assert found.metrics["mae"] == pytest.approx(np.mean(np.abs(error)), rel=1e-12)


def test_a_calibrated_score_is_that_of_the_law_that_is_given() -> None:
    """One network, far too sure: its factor is (S + 10) / (n + 10), and enters the score."""
    y = 3 * RNG.normal(size=(40, 2))
    member = Prediction(np.zeros_like(y), np.full_like(y, 0.25), np.full_like(y, 0.75))
    found = RegressionTask(calibrate=True).validate(rows(y), [member])
    factors = (np.sum(y**2, axis=0) + 10) / 50
    assert found.factors == pytest.approx(factors[None])
    nll = -norm.logpdf(y, 0, np.sqrt(factors)).mean()
    assert found.metrics["nll"] == pytest.approx(nll + np.log(SCALE).mean())
    surprise = 5 * np.sum(np.log(factors) + 1 / factors - 1)
    assert found.score == pytest.approx(nll + surprise / y.size)


def test_training_sums_of_two_outputs() -> None:
    """20 values of the first output and 10 of the second, one member."""
    scores = {
        "count": np.array([20.0, 10.0]),
        "nll_sum": np.array([30.0, 6.0]),
        "se_sum": np.array([5.0, 1.0]),
    }
    found = RegressionTask().train_metrics([scores], rows(np.zeros((30, 2))))
    assert found["nll"] == pytest.approx((36 + 20 * np.log(2) + 10 * np.log(50)) / 30)
    assert found["rmse"] == pytest.approx(np.sqrt((5 * 4 + 1 * 2500) / 30))


def test_no_observed_training_target() -> None:
    scores = {name: np.zeros(2) for name in ("count", "nll_sum", "se_sum")}
    found = RegressionTask().train_metrics([scores], rows(np.full((5, 2), np.nan)))
    assert all(np.isnan(value) for value in found.values())


def test_an_undefined_score_is_an_error() -> None:
    """Point masses: one hit gives an infinite density, one missed none; their mean is no number."""
    zero = np.zeros((2, 1))
    with np.errstate(invalid="ignore"), pytest.raises(NumericalError, match="NLL is NaN"):
        RegressionTask().validate(
            rows(np.array([[0.0], [1.0]]), np.ones((1, 1))), [Prediction(zero, zero, zero)]
        )


def test_rows_of_their_own_scale() -> None:
    """Windows of 2 steps of 1 target: the NLL is in original units, errors are in both."""
    rng = np.random.default_rng(3)
    y = Windows(rng.normal(size=(40, 1)), np.arange(30), 2)
    y.rows[::4] = np.nan
    scale = rng.uniform(1, 100, size=(30, 2))
    part = Rows(np.zeros((30, 1)), y, 0 * scale, scale)
    one = Prediction(rng.normal(size=(30, 2)), rng.uniform(size=(30, 2)), np.ones((30, 2)))
    found = RegressionTask().validate(part, [one])
    targets = np.asarray(y)[:, :, 0]
    sd = np.sqrt(one.var_epistemic + one.var_noise)
    known = ~np.isnan(targets)
    original = norm(one.mu * scale, sd * scale).logpdf(targets * scale)[known]
    assert found.metrics["nll"] == pytest.approx(-original.mean(), rel=1e-12)
    scaled = norm(one.mu, sd).logpdf(targets)[known]
    assert found.score == pytest.approx(-scaled.mean(), rel=1e-12)
    error = (targets - one.mu)[known]
    assert found.metrics["rmse_scaled"] == pytest.approx(np.sqrt(np.mean(error**2)))
    error = error * scale[known]
    assert found.metrics["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)))
    assert found.metrics["mae"] == pytest.approx(np.mean(np.abs(error)))
    # Prequential sums of predictions like these: errors are known in scaled units alone.
    density, squared = np.where(known, norm(one.mu, sd).logpdf(targets), 0), (targets - one.mu) ** 2
    scores = {
        "count": known.sum(axis=0).astype(float),
        "nll_sum": -density.sum(axis=0),
        "se_sum": np.nansum(squared, axis=0),
    }
    trained = RegressionTask().train_metrics([scores], part)
    assert trained == {
        "nll": pytest.approx(found.metrics["nll"]),
        "rmse_scaled": pytest.approx(found.metrics["rmse_scaled"]),
    }
