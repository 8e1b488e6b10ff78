from __future__ import annotations

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagi_cli.data.scaling import fit, moments

values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50)


@given(values)
def test_moments_agree_with_the_standard_library(numbers: list[float]) -> None:
    found = moments(np.array([*numbers, np.nan]))
    size = max(map(abs, numbers))
    assert found.mean == pytest.approx(statistics.fmean(numbers), rel=1e-12, abs=1e-12 * size)
    assert found.sd == pytest.approx(statistics.pstdev(numbers), rel=1e-9, abs=1e-12 * size)
    assert (found.minimum, found.maximum) == (min(numbers), max(numbers))
    assert found.observed == len(numbers)


@pytest.mark.parametrize("unit", [1e-200, 1e-30, 1.0, 1e30, 1e200])
def test_the_unit_of_a_column_does_not_matter(unit: float) -> None:
    found = moments(np.array([1.0, 2.0, 3.0, 6.0]) * unit)
    assert found.sd / unit == pytest.approx(np.sqrt(3.5), rel=1e-12)
    assert not fit(found, "z-norm").is_constant


@given(values.filter(lambda numbers: np.std(numbers) > 1e-3))
def test_z_norm_gives_zero_mean_and_unit_variance(numbers: list[float]) -> None:
    center, scale, is_constant = fit(moments(np.array(numbers)), "z-norm")
    scaled = (np.array(numbers) - center) / scale
    assert not is_constant
    assert np.mean(scaled) == pytest.approx(0, abs=1e-6)
    assert np.std(scaled) == pytest.approx(1, rel=1e-6)


@given(values.filter(lambda numbers: np.std(numbers) > 1e-3))
def test_zero_one_gives_the_range_zero_to_one(numbers: list[float]) -> None:
    center, scale, _ = fit(moments(np.array(numbers)), "zero-one")
    scaled = (np.array(numbers) - center) / scale
    assert (scaled.min(), scaled.max()) == (0, pytest.approx(1, rel=1e-12))


@pytest.mark.parametrize("method", ["z-norm", "zero-one"])
@pytest.mark.parametrize("noise", [0.0, 1e-16, 1e-10])
def test_a_near_constant_column_is_centred_and_not_scaled(method: str, noise: float) -> None:
    column = 0.998 + noise * np.array([1.0, -1.0, 1.0, 1.0])
    center, scale, is_constant = fit(moments(column), method)
    assert center == pytest.approx(0.998, rel=1e-9)
    assert (scale, is_constant) == (1.0, True)


def test_small_spread_about_zero_is_information() -> None:
    assert not fit(moments(np.array([-1e-12, 1e-12])), "z-norm").is_constant


def test_a_spread_just_above_the_threshold_is_information() -> None:
    assert not fit(moments(np.array([1 - 2e-8, 1 + 2e-8])), "z-norm").is_constant
    assert fit(moments(np.array([1 - 0.5e-8, 1 + 0.5e-8])), "z-norm").is_constant


def test_none_changes_nothing() -> None:
    assert fit(moments(np.array([3.0, 9.0])), "none")[:2] == (0.0, 1.0)


def test_no_value_has_no_moments() -> None:
    assert moments(np.array([np.nan, np.nan])).observed == 0
