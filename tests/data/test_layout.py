from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagi_cli.data.layout import COPIED, Layout
from tagi_cli.data.series import Series

lengths = st.lists(st.integers(1, 7), min_size=1, max_size=5)


def series_of(lengths: list[int]) -> Series:
    bounds = np.cumsum([0, *lengths])
    n = int(bounds[-1])
    return Series(("",), np.arange(n), np.zeros(n, np.int64), bounds)


@given(lengths, st.integers(0, 9), st.integers(0, 9), st.sampled_from([*COPIED, "constant"]))
def test_each_slice_is_padded_as_numpy_does(
    lengths: list[int], before: int, after: int, method: str
) -> None:
    series = series_of(lengths)
    layout = Layout(series, before, after)
    values = np.random.default_rng(0).normal(size=(len(series), 2))
    ends = ((before, after), (0, 0))
    slices = np.split(values, series.bounds[1:-1])
    padded = [np.pad(one, ends, mode=method) for one in slices]  # type: ignore[call-overload]
    np.testing.assert_array_equal(layout.pad(values, method, 0.0), np.concatenate(padded))
    assert len(layout) == len(np.concatenate(padded))
    np.testing.assert_array_equal(np.concatenate(padded)[layout.places], values)


@pytest.mark.parametrize("method", ["constant", "none"])
def test_other_padding_is_filled(method: str) -> None:
    layout = Layout(series_of([1, 2]), 1, 2)
    padded = layout.pad(np.ones((3, 1)), method, np.nan)
    assert np.flatnonzero(~np.isnan(padded[:, 0])).tolist() == [1, 5, 6]
