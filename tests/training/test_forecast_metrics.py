"""Measures of forecasts, against plain loops and samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from tagi_cli.training.forecasting import Errors, by_step, measures


def law(rng: np.random.Generator, members: int, n: int, H: int) -> tuple[np.ndarray, ...]:
    return (
        rng.normal(5, 3, (n, H)),
        rng.normal(5, 2, (members, n, H)),
        rng.uniform(0.5, 3, (members, n, H)),
    )


def test_measures_are_their_definitions() -> None:
    rng = np.random.default_rng(0)
    y, mu, var = law(rng, 1, 6, 4)
    y[0, 1] = y[3] = math.nan
    series = np.array([0, 0, 1, 2, 2, 4])
    scale = np.array([2.0, 2.0, 0.0, 1.0, 1.0, 3.0])
    found = measures(Errors.of_law(y, mu, var), scale, series)
    median, high = mu[0], norm.ppf(0.9, mu[0], np.sqrt(var[0]))
    cells = [(i, h) for i in range(6) for h in range(4) if y[i, h] == y[i, h]]
    size = sum(abs(y[c]) for c in cells)
    assert found["nd"] == pytest.approx(sum(abs(y[c] - median[c]) for c in cells) / size)
    loss = [(0.9 if y[c] > high[c] else 0.1) * abs(y[c] - high[c]) for c in cells]
    assert found["p90"] == pytest.approx(2 * sum(loss) / size)
    share = [abs(y[c] - median[c]) / (abs(y[c]) + abs(median[c])) for c in cells]
    assert found["smape"] == pytest.approx(200 * np.mean(share))
    # Series 1 never changed, and series 3 is not there.
    per_series = [
        np.mean([abs(y[c] - median[c]) / scale[c[0]] for c in cells if series[c[0]] == s])
        for s in (0, 2, 4)
    ]
    assert found["mase"] == pytest.approx(np.mean(per_series))


def test_a_mixture_is_judged_by_its_own_quantiles() -> None:
    rng = np.random.default_rng(1)
    y, mu, var = law(rng, 3, 2, 2)
    draws = rng.normal(mu, np.sqrt(var), (200_000, 3, 2, 2)).reshape(-1, 2, 2)
    errors = Errors.of_law(y, mu, var)
    median, high = np.quantile(draws, (0.5, 0.9), axis=0)
    np.testing.assert_allclose(errors.absolute, np.abs(y - median), atol=0.02)
    loss = np.where(y > high, 0.9, 0.1) * np.abs(y - high)
    np.testing.assert_allclose(errors.pinball_90, loss, atol=0.02)
    low, top = np.quantile(draws, (0.05, 0.95), axis=0)
    np.testing.assert_array_equal(errors.within_90, (low < y) & (y < top))
    rng.shuffle(draws)
    half = draws[: len(draws) // 2], draws[len(draws) // 2 :]
    crps = np.abs(draws - y).mean(axis=0) - np.abs(half[0] - half[1]).mean(axis=0) / 2
    np.testing.assert_allclose(errors.crps, crps, atol=0.02)


def test_points_are_laws_without_spread() -> None:
    rng = np.random.default_rng(2)
    y, mu, _ = law(rng, 1, 5, 3)
    y[2, 0] = math.nan
    y[1, 1] = mu[0, 1, 1]
    one, two = Errors.of_points(y, mu[0]), Errors.of_law(y, mu, np.zeros_like(mu))
    for name in Errors.__annotations__:
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), atol=1e-12)


def test_a_point_that_is_not_forecast_takes_no_part() -> None:
    errors = Errors.of_points(np.array([[1.0, 2.0]]), np.array([[1.5, math.nan]]))
    assert measures(errors, np.ones(1), np.zeros(1, int))["nd"] == pytest.approx(0.5)


def test_steps_are_measured_by_themselves() -> None:
    rng = np.random.default_rng(3)
    y, mu, var = law(rng, 2, 40, 5)
    y[4:9, 2] = math.nan
    series, scale = np.repeat(np.arange(8), 5), np.repeat(rng.uniform(1, 2, 8), 5)
    found = by_step(Errors.of_law(y, mu, var), scale, series)
    for h in range(5):
        errors = Errors.of_law(y[:, [h]], mu[:, :, [h]], var[:, :, [h]])
        for name, value in measures(errors, scale, series).items():
            assert found[name][h] == pytest.approx(value)
        assert found["coverage_90"][h] == pytest.approx(np.nanmean(errors.within_90))
        assert found["crps"][h] == pytest.approx(np.nanmean(errors.crps))


def test_nothing_observed_measures_nothing() -> None:
    errors = Errors.of_law(np.full((2, 3), np.nan), np.zeros((1, 2, 3)), np.ones((1, 2, 3)))
    found = measures(errors, np.ones(2), np.zeros(2, int))
    assert all(math.isnan(value) for value in found.values())


def test_no_forecast_at_all_measures_nothing() -> None:
    errors = Errors.of_law(np.empty((0, 3)), np.zeros((1, 0, 3)), np.ones((1, 0, 3)))
    assert math.isnan(measures(errors, np.ones(0), np.zeros(0, int))["mase"])


def test_many_values_in_blocks_are_as_few(monkeypatch: pytest.MonkeyPatch) -> None:
    y, mu, var = law(np.random.default_rng(4), 2, 50, 3)
    whole = Errors.of_law(y, mu, var)
    monkeypatch.setattr("tagi_cli.training.forecasting._VALUES_PER_BLOCK", 40)
    blocks = Errors.of_law(y, mu, var)
    for name in Errors.__annotations__:
        np.testing.assert_array_equal(getattr(whole, name), getattr(blocks, name))
