"""New tables of series, seen through the windows of the training data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from series_tables import days, loaded, write

from tagi_cli.data import DataOptions, Encoder, load, read_table
from tagi_cli.data.table import Table
from tagi_cli.errors import UserError


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scaling_by": "instance"},
        {"scaling_by": "window"},
        {"scaling_tag": "in_only", "scaling_by": "instance"},
        {"scaling_tag": "none"},
        {"time_covariates": ("day_of_week", "month"), "missing": "mean"},
        {"horizon": 3},
        {"classify": True, "out_components": ("kind",), "out_chunk": (0, 0)},
        {
            "variable_length": True,
            "in_chunk": None,
            "out_chunk": None,
            "in_components": ("a",),
            "split_method": "slice-random",
        },
    ],
)
def test_a_new_table_is_seen_as_the_training_data_were(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    columns = days(25, 40, 31)
    columns["kind"] = ["low" if value < 8 else "high" for value in columns["y"]]
    options = {"in_components": ("a", "y")} | options
    path = write(tmp_path, columns)
    dataset = loaded(path, **options)
    tree = json.loads(json.dumps(dataset.encoder.to_json()))
    encoder = Encoder.from_json(tree)
    assert encoder.to_json() == tree
    assert encoder.input_shape == dataset.train.x.shape[1:]
    assert encoder.units == np.asarray(dataset.train.y[:1]).size
    found = encoder.windows(read_table(path))
    place = {row: i for i, row in enumerate(found.rows.tolist())}
    for part in (dataset.train, dataset.valid, dataset.test):
        at = np.array([place[row] for row in part.rows.tolist()])
        for name in ("x", "y", "target", "index", "time"):
            whole = np.asarray(getattr(found, name))
            np.testing.assert_array_equal(whole[at], np.asarray(getattr(part, name)))
        for name in ("center", "scale"):
            whole = np.broadcast_to(getattr(found, name), (len(found), encoder.units))
            own = np.broadcast_to(getattr(part, name), (len(part), encoder.units))
            np.testing.assert_array_equal(whole[at], own)


def test_a_new_table_may_lack_targets_and_have_new_series(tmp_path: Path) -> None:
    columns = days(25, 40, 31)
    encoder = loaded(write(tmp_path, columns), in_components=("a",), out_chunk=(0, 0)).encoder
    new = {name: values for name, values in days(12, seed=1).items() if name != "y"}
    new["who"] = ["new"] * len(new["who"])
    found = encoder.windows(Table.from_columns(new, "new.csv"))
    assert np.isnan(found.target).all()
    assert np.isnan(np.asarray(found.y)).all()
    assert (len(found.series), found.series[-1]) == (4, "new")
    assert found.index is not None
    assert set(found.index[:, 0].tolist()) == {3}


def test_known_series_keep_their_numbers(tmp_path: Path) -> None:
    columns = days(25, 40, 31)
    dataset = loaded(write(tmp_path, columns))
    only = {
        name: [value for value, who in zip(values, columns["who"], strict=True) if who == "s2"]
        for name, values in columns.items()
    }
    found = dataset.encoder.windows(Table.from_columns(only, "new.csv"))
    assert found.index is not None
    assert {found.series[code] for code in found.index[:, 0]} == {"s2"}
    assert dataset.train.series == found.series


@pytest.mark.parametrize("options", [{"scaling_by": "instance"}, {"horizon": 3}])
def test_an_unknown_series_where_each_has_its_own_scaler(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    encoder = loaded(write(tmp_path, days(25, 40, 31)), **options).encoder
    new = days(12, 14)
    new["who"] = ["s7" if who == "s0" else "s1" for who in new["who"]]
    with pytest.raises(
        UserError,
        match=r"new\.csv, row \d+, column 'who': 's7' is no series of the training data\. "
        r"Known: s\d, s\d, s\d",
    ):
        encoder.windows(Table.from_columns(new, "new.csv"))


def test_a_new_table_without_its_columns(tmp_path: Path) -> None:
    encoder = loaded(write(tmp_path, days(25, 40, 31))).encoder
    new = Table.from_columns({"a": [1.0], "y": [1.0], "when": ["2024-01-01"]}, "new.csv")
    with pytest.raises(UserError, match=r"new\.csv: no column 'who' for the series\. Columns: a, "):
        encoder.windows(new)
    short = Table.from_columns(
        {"who": ["s1"], "a": [1.0], "y": [1.0], "when": ["2024-01-01"]}, "new.csv"
    )
    told = r"new\.csv: 1 row of a series without a gap, fewer than the 2 .* its past in front"
    with pytest.raises(UserError, match=told):
        encoder.windows(short)
    plain = load(DataOptions(name="yacht")).encoder
    with pytest.raises(ValueError, match="plain table"):
        plain.windows(new)
