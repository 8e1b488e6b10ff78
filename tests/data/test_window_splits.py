from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from series_strategies import chunks, series_of

from tagi_cli.data.options import DataOptions
from tagi_cli.data.points import Chunks
from tagi_cli.data.series import Series
from tagi_cli.data.table import Table
from tagi_cli.data.window_splits import WindowSplit, split_windows
from tagi_cli.errors import UserError

NEXT = Chunks.of((-2, 0), (1, 1), "constant", 0.5)

long_series = st.lists(
    st.lists(st.integers(1, 40), min_size=1, max_size=3), min_size=1, max_size=4
).map(lambda slices: series_of(*slices))


def divided(
    series: Series,
    chunks: Chunks = NEXT,
    horizon: int | None = None,
    notices: list[str] | None = None,
    marks: Any = None,
    **options: Any,
) -> WindowSplit:
    columns = {"x": np.zeros(len(series))} | ({} if marks is None else {"part": marks})
    table = Table.from_columns(columns, "t.csv")
    made = DataOptions(path="t.csv", **options)
    return split_windows(table, series, chunks, made, horizon, [] if notices is None else notices)


def shown(series: Series, points: np.ndarray, chunk: tuple[int, int]) -> set[int]:
    """Rows in a chunk of these points, one at a time."""
    rows = set()
    for point in points.tolist():
        begin, end = series.bounds[series.slices[point]], series.bounds[series.slices[point] + 1]
        rows |= {row for row in range(point + chunk[0], point + chunk[1] + 1) if begin <= row < end}
    return rows


def tried(*args: Any, **options: Any) -> WindowSplit:
    """A split, where there are enough rows for one."""
    try:
        return divided(*args, **options)
    except UserError:
        assume(False)
        raise


METHODS = [
    "random",
    "chronological",
    "slice-random",
    "slice-chronological",
    "instance-random",
    "instance-chronological",
]


@given(long_series, chunks(), st.sampled_from(METHODS), st.integers(0, 3))
def test_no_row_that_training_predicts_is_predicted_later(
    series: Series, chunks: Chunks, method: str, seed: int
) -> None:
    split = tried(
        series, chunks, split_method=method, split_seed=seed, split_portions=(0.5, 0.25, 0.25)
    )
    targets = [shown(series, part, chunks.targets) for part in split[:3]]
    assert not targets[0] & (targets[1] | targets[2])
    assert not targets[1] & targets[2]
    points = chunks.points(series).tolist()
    for part in split[:3]:
        assert len(part)
        assert sorted(set(part.tolist())) == part.tolist()
        assert set(part.tolist()) <= set(points)


@given(long_series, chunks())
def test_in_time_nothing_that_training_shows_is_predicted_later(
    series: Series, chunks: Chunks
) -> None:
    split = tried(series, chunks, split_portions=(0.5, 0.25, 0.25))
    known = shown(series, split.train, chunks.inputs) | shown(series, split.train, chunks.targets)
    later = [shown(series, part, chunks.targets) for part in split[1:3]]
    assert not known & (later[0] | later[1])
    assert not shown(series, split.valid, chunks.inputs) & later[1]
    # The border is the same time in all series.
    ticks = [series.ticks[part] for part in split[:3]]
    assert ticks[0].max() < ticks[1].min()
    assert ticks[1].max() < ticks[2].min()


@given(long_series, chunks())
def test_the_gap_leaves_out_no_more_than_it_must(series: Series, chunks: Chunks) -> None:
    split = tried(series, chunks, split_portions=(0.5, 0.25, 0.25))
    points = chunks.points(series)
    lost = np.setdiff1d(points, np.concatenate(split[:3]))
    for part in split[1:3]:
        begin = series.ticks[part].min()
        before = lost[series.ticks[lost] < begin]
        lost = np.setdiff1d(lost, before)
        reach = series.ticks[before] + chunks.last
        assert (reach >= begin + chunks.targets[0]).all()
    assert not len(lost)


@given(long_series, chunks())
def test_a_strict_gap_shares_no_row_at_all(series: Series, chunks: Chunks) -> None:
    gap = chunks.last - min(chunks.inputs[0], chunks.targets[0])
    split = tried(series, chunks, split_portions=(0.5, 0.25, 0.25), split_gap=gap)
    rows = [
        shown(series, part, chunks.inputs) | shown(series, part, chunks.targets)
        for part in split[:3]
    ]
    assert not rows[0] & (rows[1] | rows[2])
    assert not rows[1] & rows[2]


