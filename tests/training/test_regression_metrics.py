"""Metrics of regression against sums written out, integration, and calibrated draws."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import norm, wasserstein_distance

from tagi_cli.training import metrics
from tagi_cli.training.metrics import pit_error, regression_metrics

RNG = np.random.default_rng(7)


def case(n: int = 50, M: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mu = RNG.normal(size=(M, n, 2)) * [1, 10] + [0, 100]
    var = RNG.uniform(0.5, 2, size=(M, n, 2)) * [1, 100]
    y = mu[0] + np.sqrt(var[0]) * RNG.normal(size=(n, 2))
    y[RNG.uniform(size=(n, 2)) < 0.2] = np.nan
    return y, mu, var


def test_one_gaussian_against_scipy() -> None:
    y, mu, var = case(M=1)
    found = regression_metrics(y, mu, var, ["a", "b"])
    known = ~np.isnan(y)
    law = norm(mu[0][known], np.sqrt(var[0][known]))
    observed = y[known]
    assert found["nll"] == pytest.approx(-law.logpdf(observed).mean(), rel=1e-12)
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((observed - law.mean()) ** 2)), rel=1e-12)
    assert found["mae"] == pytest.approx(np.mean(np.abs(observed - law.mean())), rel=1e-12)
    for level in (50, 90, 95):
        low, high = law.interval(level / 100)
        inside = np.mean((low <= observed) & (observed <= high))
        assert found[f"coverage_{level}"] == pytest.approx(inside, abs=1e-12)
    low, high = law.interval(0.9)
    assert found["width_90"] == pytest.approx(np.mean(high - low), rel=1e-12)
    z = (observed - law.mean()) / law.std()
    # Gneiting, Raftery, Westveld & Goldman (2005), equation 5.
    crps = law.std() * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))
    assert found["crps"] == pytest.approx(crps.mean(), rel=1e-12)


def test_components_are_each_output_alone() -> None:
    y, mu, var = case()
    found = regression_metrics(y, mu, var, ["a", "b"])
    for k, name in enumerate("ab"):
        alone = regression_metrics(y[:, [k]], mu[..., [k]], var[..., [k]], [name])
        assert found["components"][name] == alone["components"][name]
        assert {key: alone[key] for key in alone if key != "components"} == alone["components"][
            name
        ]


def test_means_run_over_all_observed_values() -> None:
    y, mu, var = case()
    found = regression_metrics(y, mu, var, ["a", "b"])
    counts = (~np.isnan(y)).sum(axis=0)
    for key in ("nll", "mae", "crps", "coverage_50", "coverage_90", "coverage_95", "width_90"):
        parts = [found["components"][name][key] for name in "ab"]
        assert found[key] == pytest.approx(np.average(parts, weights=counts), rel=1e-12)
    squared = [found["components"][name]["rmse"] ** 2 for name in "ab"]
    assert found["rmse"] == pytest.approx(np.sqrt(np.average(squared, weights=counts)), rel=1e-12)


def test_r2() -> None:
    y = np.array([[1.0], [2.0], [3.0], [np.nan]])
    var = np.ones((1, 4, 1))
    perfect = np.nan_to_num(y)[None]
    assert regression_metrics(y, perfect, var, ["y"])["r2"] == 1
    assert regression_metrics(y, np.full((1, 4, 1), 2.0), var, ["y"])["r2"] == 0
    # 1 - (1 + 1 + 1) / (1 + 0 + 1)
    assert regression_metrics(y, perfect + 1, var, ["y"])["r2"] == pytest.approx(-0.5)
    assert np.isnan(regression_metrics(y[:1], perfect[:, :1], var[:, :1], ["y"])["r2"])


def test_without_observed_values_all_is_nan() -> None:
    y = np.array([[np.nan, 1.0], [np.nan, 2.0]])
    found = regression_metrics(y, np.ones((2, 2, 2)), np.ones((2, 2, 2)), ["a", "b"])
    assert all(np.isnan(value) for value in found["components"]["a"].values())
    assert found["components"]["b"]["rmse"] == pytest.approx(np.sqrt(0.5))
    assert found["rmse"] == found["components"]["b"]["rmse"]
    empty = regression_metrics(np.empty((0, 1)), np.empty((2, 0, 1)), np.empty((2, 0, 1)), ["y"])
    assert all(np.isnan(value) for value in empty["components"]["y"].values())


def test_calibrated_predictions_cover_what_they_say() -> None:
    rng = np.random.default_rng(1)
    n, M = 20_000, 3
    mu, var = rng.normal(size=(M, n, 1)) * 2, rng.uniform(0.1, 3, size=(M, n, 1))
    member = rng.integers(M, size=n)
    y = mu[member, np.arange(n)] + np.sqrt(var[member, np.arange(n)]) * rng.normal(size=(n, 1))
    found = regression_metrics(y, mu, var, ["y"])
    for level in (50, 90, 95):
        p = level / 100
        assert abs(found[f"coverage_{level}"] - p) < 6 * np.sqrt(p * (1 - p) / n)
    # The area between the empirical and the uniform distribution is about 0.31 / sqrt(n).
    assert found["pit_error"] < 4 * 0.31 / np.sqrt(n)
    narrow = regression_metrics(y, mu, var / 100, ["y"])
    assert narrow["pit_error"] > 10 * found["pit_error"]
    assert narrow["coverage_90"] < 0.7


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    y, mu, var = case(n=40)
    whole = regression_metrics(y, mu, var, ["a", "b"])
    monkeypatch.setattr(metrics, "_VALUES_PER_BLOCK", 21)
    blocks = regression_metrics(y, mu, var, ["a", "b"])
    for key in whole.keys() - {"components"}:
        assert blocks[key] == pytest.approx(whole[key], rel=1e-12, nan_ok=True)


def test_memory_stays_small() -> None:
    """Beside the inputs: a PIT value per row, its sorted copies, and blocks of fixed size."""
    n, M = 100_000, 5
    y = np.zeros((n, 1), np.float32)
    mu, var = np.zeros((M, n, 1), np.float32), np.ones((M, n, 1), np.float32)
    tracemalloc.start()
    regression_metrics(y, mu, var, ["y"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 8 * n


@pytest.mark.parametrize(
    ("y", "mu", "var", "names"),
    [
        ((5, 2), (3, 5, 1), (3, 5, 1), ["a", "b"]),
        ((5, 2), (3, 5, 2), (3, 5, 1), ["a", "b"]),
        ((5, 2), (5, 2), (5, 2), ["a", "b"]),
        ((5, 2), (0, 5, 2), (0, 5, 2), ["a", "b"]),
        ((5, 2), (3, 5, 2), (3, 5, 2), ["a"]),
    ],
)
def test_wrong_shapes(y: tuple, mu: tuple, var: tuple, names: list[str]) -> None:
    with pytest.raises(ValueError, match=r"must be|names for"):
        regression_metrics(np.zeros(y), np.zeros(mu), np.ones(var), names)


@given(arrays.arrays(np.float64, st.integers(1, 30), elements=st.floats(0, 1)))
def test_pit_error_is_the_distance_to_a_fine_uniform_grid(pit: np.ndarray) -> None:
    grid = (np.arange(20_000) + 0.5) / 20_000
    assert pit_error(pit) == pytest.approx(wasserstein_distance(pit, grid), abs=1e-4)


def test_pit_error_of_known_cases() -> None:
    assert pit_error(np.array([0.0, 0.0])) == 0.5
    assert pit_error(np.array([0.5])) == pytest.approx(0.25)
    assert np.isnan(pit_error(np.empty(0)))
