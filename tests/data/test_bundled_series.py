"""The generated series that come with the package."""

from __future__ import annotations

import numpy as np

from tagi_cli.data import BUNDLED
from tagi_cli.data.bundled.series import hourly_table, quarterly_table, sensor_table, wave_table


def test_the_wave_repeats() -> None:
    x = wave_table()["value"]
    assert len(x) == 900
    np.testing.assert_allclose(x[365:], x[:-365], atol=1e-9)
    assert 0 <= x.min() < 0.01
    assert 9.99 < x.max() <= 10


def test_quarters_come_one_after_the_other_in_series_of_their_own_length() -> None:
    table = quarterly_table()
    names, lengths = np.unique(table["series"].astype(str), return_counts=True)
    assert len(names) == 60
    assert lengths.min() >= 30
    assert lengths.max() <= 130
    first = table["time"][table["series"] == "Q1"][:5].tolist()
    assert first == ["1990-01-01", "1990-04-01", "1990-07-01", "1990-10-01", "1991-01-01"]
    assert (table["value"] > 0).all()


def test_hours_repeat_from_day_to_day_more_than_from_half_day_to_half_day() -> None:
    table = hourly_table()
    x = table["value"].reshape(24, 600)
    day, half = (np.abs(x[:, lag:] - x[:, :-lag]).mean(axis=1) for lag in (24, 12))
    assert (day < half).mean() > 0.8


def test_sensors_follow_from_steps_before_and_after() -> None:
    table = sensor_table()
    x, y = table["x2"].reshape(20, 60), table["y1"].reshape(20, 60)
    now = [np.corrcoef(x[:, 5 + k : 50 + k].ravel(), y[:, 5:50].ravel())[0, 1] for k in (-4, 2)]
    assert now[1] > now[0] + 0.2


def test_they_are_the_same_each_time() -> None:
    for name in ("wave", "quarterly", "hourly", "sensors"):
        assert BUNDLED[name].read()[1] == BUNDLED[name].read()[1]
