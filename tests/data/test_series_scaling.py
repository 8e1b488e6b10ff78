from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagi_cli.data.scaling import fit, moments
from tagi_cli.data.series_scaling import FLAT, SeriesScaler, group_moments, window_scalers
from tagi_cli.data.windows import Windows

values = st.floats(-1e6, 1e6).map(lambda value: round(value, 3)) | st.just(np.nan)
grouped = st.lists(st.tuples(st.integers(0, 3), values), max_size=40)


@given(grouped)
def test_moments_of_groups_are_those_of_each(rows: list[tuple[int, float]]) -> None:
    codes = np.array([code for code, _ in rows], np.int64)
    numbers = np.array([value for _, value in rows], np.float64)
    found = group_moments(numbers, codes, 4)
    for code in range(4):
        own = numbers[(codes == code) & ~np.isnan(numbers)]
        assert found.observed[code] == len(own)
        if not len(own):
            assert [moment[code] for moment in found] == [0] * 5
            continue
        size = np.abs(own).max()
        assert found.mean[code] == pytest.approx(own.mean(), rel=1e-12, abs=1e-12 * size)
        assert found.sd[code] == pytest.approx(np.std(own), rel=1e-9, abs=1e-12 * size)
        assert (found.minimum[code], found.maximum[code]) == (own.min(), own.max())


@pytest.mark.parametrize("unit", [1e-200, 1e-30, 1e200])
def test_the_unit_of_a_series_does_not_matter(unit: float) -> None:
    numbers = np.array([1.0, 2, 3, 6]) * unit
    found = group_moments(np.append(numbers, 5.0), np.array([0, 0, 0, 0, 1]), 2)
    assert found.sd / [unit, 1] == pytest.approx([np.sqrt(3.5), 0], rel=1e-12)


@given(grouped, st.sampled_from(["z-norm", "zero-one", "none"]))
def test_each_series_is_scaled_as_a_column_of_its_own(
    rows: list[tuple[int, float]], method: str
) -> None:
    codes = np.array([code for code, _ in rows], np.int64)
    numbers = np.array([value for _, value in rows], np.float64)
    scaler = SeriesScaler.fit(group_moments(numbers, codes, 4), method)
    for code in range(4):
        column = moments(numbers[codes == code])
        center, scale, _ = fit(column, method)
        assert bool(scaler.known[code]) == bool(column.observed)
        if column.sd > 1e-6 * abs(column.mean) or not column.sd:
            assert scaler.scale[code] == pytest.approx(scale, rel=1e-9)
            assert scaler.center[code] == pytest.approx(center, rel=1e-9, abs=1e-9)
            assert scaler.fill[code] == pytest.approx(column.mean, rel=1e-9, abs=1e-9)
    back = SeriesScaler.from_json(json.loads(json.dumps(scaler.to_json())))
    for name in ("center", "scale", "fill", "known"):
        assert getattr(back, name).tobytes() == getattr(scaler, name).tobytes()


def test_scalers_of_new_series_are_added_and_known_ones_kept() -> None:
    known = SeriesScaler.fit(group_moments(np.array([1.0, 3]), np.array([0, 0]), 2), "z-norm")
    table = group_moments(np.array([9.0, 5, 7, 2]), np.array([0, 1, 1, 2]), 3)
    found = known.completed(SeriesScaler.fit(table, "z-norm"))
    assert found.center.tolist() == [2, 6, 2]
    assert found.scale.tolist() == [1, 1, 1]
    assert found.known.tolist() == [True, True, True]
    assert found.take(np.array([1, 0, 1])).center.tolist() == [6, 2, 6]


@given(st.integers(1, 6), st.integers(1, 9), st.sampled_from(["z-norm", "zero-one"]))
def test_windows_are_scaled_by_what_is_known_of_them(length: int, count: int, method: str) -> None:
    rng = np.random.default_rng(length * 10 + count)
    rows = rng.normal(size=(length + count, 2))
    rows[rng.random(rows.shape) < 0.3] = np.nan
    windows = Windows(rows, np.arange(count), length)
    center, scale = window_scalers(windows, method)
    for i in range(count):
        for c in range(2):
            own = rows[i : i + length, c]
            own = own[~np.isnan(own)]
            middle, spread = 0.0, 0.0
            if len(own):
                middle, spread = own.mean(), own.std()
                if method == "zero-one":
                    middle, spread = own.min(), np.ptp(own)
            assert center[i, c] == pytest.approx(middle)
            assert scale[i, c] == pytest.approx(max(spread, FLAT))


def test_many_windows_are_scaled_block_by_block() -> None:
    rows = np.random.default_rng(0).normal(size=(3000, 1))
    windows = Windows(rows, np.arange(1000), 2000)
    center, scale = window_scalers(windows, "z-norm")
    steps = np.lib.stride_tricks.sliding_window_view(rows[:2999, 0], 2000)
    np.testing.assert_allclose(center[:, 0], steps.mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(scale[:, 0], steps.std(axis=1))


def test_a_flat_window_is_not_blown_up() -> None:
    rows = np.array([[3.0], [3.0 + 1e-9], [3.0]])
    _, scale = window_scalers(Windows(rows, np.array([0]), 3), "z-norm")
    assert scale.tolist() == [[FLAT]]
