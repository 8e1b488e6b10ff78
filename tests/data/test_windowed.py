"""Tables of series, loaded as windows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagi_cli.data import DataOptions, Dataset, Encoder, Part, load, read_table
from tagi_cli.data.table import Table
from tagi_cli.errors import UserError, UserErrors

Columns = dict[str, list[Any]]

CHUNKS: dict[str, Any] = {"in_chunk": (-3, 0), "out_chunk": (1, 2)}
NAMED: dict[str, Any] = {"instance": "who", "time": "when", "out_components": ("y",)}


def days(*lengths: int, seed: int = 0, skipped: int = 6) -> Columns:
    """A table of subjects day by day, of which one day is not there; shuffled."""
    rng = np.random.default_rng(seed)
    rows = []
    for number, length in enumerate(lengths):
        for day in range(length):
            if day != skipped:
                values = rng.normal(10 * number, 2, 2)
                when = str(np.datetime64("2024-03-01") + day)
                rows.append((f"s{number}", when, *values.tolist()))
    rng.shuffle(rows)  # type: ignore[arg-type]
    return dict(zip(("who", "when", "a", "y"), map(list, zip(*rows, strict=True)), strict=True))


def write(folder: Path, columns: Columns, name: str = "t.csv") -> Path:
    lines = [
        ",".join(columns),
        *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True)),
    ]
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def loaded(path: Path, notices: list[str] | None = None, **options: Any) -> Dataset:
    purpose = {
        key: options.pop(key)
        for key in ("horizon", "season", "variable_length", "classify", "dtype")
        if key in options
    }
    made = DataOptions(path=str(path), **(NAMED | CHUNKS | options))
    return load(made, notices=notices, **purpose)


def by_day(columns: Columns) -> dict[tuple[str, str], int]:
    return {key: i for i, key in enumerate(zip(columns["who"], columns["when"], strict=True))}


def later(when: str, count: int) -> str:
    return str(np.datetime64(when) + count)


@pytest.mark.parametrize("scaling_by", ["column", "instance"])
@pytest.mark.parametrize("padding", ["constant", "edge", "reflect", "none"])
@pytest.mark.parametrize("horizon", [None, 3])
def test_windows_show_the_days_around_their_prediction_points(
    tmp_path: Path, scaling_by: str, padding: str, horizon: int | None
) -> None:
    """Each window by itself, from the table as it stands."""
    columns = days(25, 40, 31)
    dataset = loaded(
        write(tmp_path, columns),
        scaling_by=scaling_by,
        padding_method=padding,
        horizon=horizon,
        in_components=("y", "a"),
        dtype="float64",
    )
    at = by_day(columns)
    parts = (dataset.train, dataset.valid, dataset.test)
    known: set[int] = set()
    for part in parts[:1]:
        for row in part.rows.tolist():
            who, when = columns["who"][row], columns["when"][row]
            known |= {at[who, d] for d in (later(when, k) for k in range(-3, 3)) if (who, d) in at}
    if horizon is not None:
        # All that comes before what is validated and tested.
        first: dict[str, str] = {}
        for row in (*dataset.valid.rows.tolist(), *dataset.test.rows.tolist()):
            who, day = columns["who"][row], later(columns["when"][row], 1)
            first[who] = min(day, first.get(who, day))
        known = {i for (who, day), i in at.items() if day < first[who]}
    scalers: dict[tuple[str, str], tuple[float, float]] = {}
    for who in ("s0", "s1", "s2"):
        own = [i for i in known if scaling_by == "column" or columns["who"][i] == who]
        for name in ("a", "y"):
            values = np.array([columns[name][i] for i in own])
            scalers[who, name] = values.mean(), values.std()
    for part in parts:
        assert part.index is not None
        for i, row in enumerate(part.rows.tolist()):
            who, when = columns["who"][row], columns["when"][row]
            assert part.series[part.index[i, 0]] == who
            assert part.time is not None
            assert str(part.time[i])[:10] == when
            for j, name in enumerate(("y", "a")):
                center, scale = scalers[who, name]
                slice_days = slice_around(at, who, when)
                place = slice_days.index(when)
                assert place == part.index[i, 2]
                values = np.array([columns[name][at[who, day]] for day in slice_days])
                far = np.pad(
                    (values - center) / scale, 5, mode="constant" if padding == "none" else padding
                )  # type: ignore[call-overload]
                np.testing.assert_allclose(
                    np.asarray(part.x[i : i + 1])[0, :, j], far[place + 2 : place + 6], atol=1e-12
                )
            center, scale = scalers[who, "y"]
            targets = [columns["y"][at[who, later(when, k)]] for k in (1, 2, 3)[: part.y.shape[1]]]
            np.testing.assert_allclose(part.target[i], targets)
            shown = np.asarray(part.y[i : i + 1])[0, :, 0]
            np.testing.assert_allclose(shown, (np.array(targets) - center) / scale, atol=1e-12)


def slice_around(at: dict[tuple[str, str], int], who: str, when: str) -> list[str]:
    first, last = when, when
    while (who, later(first, -1)) in at:
        first = later(first, -1)
    while (who, later(last, 1)) in at:
        last = later(last, 1)
    count = int((np.datetime64(last) - np.datetime64(first)).astype(int)) + 1
    return [later(first, k) for k in range(count)]


@pytest.mark.parametrize("method", ["z-norm", "zero-one"])
def test_windows_scaled_one_by_one(tmp_path: Path, method: str) -> None:
    columns = days(25, 40, 31)
    dataset = loaded(
        write(tmp_path, columns), scaling_by="window", scaling_method=method, dtype="float64"
    )
    assert dataset.encoder.features == ("a", "y")
    at = by_day(columns)
    for part in (dataset.train, dataset.test):
        x, y = np.asarray(part.x), np.asarray(part.y)[:, :, 0]
        for i, row in enumerate(part.rows.tolist()):
            who, when = columns["who"][row], columns["when"][row]
            slice_days = slice_around(at, who, when)
            shown = [later(when, k) for k in range(-3, 1)]
            own = np.array([columns["y"][at[who, day]] for day in shown if day in slice_days])
            # Before the first row of the slice its value is repeated.
            full = np.append(np.full(4 - len(own), own[0]), own)
            center, scale = own.mean(), own.std()
            if method == "zero-one":
                center, scale = own.min(), np.ptp(own)
            np.testing.assert_allclose(x[i, :, 1], (full - center) / scale, atol=1e-9)
            targets = np.array([columns["y"][at[who, later(when, k)]] for k in (1, 2)])
            np.testing.assert_allclose(y[i], (targets - center) / scale, atol=1e-9)
        np.testing.assert_allclose(part.center + part.scale * y, part.target)


def test_targets_are_restored_in_single_precision(tmp_path: Path) -> None:
    path = write(tmp_path, days(25, 40, 31))
    for scaling_by in ("column", "instance", "window"):
        for part in (loaded(path, scaling_by=scaling_by).test,):
            y = np.asarray(part.y)
            assert y.dtype == np.float32
            restored = part.center + part.scale * y.reshape(len(part), -1)
            np.testing.assert_allclose(restored, part.target, rtol=1e-6, atol=1e-5)


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
    assert found.series == ("s0", "s1", "s2", "new") or found.series[-1] == "new"
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
    with pytest.raises(UserError, match=r"new\.csv: series 's1' has 1 rows in a row, fewer than"):
        encoder.windows(short)
    plain = load(DataOptions(name="yacht")).encoder
    with pytest.raises(ValueError, match="plain table"):
        plain.windows(new)


@given(st.integers(0, 5))
def test_scalers_see_no_later_row(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Other values after the training part leave the encoder as it is."""
    folder = tmp_path_factory.mktemp("later")
    columns = days(25, 40, 31, seed=seed)
    for options in ({}, {"horizon": 3}, {"scaling_by": "instance"}):
        before = loaded(write(folder, columns), **options)
        targets = [
            columns["when"][row] for part in (before.valid, before.test) for row in part.rows
        ]
        border = later(min(targets), 1)
        if "horizon" in options:
            border = max(columns["when"][row] for row in before.test.rows)
        changed = columns | {
            name: [
                value if when < border else value * 100 + 7
                for value, when in zip(columns[name], columns["when"], strict=True)
            ]
            for name in ("a", "y")
        }
        after = loaded(write(folder, changed, "changed.csv"), **options)
        assert before.encoder.to_json() == after.encoder.to_json()


