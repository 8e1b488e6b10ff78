"""Tables of series, loaded as windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from series_tables import by_day, days, later, loaded, slice_around, write

from tagi_cli.data import Part


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
        part = loaded(path, scaling_by=scaling_by).test
        y = np.asarray(part.y)
        assert y.dtype == np.float32
        restored = part.center + part.scale * y.reshape(len(part), -1)
        np.testing.assert_allclose(restored, part.target, rtol=1e-6, atol=1e-5)


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


def test_merged_parts_stay_windows(tmp_path: Path) -> None:
    dataset = loaded(write(tmp_path, days(25, 40, 31)), scaling_by="window")
    merged: Part = dataset.merged()
    assert merged.x.rows is dataset.train.x.rows
    assert len(merged) == len(dataset.train) + len(dataset.valid)
    np.testing.assert_array_equal(np.asarray(merged.x)[-1], np.asarray(dataset.valid.x)[-1])


def test_what_series_keep_constant_tells_them_apart(tmp_path: Path) -> None:
    columns = days(25, 40, 31)
    columns["a"] = [float(who[1]) for who in columns["who"]]
    dataset = loaded(write(tmp_path, columns), scaling_by="instance")
    x = np.asarray(dataset.train.x)[:, -1, 0]
    assert dataset.encoder.windowing is not None
    assert list(dataset.encoder.windowing.scalers) == ["y"]
    assert len(set(x.tolist())) == 3
