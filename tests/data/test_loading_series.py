"""What loading series finds by itself, says and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from series_tables import days, loaded, write

from tagi_cli.data import DataOptions, load
from tagi_cli.errors import UserError, UserErrors


def test_in_a_forecast_series_and_times_are_found_by_their_usual_names(tmp_path: Path) -> None:
    columns = days(25, 40)
    named = {"series": columns["who"], "t": columns["when"], "y": columns["y"]}
    notices: list[str] = []
    dataset = load(
        DataOptions(path=str(write(tmp_path, named)), in_chunk=(-3, 0)), horizon=3, notices=notices
    )
    assert "data.instance: column 'series' names the series" in notices
    assert "data.time: column 't' holds the times" in notices
    assert dataset.encoder.windowing is not None
    assert dataset.encoder.windowing.instance == "series"
    assert dataset.encoder.outputs == ("y",)
    # A column that has another role is left to it, and in no other task is one taken.
    used = load(
        DataOptions(
            path=str(write(tmp_path, {"series": columns["y"], "t": columns["a"]})),
            in_components=("t",),
            out_components=("series",),
            in_chunk=(-3, 0),
        ),
        horizon=3,
    )
    assert used.encoder.windowing is not None
    assert (used.encoder.windowing.instance, used.encoder.windowing.time) == (None, None)


def test_in_a_forecast_the_only_column_of_dates_orders_the_rows(tmp_path: Path) -> None:
    dates = [f"2024-01-{day:02d}" for day in range(1, 31)]
    y = [float(day) for day in range(30)]
    backwards = {"day": dates[::-1], "y": y[::-1]}
    notices: list[str] = []
    dataset = load(
        DataOptions(path=str(write(tmp_path, backwards)), in_chunk=(-3, 0)),
        horizon=3,
        notices=notices,
    )
    assert "data.time: the only column of dates, 'day', orders the rows" in notices
    assert dataset.encoder.windowing is not None
    assert dataset.encoder.windowing.time == "day"
    targets = np.asarray(dataset.test.y).ravel()
    assert (targets[1:] > targets[:-1]).all()
    two = {**backwards, "delivered": dates, "made of": ["oak", "elm"] * 15}
    with pytest.raises(UserError, match=r"several columns of dates, .*day.*delivered.*; name the"):
        load(DataOptions(path=str(write(tmp_path, two)), in_chunk=(-3, 0)), horizon=3)
    # Another role of a column goes before.
    dataset = load(
        DataOptions(path=str(write(tmp_path, two)), in_chunk=(-3, 0), categorical=("delivered",)),
        horizon=3,
    )
    assert dataset.encoder.windowing is not None
    assert dataset.encoder.windowing.time == "day"


def test_the_only_column_of_numbers_is_predicted_from_its_past(tmp_path: Path) -> None:
    columns = {name: values for name, values in days(40).items() if name in ("when", "y")}
    dataset = load(
        DataOptions(
            path=str(write(tmp_path, columns)), time="when", in_chunk=(-4, 0), out_chunk=(1, 1)
        )
    )
    assert dataset.encoder.inputs == dataset.encoder.outputs == ("y",)
    assert dataset.encoder.output_shape == (1, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"in_chunk": (-30, 0), "padding_method": "none"},
            r"series 's\d' has 18 rows in a row, fe",
        ),
        (
            {"min_slice": 50},
            r"data\.min_slice: 50 rows leave no slice of t\.csv; the longest has 33",
        ),
        ({"time": None, "time_covariates": ("month",)}, r"data\.time_covariates: name the column"),
        (
            {"instance": None, "time": None, "split_method": "instance-random"},
            r"data\.split_method: 'instance-random' needs data\.instance",
        ),
        (
            {"batch_size": 5000},
            r"data\.batch_size: found 5000\. Allowed: at most the \d+ training w",
        ),
        (
            {"batch_size": 5000, "split_method": "random", "out_chunk": (1, 3)},
            r"or null\. The random split draws \d+ more, which predict rows that later parts",
        ),
        ({"missing": "drop"}, r"data\.missing: 'drop' has a meaning only in a table without"),
        ({"horizon": 1}, r"data\.out_chunk: \[1, 2\] is no part of the next 1 rows"),
        ({"time_delta": "1w"}, r"comes 0\.142857 steps of 1w after"),
    ],
)
def test_mistakes(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        loaded(write(tmp_path, days(25, 40, 31)), **options)


@pytest.mark.parametrize("inputs", [("a",), ("a", "y")])
def test_a_series_without_targets_is_named(tmp_path: Path, inputs: tuple[str, ...]) -> None:
    columns = days(25, 40, 31)
    columns["y"] = [
        "" if who == "s1" else value
        for value, who in zip(columns["y"], columns["who"], strict=True)
    ]
    with pytest.raises(
        UserError, match=r"t\.csv: series 's1' has no value at all of the target 'y'; leave its"
    ):
        loaded(write(tmp_path, columns), in_components=inputs)


def test_a_series_without_training_rows_has_no_scaler_of_its_own(tmp_path: Path) -> None:
    columns = days(40)
    columns["who"] = ["late" if when > "2024-03-30" else "early" for when in columns["when"]]
    with pytest.raises(
        UserError, match=r"series 'late' has no value of '[ay]' in the training part.*data\.scalin"
    ):
        loaded(write(tmp_path, columns), scaling_by="instance")
    assert len(loaded(write(tmp_path, columns), scaling_by="window").test)


def test_inputs_that_show_their_target_are_remarked(tmp_path: Path) -> None:
    notices: list[str] = []
    loaded(write(tmp_path, days(25, 40)), notices, in_components=("y",), out_chunk=(0, 0))
    assert any("the inputs show the target 'y' itself" in notice for notice in notices)


def test_short_slices_are_left_out_with_a_notice(tmp_path: Path) -> None:
    notices: list[str] = []
    dataset = loaded(write(tmp_path, days(25, 40)), notices, min_slice=8)
    assert "2 of 4 slices left out: fewer than 8 rows" in notices
    assert dataset.summary["rows_dropped"] == 12


def test_all_faults_of_the_options_come_at_once() -> None:
    with pytest.raises(UserErrors) as caught:
        load(
            DataOptions(name="yacht", in_chunk=(0, -1), missing="drop", split_method="gal"),
            classify=True,
        )
    assert len(caught.value.faults) == 3


def test_the_summary_tells_of_series_and_windows(tmp_path: Path) -> None:
    dataset = loaded(write(tmp_path, days(25, 40, 31)))
    facts = json.loads(json.dumps(dataset.summary))
    assert facts["windows"] == {
        "in_chunk": [-3, 0],
        "out_chunk": [1, 2],
        "padding_method": "constant",
        "series": 3,
        "slices": 6,
        "shortest": 6,
        "longest": 33,
        "step": "1d",
    }
    assert facts["split"]["method"] == "chronological"
    assert facts["split"]["train"] == len(dataset.train)
    assert [fact["name"] for fact in facts["statistics"]] == ["a", "y"]