def test_classes_of_windows(tmp_path: Path) -> None:
    columns = days(25, 40, 31)
    columns["kind"] = ["low" if value < 8 else "high" for value in columns["y"]]
    columns["kind"][4] = ""
    dataset = loaded(
        write(tmp_path, columns),
        classify=True,
        in_components=("a", "y"),
        out_components=("kind",),
        out_chunk=(0, 0),
    )
    encoder = dataset.encoder
    assert encoder.classes == ("high", "low")
    assert encoder.outputs == ("kind",)
    assert (encoder.output_shape, encoder.units) == ((1, 2), 2)
    for part in (dataset.train, dataset.valid, dataset.test):
        labels = [columns["kind"][row] for row in part.rows]
        expected = [("high", "low").index(label) if label else np.nan for label in labels]
        np.testing.assert_array_equal(part.target[:, 0], expected)
        np.testing.assert_array_equal(
            part.y,
            [[label == "high", label == "low"] if label else [np.nan] * 2 for label in labels],
        )
        assert part.center.tolist() == [[0, 0]]
        assert part.scale.tolist() == [[1, 1]]
    # A row without a label teaches nothing.
    assert 4 not in dataset.train.rows
    ordered = loaded(
        write(tmp_path, columns),
        classify=True,
        out_components=("kind",),
        out_chunk=(0, 0),
        batch_sampling_mode="inference",
    )
    rows = [part.rows for part in (ordered.train, ordered.valid, ordered.test)]
    assert 4 in np.concatenate(rows)


