from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from series_strategies import chunks, series, series_of

from tagi_cli.data.points import Chunks
from tagi_cli.data.series import Series
from tagi_cli.errors import UserError


def window_places(place: int, chunk: tuple[int, int]) -> list[int]:
    return list(range(place + chunk[0], place + chunk[1] + 1))


def is_point(place: int, length: int, chunks: Chunks) -> bool:
    """The definition, one row at a time."""
    inputs, targets = window_places(place, chunks.inputs), window_places(place, chunks.targets)
    if not all(0 <= row < length for row in targets):
        return False
    if sum(0 <= row < length for row in inputs) < chunks.least_real:
        return False
    if chunks.padding not in ("reflect", "symmetric"):
        return True
    far = 50
    turned = np.pad(np.arange(length), far, mode=chunks.padding)  # type: ignore[call-overload]
    known = max(inputs[-1], targets[0] - 1)
    return all(turned[row + far] <= known for row in inputs)


@given(series, chunks())
def test_points_are_the_rows_with_inputs_and_targets(series: Series, chunks: Chunks) -> None:
    expected = [
        bound + place
        for bound, length in zip(series.bounds, series.lengths, strict=False)
        for place in range(length)
        if is_point(place, length, chunks)
    ]
    assert chunks.points(series).tolist() == expected


@given(series, chunks())
def test_without_targets_any_row_with_inputs_is_a_point(series: Series, chunks: Chunks) -> None:
    found = chunks.points(series, with_targets=False)
    assert set(chunks.points(series)) <= set(found)
    if chunks.padding == "constant":
        inputs = series.places[found][:, None] + np.arange(chunks.inputs[0], chunks.inputs[1] + 1)
        length = series.lengths[series.slices[found]][:, None]
        assert (((inputs >= 0) & (inputs < length)).sum(axis=1) >= chunks.least_real).all()


@given(series, st.integers(1, 6))
def test_segments_share_out_each_slice(series: Series, length: int) -> None:
    chunks = Chunks.segments(length, "constant")
    points = chunks.points(series)
    shown = [
        row
        for point in points
        for row in range(point, point + length)
        if row < series.bounds[series.slices[point] + 1]
    ]
    assert shown == list(range(len(series)))


@given(series, chunks(), st.data())
def test_covered_rows_are_those_that_some_window_shows(
    series: Series, chunks: Chunks, data: st.DataObject
) -> None:
    points = chunks.points(series)
    points = points[
        np.array(
            data.draw(st.lists(st.booleans(), min_size=len(points), max_size=len(points))), bool
        )
    ]
    for chunk in (chunks.inputs, chunks.targets):
        shown = {
            int(series.bounds[series.slices[point]]) + place
            for point in points
            for place in window_places(int(series.places[point]), chunk)
            if 0 <= place < series.lengths[series.slices[point]]
        }
        covered = chunks.covered(series, points, chunk)
        assert np.flatnonzero(covered).tolist() == sorted(shown)


@given(series, chunks())
def test_windows_stay_within_the_padding_of_their_slice(series: Series, chunks: Chunks) -> None:
    layout = chunks.layout(series)
    points = chunks.points(series, with_targets=False)
    owner = layout.pad(series.slices[:, None].astype(float), "edge", np.nan)[:, 0]
    for chunk in (chunks.inputs, chunks.targets):
        shown = layout.places[points][:, None] + np.arange(chunk[0], chunk[1] + 1)
        assert (shown >= 0).all()
        assert (owner[shown] == series.slices[points][:, None]).all()


@given(chunks())
def test_the_least_rows_are_just_enough(chunks: Chunks) -> None:
    least = chunks.least_rows()
    assert len(chunks.points(series_of([least])))
    assert not any(len(chunks.points(series_of([fewer]))) for fewer in range(1, least))
    assert Chunks.from_json(json.loads(json.dumps(chunks.to_json()))) == chunks


def test_the_least_rows_of_a_window_of_very_many() -> None:
    assert Chunks.of((-999_999, 0), (1, 5), "constant", 0.5).least_rows() == 500_005


@pytest.mark.parametrize(("padding", "first"), [("edge", 3), ("symmetric", 3), ("reflect", 4)])
def test_padding_never_shows_a_target(padding: str, first: int) -> None:
    """Of row 3 the window begins at -4, where `reflect` shows row 4: the target."""
    chunks = Chunks.of((-7, 0), (1, 1), padding, 0.5)
    assert chunks.points(series_of([10])).tolist() == list(range(first, 9))


def test_the_portion_of_real_rows_is_rounded_up() -> None:
    assert Chunks.of((-9, 0), (1, 1), "constant", 0.3).least_real == 3
    assert Chunks.of((-9, 0), (1, 1), "constant", 0.31).least_real == 4
    assert Chunks.of((0, 0), (1, 1), "constant", 0.01).least_real == 1
    assert Chunks.of((-9, 0), (1, 1), "none", 0.3).least_real == 10


def test_a_series_shorter_than_the_window_is_named_with_both_lengths() -> None:
    chunks = Chunks.of((-9, 0), (1, 4), "constant", 0.5)
    series = series_of([20], [3, 8], [2], [9])
    with pytest.raises(
        UserError,
        match=r"t\.csv: series 's1' has 8 rows in a row, fewer than the 9 that a window of "
        r"data\.in_chunk \[-9, 0\] and data\.out_chunk \[1, 4\] needs \(1 more series likewise\)\. "
        r"Make the chunks shorter; data\.min_slice=9 leaves it out\. Gaps cut it into 2 slices; "
        r"data\.time_delta=rows does not$",
    ):
        chunks.check(series, "t.csv")
    alone = Series(("",), np.arange(3), np.zeros(3, np.int64), np.array([0, 3]))
    with pytest.raises(UserError, match=r"t\.csv: the series has 3 rows .* chunks shorter$"):
        chunks.check(alone, "t.csv")
    chunks.check(series_of([20], [9]), "t.csv")
