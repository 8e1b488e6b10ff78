from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagi_cli.data.options import COVARIATES
from tagi_cli.data.table import Table
from tagi_cli.data.times import Step, dates, find_step, given_step, phase, times
from tagi_cli.errors import UserError


def table_of(n: int, **columns: Any) -> Table:
    return Table.from_columns({"x": np.arange(n, dtype=float), **columns}, "t.csv")


def stamps(*texts: str) -> np.ndarray:
    return times(table_of(len(texts), t=list(texts)), "t", np.arange(len(texts)))


def text(time: Any) -> str:
    return str(np.datetime64(int(time), "us"))[:16]


def test_times_in_iso_8601_are_ordered_whatever_their_form() -> None:
    texts = ["2024-01-31", "2023-12-31T23:59:59", "2024-01-31 00:00:01", "2024-01-30T00:00:00.5"]
    table = table_of(4, t=texts)
    assert np.argsort(times(table, "t", np.arange(4))).tolist() == [1, 3, 0, 2]
    zoned = table_of(2, t=["2024-01-01T12:00:00+02:00", "2024-01-01T11:00:00Z"])
    assert np.diff(times(zoned, "t", np.arange(2))).tolist() == [3600e6]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["2024-01-01", "31/12/2024"], r"row 2, column 't': '31/12/2024' is neither a number nor"),
        ([1.0, np.nan], r"t\.csv, row 2, column 't': no time"),
        (["2024-01-01", None], r"row 2, column 't': no time"),
        (["2024-01-01T00:00:00Z", "2024-01-02"], r"row 2, .* with and without a time zone"),
    ],
)
def test_unreadable_times(column: list[Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        times(table_of(2, t=column), "t", np.arange(2))


@pytest.mark.parametrize(
    ("found", "step"),
    [
        ([0.0, 1, 2, 3], "1"),
        ([0.0, 2, 4, 10, 12], "2"),
        ([0.1, 0.2, 0.1 + 0.2, 0.4, 0.5], "0.1"),
    ],
)
def test_the_step_of_numbers_is_the_most_frequent_gap(found: list[float], step: str) -> None:
    moments = np.array(found)
    made = find_step(moments, np.diff(moments))
    assert str(made) == step
    ticks = made.ticks(moments)
    assert ticks - ticks[0] == pytest.approx(np.round(ticks - ticks[0]))


@pytest.mark.parametrize(
    ("texts", "step", "after"),
    [
        (("2024-01-01", "2024-01-02", "2024-01-05"), "1d", "2024-01-08T00:00"),
        (("2024-01-01T00:00", "2024-01-01T00:15", "2024-01-01T00:30"), "15min", "2024-01-01T01:15"),
        (("2024-01-01", "2024-01-08", "2024-01-15"), "1w", "2024-02-05T00:00"),
        (("2023-11-01", "2023-12-01", "2024-01-01"), "1mo", "2024-04-01T00:00"),
        (("2023-11-30", "2023-12-31", "2024-01-31"), "1mo", "2024-04-30T00:00"),
        (("2023-03-31", "2023-06-30", "2023-12-31"), "1q", "2024-09-30T00:00"),
        (("2021-07-15T12:00", "2022-07-15T12:00"), "1y", "2025-07-15T12:00"),
        (("2024-01-01T00:00:00", "2024-01-01T00:00:00.02"), "20ms", "2024-01-01T00:00"),
    ],
)
def test_the_step_of_dates(texts: tuple[str, ...], step: str, after: str) -> None:
    moments = stamps(*texts)
    made = find_step(moments, np.diff(moments))
    assert str(made) == step
    assert text(made.after(moments[-1:], 3)[0]) == after
    assert Step.from_json(made.to_json()) == made
    assert given_step(step, moments) == made


@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), st.integers(1, 28), st.data())
def test_months_are_whole_ticks_apart(start: datetime, day: int, data: st.DataObject) -> None:
    """Against the calendar of the standard library, for a day that every month has."""
    moments = [start.replace(day=day)]
    for _ in range(14):
        moments.append((moments[-1] + timedelta(days=31)).replace(day=day))
    found = stamps(*(moment.isoformat() for moment in moments))
    step = find_step(found, np.diff(found))
    assert np.diff(step.ticks(found)).tolist() == [1.0] * 14
    count = data.draw(st.integers(0, 14))
    assert step.after(found[:1], count)[0] == found[count]


def test_dates_all_over_their_months_are_not_months_apart() -> None:
    moments = stamps("2024-01-01", "2024-02-02", "2024-03-05")
    assert find_step(moments, np.diff(moments)).unit == "microsecond"


@pytest.mark.parametrize(
    ("given", "dates", "message"),
    [
        ("15 minutes", True, "data.time_delta: found '15 minutes'. Allowed: a number and a unit"),
        ("0h", True, "data.time_delta: found '0h'. Allowed: a number and a unit, such as 15min"),
        (2.0, True, "data.time_delta: found 2, but the times are dates. Allowed: a number and a"),
        ("1h", False, "data.time_delta: found '1h', but the times are numbers"),
        (0.0, False, "data.time_delta: found 0. Allowed: above 0"),
        ("1.5mo", True, "data.time_delta: found '1.5mo'. Allowed: whole months or years"),
        ("1mo", True, "data.time_delta: found '1mo', but the dates do not lie at the same time"),
    ],
)
def test_steps_that_cannot_be(given: float | str, dates: bool, message: str) -> None:
    moments = stamps("2024-01-01", "2024-02-02") if dates else np.array([0.0, 1.0])
    with pytest.raises(UserError) as caught:
        given_step(given, moments)
    assert str(caught.value).startswith(message)


@given(st.datetimes(datetime(1930, 1, 1), datetime(2090, 1, 1)))
def test_phases_are_parts_of_the_date(moment: datetime) -> None:
    """Against the calendar of the standard library."""
    found = stamps(moment.isoformat())
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    next_month = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    year = (day.replace(month=1, day=1), day.replace(year=day.year + 1, month=1, day=1))
    expected = {
        "hour_of_day": (moment - day) / timedelta(days=1),
        "day_of_week": moment.weekday() / 7,
        "day_of_month": (moment.day - 1) / (next_month - day.replace(day=1)).days,
        "day_of_year": (moment.timetuple().tm_yday - 1) / (year[1] - year[0]).days,
        "month": (moment.month - 1) / 12,
    }
    assert sorted(expected) == sorted(COVARIATES)
    for name, share in expected.items():
        assert phase(name, found)[0] == pytest.approx(share, abs=1e-12)


def test_parts_of_the_date_need_dates() -> None:
    with pytest.raises(UserError, match=r"t\.csv, column 't': numbers; data\.time_covariates need"):
        dates(table_of(2, t=[1.0, 2.0]), "t", np.arange(2))
