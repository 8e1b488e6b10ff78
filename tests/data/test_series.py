from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from series_strategies import series as drawn_series

from tagi_cli.data.series import Series, arrange
from tagi_cli.data.table import Table
from tagi_cli.data.times import Step
from tagi_cli.errors import UserError


def arranged(
    instance: str | None = "s",
    time: str | None = "t",
    step: Any = None,
    notices: list[str] | None = None,
    **columns: Any,
) -> Series:
    table = Table.from_columns(columns, "t.csv")
    return arrange(table, instance, time, step, [] if notices is None else notices)


def slices(series: Series) -> list[list[int]]:
    return [part.tolist() for part in np.split(series.rows, series.bounds[1:-1])]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40)), min_size=2, unique=True),
    st.randoms(use_true_random=False),
)
def test_rows_are_ordered_and_cut_at_gaps(rows: list[tuple[str, int]], random: Any) -> None:
    random.shuffle(rows)
    series = arranged(step=1.0, s=[name for name, _ in rows], t=[float(time) for _, time in rows])
    expected: list[list[int]] = []
    for name in dict.fromkeys(name for name, _ in rows):
        before = None
        for i in sorted((i for i, row in enumerate(rows) if row[0] == name), key=lambda i: rows[i]):
            if before is None or rows[i][1] != before + 1:
                expected.append([])
            expected[-1].append(i)
            before = rows[i][1]
    assert slices(series) == expected
    assert series.names == tuple(dict.fromkeys(name for name, _ in rows))
    assert [rows[i][0] for i in series.rows] == [series.names[code] for code in series.codes]
    assert series.ticks.tolist() == [rows[i][1] for i in series.rows]


@given(drawn_series)
def test_places_and_numbers_count_within_slices_and_series(series: Series) -> None:
    expected = [(s, i) for s, length in enumerate(series.lengths) for i in range(length)]
    assert list(zip(series.slices.tolist(), series.places.tolist(), strict=True)) == expected
    seen: dict[int, int] = {}
    for code, number in zip(series.slice_codes.tolist(), series.slice_numbers, strict=True):
        assert number == seen.get(code, 0)
        seen[code] = number + 1
    for code in range(len(series.names)):
        rows = slice(*series.starts[code : code + 2])
        assert set(series.codes[rows]) <= {code}
        assert series.ticks[rows].tolist() == list(range(int((series.codes == code).sum())))


@given(drawn_series, st.data())
def test_leaving_rows_out_cuts_there(series: Series, data: st.DataObject) -> None:
    n = len(series)
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool)
    expected: list[list[int]] = []
    for part in slices(series):
        before = None
        for row in (row for row in part if keep[row]):
            if row - 1 != before:
                expected.append([])
            expected[-1].append(row)
            before = row
    found = series.kept(keep)
    assert [part for part in slices(found) if part] == expected
    assert found.names == series.names


def test_short_slices_may_be_left_out() -> None:
    series = arranged(s=["a"] * 3 + ["b"] * 4, t=[1.0, 2, 3, 1, 2, 5, 6], step=1.0)
    assert slices(series.of_length(3)) == [[0, 1, 2]]
    assert len(series.of_length(4)) == 0


def test_without_times_rows_follow_one_another() -> None:
    series = arranged(time=None, s=["b", "a", "b", "a"])
    assert slices(series) == [[0, 2], [1, 3]]
    assert series.names == ("b", "a")
    assert series.times is None
    single = arranged(None, None, x=[5.0, 4, 3])
    assert slices(single) == [[0, 1, 2]]
    assert single.label(0) == "the series"
    assert series.label(1) == "series 'a'"


def test_unsorted_times_are_sorted_with_a_notice() -> None:
    notices: list[str] = []
    series = arranged(notices=notices, s=["a"] * 4 + ["b"], t=[3.0, 1, 2, 0, 0])
    assert slices(series) == [[3, 1, 2, 0], [4]]
    assert notices == [
        "rows are sorted by 't'; the first that goes back in time is t.csv, row 2 (2 in all)"
    ]


def test_series_that_alternate_need_no_notice() -> None:
    notices: list[str] = []
    arranged(notices=notices, s=["a", "b"] * 3, t=[1.0, 7, 2, 8, 3, 9])
    assert notices == []


def test_gaps_are_noted() -> None:
    notices: list[str] = []
    days = ["2024-01-01", "2024-01-02", "2024-01-04", "2024-01-05", "2024-01-06"]
    series = arranged(None, notices=notices, t=days)
    assert slices(series) == [[0, 1], [2, 3, 4]]
    assert notices == [
        "1 gap in 't' (step 1d) cuts 1 series into slices; the first is before t.csv, row 3"
    ]
    notices.clear()
    arranged(notices=notices, s=["a"] * 4 + ["b"] * 4, t=[0.0, 1, 3, 4, 0, 1, 3, 4])
    assert notices[0].startswith("2 gaps in 't' (step 1) cut 2 series into slices")


def test_a_given_step_is_kept() -> None:
    assert slices(arranged(None, step="1h", t=["2024-01-01T00:00", "2024-01-01T02:00"])) == [
        [0],
        [1],
    ]
    assert slices(arranged(None, step=Step("number", 2), t=[0.0, 2, 4])) == [[0, 1, 2]]
    assert arranged(None, t=[7.0]).step is None


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"s": ["a", None], "t": [1.0, 2]},
            r"t\.csv, row 2, column 's': no value; every row needs",
        ),
        (
            {"s": ["a", "b", "a", "a"], "t": [5.0, 5, 6, 5]},
            r"row 4, column 't': '5' is also the time of row 1 of series 'a'; a series has one row",
        ),
        (
            {"s": ["a"] * 4, "t": ["2024-01-01"] * 4},
            r"row 2, column 't': '2024-01-01' is also the time of row 1 .* 2 more likewise\.$",
        ),
        (
            {"s": ["a"] * 5, "t": [0.0, 1, 2, 3.5, 4.5]},
            r"row 4, column 't': '3\.5' comes 1\.5 steps of 1 after '2' in row 3 of series 'a'; b",
        ),
        (
            {"s": ["a"] * 5, "t": [0.0, 1, 2, 3, 3.005]},
            r"'3\.005' comes 0\.005 steps of 1 after '3'",
        ),
        (
            {"s": ["a"] * 4, "t": ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-03T12:00"]},
            r"row 4, column 't': '2024-01-03T12:00' comes 0\.5 steps of 1d after '2024-01-03' in",
        ),
    ],
)
def test_times_that_make_no_series(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        arranged(**columns)


def test_repeated_times_may_be_those_of_several_series() -> None:
    with pytest.raises(UserError, match=r"If the rows belong to several series, name their column"):
        arranged(None, t=[0.0, 1, 0, 1])