@given(long_series, chunks(), st.integers(1, 6))
def test_a_forecast_tests_the_last_rows_of_each_series(
    series: Series, chunks: Chunks, extra: int
) -> None:
    horizon = chunks.target_length + extra - 1
    split = tried(series, chunks, horizon)
    ends = series.starts[series.codes + 1]
    later = [shown(series, part, chunks.targets) for part in split[1:3]]
    assert all(row >= ends[row] - horizon for row in later[1])
    expected = {
        point
        for point in chunks.points(series).tolist()
        if point + chunks.targets[0] >= ends[point] - horizon
    }
    assert set(split.test.tolist()) == expected
    known = shown(series, split.train, chunks.inputs) | shown(series, split.train, chunks.targets)
    assert not known & (later[0] | later[1])
    assert not later[0] & later[1]
    # What may be known includes all that training shows, and nothing of later targets.
    assert known <= set(np.flatnonzero(split.shown).tolist())
    assert not split.shown[sorted(later[0] | later[1])].any()


def test_one_window_of_each_series_tests_and_one_validates_where_there_are_many() -> None:
    series = series_of(*([60] for _ in range(120)))
    chunks = Chunks.of((-5, 0), (1, 8), "constant", 0.5)
    split = divided(series, chunks, 8)
    assert series.places[split.test].tolist() == [51] * 120
    assert series.places[split.valid].tolist() == [43] * 120
    assert series.places[split.train].max() == 35
    assert split.method == "last 8 rows of each series"


@pytest.mark.parametrize(
    ("portion", "rows"), [(0.1, 99), (0.2, 107), (0.02, 19), (0.005, 8), (0.0, 0)]
)
def test_a_single_series_validates_a_longer_stretch(portion: float, rows: int) -> None:
    """A hundred windows, or as many as the portion allows, and a horizon at least."""
    series = series_of([1000])
    chunks = Chunks.of((-5, 0), (1, 8), "constant", 0.5)
    split = divided(series, chunks, 8, valid_portion=portion)
    assert len(shown(series, split.valid, chunks.targets)) == rows
    assert split.shown.sum() == 1000 - 8 - rows


def test_one_step_ahead_a_forecast_tests_each_of_the_last_rows() -> None:
    split = divided(series_of([50]), NEXT, 5, valid_portion=0.2)
    assert split.test.tolist() == [44, 45, 46, 47, 48]
    assert split.valid.tolist() == list(range(35, 44))


