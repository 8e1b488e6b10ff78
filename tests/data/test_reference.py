"""Scalers of windows of a forecast, against slow plain ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tagi_cli.data.reference import Referenced, last_season, referenced, seasonal_change

Floats = NDArray[np.float64]


def plain(
    x: Floats, lag: int, steps: list[int], usual: float
) -> tuple[float, float, Floats, float]:
    """One window without missing values, as the formulas stand."""
    T = len(x)
    center = float(np.mean(x[T - lag :]))
    scale = max(float(np.std(x)), 0.01)
    change = [(x[t] - x[t - lag]) ** 2 for t in range(lag, T)]
    unit = max(float(np.sqrt(np.mean(change))) if change else 0, 0.1 * np.std(x), 0.3 * usual)
    naive = [x[T - lag + (h - 1) % lag] for h in steps]
    return tuple(np.asarray(one, float) for one in (center, scale, naive, unit))


@st.composite
def windows(draw: st.DrawFn) -> tuple[Floats, int, list[int], Floats]:
    n, T = draw(st.integers(1, 4)), draw(st.integers(2, 12))
    lag = draw(st.integers(1, T))
    steps = draw(st.lists(st.integers(1, 20), min_size=1, max_size=6))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    return rng.normal(3, 2, (n, T)), lag, steps, rng.uniform(0, 3, n)


@given(windows())
def test_scalers_are_those_of_the_formulas(case: tuple[Floats, int, list[int], Floats]) -> None:
    x, lag, steps, usual = case
    found: tuple[Floats, ...] = referenced(x, lag, np.array(steps), usual)
    for i in range(len(x)):
        for mine, right in zip(found, plain(x[i], lag, steps, float(usual[i])), strict=True):
            np.testing.assert_allclose(mine[i : i + 1].squeeze(), right.squeeze(), rtol=1e-12)


def one(x: list[float], lag: int, usual: float = 0.0) -> Referenced:
    return referenced(np.array([x]), lag, np.arange(1, 4), np.array([usual]))


def test_a_window_without_change_has_the_unit_that_is_usual_in_its_series() -> None:
    still = one([5.0] * 8, 2, usual=2.0)
    assert still.unit[0] == pytest.approx(0.6)
    assert still.scale[0] == pytest.approx(0.01)
    assert still.reference.tolist() == [[5.0, 5.0, 5.0]]


def test_a_series_that_never_changes_has_no_unit() -> None:
    assert one([5.0] * 8, 2).unit[0] == 0


def test_a_perfect_season_has_a_unit_from_its_spread() -> None:
    found = one([0.0, 1.0] * 5, 2)
    assert found.unit[0] == pytest.approx(0.1 * 0.5)
    assert found.reference.tolist() == [[0.0, 1.0, 0.0]]


def test_unknown_values_count_nowhere() -> None:
    nan = float("nan")
    found = one([nan, 4.0, 1.0, 6.0, nan, 8.0], 2)
    # Of the last season the first value is unknown; a season earlier it was 1.
    assert found.reference.tolist() == [[1.0, 8.0, 1.0]]
    assert found.center[0] == 8.0
    assert found.scale[0] == pytest.approx(np.std([4, 1, 6, 8]))
    assert found.unit[0] == pytest.approx(2.0)


def test_a_place_of_the_season_never_seen_is_taken_from_the_level() -> None:
    nan = float("nan")
    found = one([nan, 4.0, nan, 6.0], 2)
    assert found.reference.tolist() == [[6.0, 6.0, 6.0]]


def test_the_last_season_may_be_cut_short_at_the_begin_of_the_window() -> None:
    nan = float("nan")
    found = last_season(np.array([[1.0, 2.0, 3.0, nan, nan, nan]]), 4)
    # Places 2, 3, 4, 5 of the window; the two rows before are places 0 and 1 of a season earlier.
    np.testing.assert_array_equal(found, [[3.0, nan, 1.0, 2.0]])


@given(st.integers(0, 999), st.integers(1, 4))
def test_change_from_season_to_season_of_each_series(seed: int, lag: int) -> None:
    rng = np.random.default_rng(seed)
    slices = np.repeat(np.arange(4), rng.integers(1, 12, 4))
    codes = np.array([0, 0, 1, 2])[slices]
    values = np.where(rng.random(len(slices)) < 0.2, np.nan, rng.normal(size=len(slices)))
    counts = rng.random(len(slices)) < 0.7
    for power in (1, 2):
        found = seasonal_change(values, slices, codes, 3, lag, counts, power)
        for code in range(3):
            pairs = [
                values[t] - values[t - lag]
                for t in range(lag, len(values))
                if counts[t] and slices[t] == slices[t - lag] and codes[t] == code
            ]
            known = np.array([abs(pair) ** power for pair in pairs if pair == pair])
            right = np.mean(known) ** (1 / power) if len(known) else 0
            assert found[code] == pytest.approx(right)
