from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagi_cli.data.windows import Windows

ROWS = np.arange(24.0).reshape(8, 3)


@st.composite
def windows(draw: st.DrawFn) -> Windows:
    n_rows, columns = draw(st.integers(1, 20)), draw(st.integers(1, 3))
    length = draw(st.integers(1, n_rows))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    rows = rng.normal(size=(n_rows, columns))
    rows[rng.random(rows.shape) < 0.1] = np.nan
    starts = np.array(draw(st.lists(st.integers(0, n_rows - length), max_size=8)), np.int64)
    if draw(st.booleans()):
        return Windows(rows, starts, length)
    shape = (len(starts), columns)
    return Windows(rows, starts, length, rng.normal(size=shape), rng.uniform(0.5, 2, shape))


def obvious(windows: Windows) -> list[Any]:
    """Each window by itself."""
    shown = []
    for i, start in enumerate(windows.starts):
        rows = windows.rows[start : start + windows.length]
        if windows.center is not None and windows.scale is not None:
            rows = (rows - windows.center[i]) / windows.scale[i]
        shown.append(rows)
    return shown


@given(windows())
def test_windows_are_the_rows_from_their_starts(found: Windows) -> None:
    array = np.asarray(found)
    assert array.shape == found.shape == (len(found), found.length, found.rows.shape[1])
    assert found.ndim == array.ndim
    for shown, expected in zip(array, obvious(found), strict=True):
        np.testing.assert_array_equal(shown, expected)


@given(windows(), st.data())
def test_choosing_windows_is_choosing_from_their_array(found: Windows, data: st.DataObject) -> None:
    array = np.asarray(found)
    cut = data.draw(st.slices(len(found)))
    np.testing.assert_array_equal(np.asarray(found[cut]), array[cut])
    numbers = st.lists(st.integers(0, max(0, len(found) - 1)), max_size=5 * bool(len(found)))
    index = np.array(data.draw(numbers), np.int64)
    np.testing.assert_array_equal(np.asarray(found[index]), array[index])
    mask = np.arange(len(found)) % 2 == 0
    np.testing.assert_array_equal(np.asarray(found[mask]), array[mask])


@given(windows(), st.integers(0, 8))
def test_parts_of_windows_follow_one_another(found: Windows, cut: int) -> None:
    joined = found[:cut].followed_by(found[cut:])
    np.testing.assert_array_equal(np.asarray(joined), np.asarray(found))


def test_rows_are_shared_and_copied_only_when_taken() -> None:
    found = Windows(ROWS, np.array([0, 3]), 4)
    assert found.rows is ROWS
    assert found[1:].rows is ROWS
    taken = np.asarray(found)
    taken[:] = -1
    assert ROWS.min() == 0


def test_many_long_windows_cost_no_more_than_their_starts() -> None:
    rows = np.zeros((100_000, 1), np.float32)
    found = Windows(rows, np.arange(90_000), 10_000)
    assert found.shape == (90_000, 10_000, 1)
    assert sys.getsizeof(found) < 200


def test_the_type_is_that_of_the_rows_or_the_one_asked_for() -> None:
    found = Windows(ROWS.astype(np.float32), np.array([1]), 2)
    assert found.dtype == np.asarray(found).dtype == np.float32
    assert np.asarray(found, np.float64).dtype == np.float64
    assert repr(found) == "<windows (1, 2, 3) of 8 rows, float32>"
    with pytest.raises(ValueError, match="only by a copy"):
        np.array(found, copy=False)


@pytest.mark.parametrize("index", [0, (0, 1), np.array(0), np.array([[0]])])
def test_any_other_index_is_refused(index: Any) -> None:
    with pytest.raises(TypeError, match=r"by a slice or an array \(n,\)"):
        Windows(ROWS, np.array([0]), 2)[index]


@pytest.mark.parametrize(
    ("starts", "length", "center", "scale", "message"),
    [
        ([-1], 2, None, None, "reaches outside the 8 rows"),
        ([7], 2, None, None, "reaches outside the 8 rows"),
        ([0], 0, None, None, "windows of 0 rows"),
        ([[0]], 2, None, None, r"of shapes \(8, 3\), \(1, 1\)"),
        ([0], 2, np.zeros((1, 3)), None, "together or not at all"),
        ([0, 1], 2, np.zeros((1, 3)), np.ones((1, 3)), r"of shape \(1, 3\); 2 windows of 3 col"),
    ],
)
def test_windows_that_cannot_be(
    starts: list[int], length: int, center: Any, scale: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Windows(ROWS, np.array(starts), length, center, scale)


def test_windows_of_other_rows_do_not_follow() -> None:
    one = Windows(ROWS, np.array([0]), 2)
    for other in (Windows(ROWS.copy(), np.array([0]), 2), Windows(ROWS, np.array([0]), 3)):
        with pytest.raises(ValueError, match="of the same rows and length"):
            one.followed_by(other)