def test_whole_series_or_slices_stay_together() -> None:
    series = series_of(*([12, 6] for _ in range(10)))
    for level, owner in (("instance", series.codes), ("slice", series.slices)):
        split = divided(series, split_method=f"{level}-random")
        parts = [set(owner[part].tolist()) for part in split[:3]]
        assert not parts[0] & (parts[1] | parts[2])
        assert not parts[1] & parts[2]
        n = len(set(owner.tolist()))
        assert [len(part) for part in parts] == [n - 2 * (n // 10), n // 10, n // 10]
        again = divided(series, split_method=f"{level}-random", split_seed=1)
        assert not np.array_equal(again.train, split.train)


def test_in_time_order_later_slices_come_in_later_parts() -> None:
    series = series_of([8] * 10)
    split = divided(series, split_method="slice-chronological", split_portions=(0.6, 0.2, 0.2))
    owners = [sorted(set(series.slices[part].tolist())) for part in split[:3]]
    assert owners == [[0, 1, 2, 3, 4, 5], [6, 7], [8, 9]]


def test_a_random_split_is_warned_of() -> None:
    notices: list[str] = []
    split = divided(series_of([100]), notices=notices, split_method="random")
    assert len(notices) == 1
    assert "random lets windows of all parts overlap" in notices[0]
    assert sum(map(len, split[:3])) == 98


def test_a_random_split_tells_how_many_windows_it_leaves_out() -> None:
    notices: list[str] = []
    series, wide = series_of([100]), Chunks.of((-2, 0), (1, 4), "constant", 0.5)
    split = divided(series, wide, notices=notices, split_method="random")
    drawn = divided(series, wide, split_method="random", split_gap=0)
    assert split.left_out == len(drawn.train) - len(split.train) > 0
    assert notices[1].startswith(f"data.split_gap: {split.left_out} training windows left out")
    assert divided(series, split_method="chronological").left_out == 0


@pytest.mark.parametrize(
    ("method", "limit", "points"),
    [("chronological", 20, 20), ("random", 20, 20), ("slice-random", 4, 32), ("auto", 3, None)],
)
def test_a_limit_counts_what_is_split(method: str, limit: int, points: int | None) -> None:
    series = series_of(*([10] for _ in range(6)))
    horizon = 2 if method == "auto" else None
    split = divided(
        series,
        horizon=horizon,
        split_method=method,
        limit=limit,
        split_portions=(0.5, 0.25, 0.25),
    )
    found = np.concatenate(split[:3])
    if points is None:
        assert set(series.codes[found].tolist()) == {0, 1, 2}
        assert set(series.codes[split.shown].tolist()) == {0, 1, 2}
    else:
        assert len(found) == points
        if method == "chronological":
            assert series.ticks[found].max() <= 5


def test_every_so_many_th_point_trains_counted_from_the_last() -> None:
    series = series_of([20], [9, 9])
    options: dict[str, Any] = {"horizon": 2, "valid_portion": 0.0}
    every, third = divided(series, **options), divided(series, **options, stride=3)
    for number in range(len(series.lengths)):
        own = [part.train[series.slices[part.train] == number].tolist() for part in (every, third)]
        assert own[1] == own[0][::-1][::3][::-1]
    assert np.array_equal(every.test, third.test)


@given(st.lists(st.sampled_from(["train", "valid", "test"]), min_size=30, max_size=60), chunks())
def test_a_split_column_marks_all_targets_of_a_point(marks: list[str], chunks: Chunks) -> None:
    assume("train" in marks)
    series = series_of([len(marks) // 2, len(marks) - len(marks) // 2])
    notices: list[str] = []
    options: dict[str, Any] = {"marks": marks, "split_column": "part", "valid_portion": 0.0}
    split = tried(series, chunks, notices=notices, **options)
    for part, name in zip(split[:3], ("train", "valid", "test"), strict=True):
        reach = (chunks.targets[0], chunks.last)
        assert {marks[row] for row in shown(series, part, reach)} <= {name}
    left = len(chunks.points(series)) - sum(map(len, split[:3]))
    assert [f"{left} prediction points left out" in notice for notice in notices] == [True] * (
        left > 0
    )


def test_a_split_column_without_valid_gives_up_the_last_training_points() -> None:
    marks = ["train"] * 80 + ["test"] * 20
    split = divided(series_of([100]), marks=marks, split_column="part", valid_portion=0.25)
    assert split.test.tolist() == list(range(79, 99))
    assert (split.valid.min(), split.valid.max()) == (59, 78)
    assert split.train.max() == 58
    limited = divided(series_of([100]), marks=marks, split_column="part", limit=50)
    assert np.concatenate(limited[:3]).max() == 50


def test_segments_leave_no_gap() -> None:
    series = series_of([25] * 4)
    chunks = Chunks.segments(10, "constant")
    split = divided(series, chunks, split_portions=(0.5, 0.25, 0.25))
    assert np.concatenate(split[:3]).tolist() == chunks.points(series).tolist()


@pytest.mark.parametrize(
    ("lengths", "options", "message"),
    [
        (
            [15],
            {"split_portions": (0.6, 0.2, 0.2)},
            r"t\.csv: no prediction point is left for the valid part, of 10 in 15 rows with "
            r"windows of data\.in_chunk \[-2, 0\] and data\.out_chunk \[1, 4\] \(split: "
            r"chronological; data\.split_gap leaves out 3 before each later part\)",
        ),
        ([6], {}, r"split_portions: .* of 1 prediction points in t\.csv leave no training one"),
        (
            [30],
            {"split_method": "instance-random"},
            r"of 1 series in t\.csv leave no training one; use more series",
        ),
        ([14], {"split_method": "random"}, r"no prediction point is left .* \(split: random"),
        ([9], {"horizon": 4}, r"no prediction point is left for the train part"),
    ],
)
def test_too_few_points(lengths: list[int], options: dict[str, Any], message: str) -> None:
    chunks = Chunks.of((-2, 0), (1, 4), "constant", 0.5)
    with pytest.raises(UserError, match=message):
        divided(series_of(lengths), chunks, **options)


def test_too_few_segments() -> None:
    told = (
        r"no prediction point is left for the train part, of 3 segments of at most 9 rows \(split: "
        r"chronological; data\.split_method=instance-random or slice-random draws whole ones\)"
    )
    codes = np.repeat([0, 1, 2], 9)
    together = Series(("a", "b", "c"), np.arange(27), codes, np.array([0, 9, 18, 27]))
    with pytest.raises(UserError, match=told):
        divided(together, Chunks.segments(9, "constant"))


def test_an_unknown_mark_names_the_first_row_of_the_file() -> None:
    series = series_of([10])
    turned = Series(series.names, series.rows[::-1].copy(), series.codes, series.bounds)
    marks = ["train"] * 4 + ["x"] + ["train"] * 4 + ["y"]
    with pytest.raises(UserError, match=r"t\.csv, row 5, column 'part': 'x'"):
        divided(turned, marks=marks, split_column="part")
