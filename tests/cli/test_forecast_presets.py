"""What the presets of forecasts have in common."""

from __future__ import annotations

import dataclasses

from tagi_cli.cli.configuration import settings_from
from tagi_cli.data import DataOptions


def test_m4_hourly_is_global_in_hours() -> None:
    base, hours = (
        settings_from(["config=forecast/global"]),
        settings_from(["config=forecast/m4_hourly"]),
    )
    data = dataclasses.replace(hours.data, name=base.data.name, in_components=(), out_components=())
    forecast = dataclasses.replace(hours.forecast, horizon=8, season=4)
    assert dataclasses.replace(hours, name=base.name, data=data, forecast=forecast) == base
    assert (hours.forecast.horizon, hours.forecast.season) == (48, 24)


def test_knowit_keeps_its_words() -> None:
    data = settings_from(["config=forecast/knowit_lstm"]).data
    assert data == DataOptions(
        name="sensors",
        instance="instance",
        time="time",
        in_components=("x1", "x2", "x3", "x4"),
        out_components=("y1",),
        in_chunk=(-5, 5),
        out_chunk=(0, 0),
        split_portions=(0.6, 0.2, 0.2),
        batch_size=64,
        split_method="instance-random",
        scaling_tag="full",
    )