def test_classes_of_a_plain_table(tmp_path: Path) -> None:
    columns = days(25, 40)
    columns["kind"] = [3 if value < 8 else 11 for value in columns["y"]]
    path = write(tmp_path, columns)
    options = {"in_components": ("a",), "out_components": ("kind",)}
    dataset = loaded(path, classify=True, in_chunk=None, out_chunk=None, **options)
    assert dataset.encoder.classes == ("3", "11")
    assert dataset.train.y.shape == (len(dataset.train), 2)
    assert dataset.train.target.shape == (len(dataset.train), 1)
    assert (np.argmax(dataset.train.y, axis=1) == dataset.train.target[:, 0]).all()
    tree = json.loads(json.dumps(dataset.encoder.to_json()))
    again = Encoder.from_json(tree)
    table = read_table(path)
    np.testing.assert_array_equal(
        again.targets(table, dataset.test.rows),
        dataset.test.y,  # type: ignore[arg-type]
    )
    assert dataset.merged().y.shape[1] == 2


def test_a_label_that_only_a_later_part_holds(tmp_path: Path) -> None:
    columns = days(40)
    columns["kind"] = [("a", "b")[int(when[-1]) % 2] for when in columns["when"]]
    columns["kind"][columns["when"].index(max(columns["when"]))] = "c"
    with pytest.raises(UserError, match=r"column 'kind': label 'c' is in no training row"):
        loaded(write(tmp_path, columns), classify=True, out_components=("kind",), out_chunk=(0, 0))


def test_segments(tmp_path: Path) -> None:
    columns = days(25, 40, 31)
    options = {"in_chunk": None, "out_chunk": None, "in_components": ("a",), "dtype": "float64"}
    dataset = loaded(
        write(tmp_path, columns),
        variable_length=True,
        variable_sequence_length_limit=10,
        split_method="instance-random",
        split_portions=(0.4, 0.3, 0.3),
        **options,
    )
    assert dataset.encoder.input_shape == (10, 1)
    assert dataset.encoder.output_shape == (10, 1)
    parts = (dataset.train, dataset.valid, dataset.test)
    assert sum(int((~np.isnan(part.target)).sum()) for part in parts) == len(columns["y"])
    for part in parts:
        x, known = np.asarray(part.x), ~np.isnan(part.target)
        # Padding at the end: zeros, without targets.
        assert (np.diff(known.astype(int), axis=1) <= 0).all()
        assert not x[~known].any()
        assert part.index is not None
        assert (part.index[:, 2] % 10 == 0).all()


def test_the_only_column_of_numbers_is_predicted_from_its_past(tmp_path: Path) -> None:
    columns = {name: values for name, values in days(40).items() if name in ("when", "y")}
    dataset = load(
        DataOptions(
            path=str(write(tmp_path, columns)), time="when", in_chunk=(-4, 0), out_chunk=(1, 1)
        )
    )
    assert dataset.encoder.inputs == dataset.encoder.outputs == ("y",)
    assert dataset.encoder.output_shape == (1, 1)


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


def test_parts_of_the_date_as_inputs(tmp_path: Path) -> None:
    columns = days(25, 40)
    options = {"in_components": ("a",), "time_covariates": ("day_of_week",), "dtype": "float64"}
    dataset = loaded(write(tmp_path, columns), **options)
    assert dataset.encoder.inputs == ("a",)
    assert dataset.encoder.features == ("a", "day_of_week_sin", "day_of_week_cos")
    part = dataset.train
    assert part.time is not None
    weekday = (part.time.astype("datetime64[D]").astype(int) + 3) % 7
    last = np.asarray(part.x)[:, -1]
    np.testing.assert_allclose(last[:, 1], np.sin(2 * np.pi * weekday / 7), atol=1e-12)
    np.testing.assert_allclose(last[:, 2], np.cos(2 * np.pi * weekday / 7), atol=1e-12)
    plain = loaded(write(tmp_path, columns), in_chunk=None, out_chunk=None, **options)
    assert plain.train.x.shape[1] == 3


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


def test_merged_parts_stay_windows(tmp_path: Path) -> None:
    dataset = loaded(write(tmp_path, days(25, 40, 31)), scaling_by="window")
    merged: Part = dataset.merged()
    assert merged.x.rows is dataset.train.x.rows
    assert len(merged) == len(dataset.train) + len(dataset.valid)
    np.testing.assert_array_equal(np.asarray(merged.x)[-1], np.asarray(dataset.valid.x)[-1])


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


def test_what_series_keep_constant_tells_them_apart(tmp_path: Path) -> None:
    columns = days(25, 40, 31)
    columns["a"] = [float(who[1]) for who in columns["who"]]
    dataset = loaded(write(tmp_path, columns), scaling_by="instance")
    x = np.asarray(dataset.train.x)[:, -1, 0]
    assert dataset.encoder.windowing is not None
    assert list(dataset.encoder.windowing.scalers) == ["y"]
    assert len(set(x.tolist())) == 3


def test_all_faults_of_the_options_come_at_once() -> None:
    with pytest.raises(UserErrors) as caught:
        load(
            DataOptions(name="yacht", in_chunk=(0, -1), missing="drop", split_method="gal"),
            classify=True,
        )
    assert len(caught.value.faults) == 3
