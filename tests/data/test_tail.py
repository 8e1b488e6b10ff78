"""The window of each series whose targets are still to come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagi_cli.data import DataOptions, Encoder, load
from tagi_cli.data.table import Table
from tagi_cli.errors import UserError

Columns = dict[str, list[Any]]


def hours(*lengths: int, first: int = 0) -> Columns:
    """Series hour by hour that alternate in the table; `y` tells the series and the hour."""
    rows = [
        (f"s{number}", hour, 100.0 * number + hour + 0.1 * (hour % 5), float((hour * 7) % 4))
        for hour in range(first, max(lengths))
        for number, length in enumerate(lengths)
        if hour < length
    ]
    who, hour, y, a = map(list, zip(*rows, strict=True))
    start = np.datetime64("2024-02-28T00")
    return {"who": who, "when": [f"{start + h}:00" for h in hour], "y": y, "a": a}


def table_of(columns: Columns) -> Table:
    return Table.from_columns(columns, "new.csv")


def encoder_of(
    folder: Path, columns: Columns, horizon: int | None = None, **options: Any
) -> Encoder:
    path = folder / "t.csv"
    rows = zip(*columns.values(), strict=True)
    path.write_text("\n".join([",".join(columns), *(",".join(map(str, r)) for r in rows)]) + "\n")
    base: dict[str, Any] = {
        "instance": "who",
        "time": "when",
        "in_components": ("y",),
        "out_components": ("y",),
        "in_chunk": (-4, 0),
        "out_chunk": (1, 3),
    }
    made = DataOptions(path=str(path), **(base | options))
    return load(made, horizon=horizon, dtype="float64").encoder


@pytest.mark.parametrize("scaling_by", ["column", "instance", "window"])
@pytest.mark.parametrize("chunks", [((-4, 0), (1, 3)), ((-6, -2), (1, 2)), ((-5, -1), (0, 2))])
def test_the_tail_is_the_window_before_what_comes_next(
    tmp_path: Path, scaling_by: str, chunks: Any
) -> None:
    """With the rows to come in the table, it is the window that predicts them."""
    columns = hours(40, 30)
    a, c = chunks
    encoder = encoder_of(tmp_path, columns, scaling_by=scaling_by, in_chunk=a, out_chunk=c)
    tail = encoder.tail(table_of(columns))
    more = hours(43, 33)
    whole = encoder.windows(table_of(more))
    at = []
    for number, end in enumerate((40, 30)):
        when = hours(end + 1, first=end - c[0])["when"][0]
        at += [
            i
            for i, row in enumerate(whole.rows.tolist())
            if (more["who"][row], more["when"][row]) == (f"s{number}", when)
        ]
    assert len(tail) == len(at) == 2
    np.testing.assert_allclose(np.asarray(tail.x), np.asarray(whole.x)[at])
    assert tail.index is not None
    assert whole.index is not None
    assert tail.index.tolist() == whole.index[at].tolist()
    np.testing.assert_array_equal(tail.time, whole.time[at])  # type: ignore[index]
    for name in ("center", "scale"):
        own, other = getattr(tail, name), getattr(whole, name)
        shape = (2, encoder.units)
        chosen = other[at] if len(other) > 1 else other
        np.testing.assert_allclose(np.broadcast_to(own, shape), np.broadcast_to(chosen, shape))
    assert np.isnan(tail.target).all()
    assert tail.target.shape == (2, encoder.units)
    assert np.isnan(np.asarray(tail.y)).all()


def test_rows_without_a_target_are_the_future(tmp_path: Path) -> None:
    columns = hours(40, 30)
    encoder = encoder_of(tmp_path, columns)
    given = hours(44, 30)
    given["y"] = [
        "" if who == "s0" and when > "2024-02-29T15:59" else y
        for who, when, y in zip(given["who"], given["when"], given["y"], strict=True)
    ]
    found, plain = encoder.tail(table_of(given)), encoder.tail(table_of(columns))
    np.testing.assert_array_equal(np.asarray(found.x), np.asarray(plain.x))
    np.testing.assert_array_equal(found.time, plain.time)  # type: ignore[arg-type]
    assert [given["when"][row] for row in found.rows] == ["2024-02-29T15:00", "2024-02-29T05:00"]


def test_longer_windows_show_what_is_known_of_the_rows_to_come(tmp_path: Path) -> None:
    columns = hours(40, 30)
    inputs = {"in_components": ("y", "a"), "time_covariates": ("hour_of_day",), "out_chunk": (1, 1)}
    encoder = encoder_of(tmp_path, columns, **inputs)
    more = hours(43, 33)
    whole = np.asarray(encoder.windows(table_of(more)).x)
    known = more | {
        "y": [
            "" if when > {"s0": "2024-02-29T15", "s1": "2024-02-29T05"}[who] + ":59" else y
            for who, when, y in zip(more["who"], more["when"], more["y"], strict=True)
        ]
    }
    tail = encoder.tail(table_of(known), 3)
    assert tail.x.shape == (2, 8, 4)
    shown = np.asarray(tail.x)
    index = encoder.windows(table_of(more)).index
    assert index is not None
    for i, end in enumerate((39, 29)):
        (at,) = np.flatnonzero((index[:, 0] == i) & (index[:, 2] == end))
        (later,) = np.flatnonzero((index[:, 0] == i) & (index[:, 2] == end + 3))
        np.testing.assert_allclose(shown[i, :5], whole[at])
        np.testing.assert_allclose(shown[i, 5:, 1:], whole[later, 2:, 1:])
        assert shown[i, 5:, 0].tolist() == [0, 0, 0]


def test_dates_to_come_need_not_be_given(tmp_path: Path) -> None:
    columns = hours(40, 30)
    encoder = encoder_of(tmp_path, columns, time_covariates=("hour_of_day",), out_chunk=(1, 1))
    shown = np.asarray(encoder.tail(table_of(columns), 2).x)
    for i, end in enumerate((39, 29)):
        angle = 2 * np.pi * (end + np.arange(-4, 3)) / 24
        np.testing.assert_allclose(shown[i, :, 1], np.sin(angle), atol=1e-12)
        np.testing.assert_allclose(shown[i, :, 2], np.cos(angle), atol=1e-12)


def test_other_inputs_of_rows_to_come_must_be_given(tmp_path: Path) -> None:
    columns = hours(40, 30)
    encoder = encoder_of(tmp_path, columns, in_components=("y", "a"), out_chunk=(1, 1))
    assert len(encoder.tail(table_of(columns))) == 2
    with pytest.raises(
        UserError,
        match=r"new\.csv: the network needs a in the 2 rows after the end of series 's0'\. Add the",
    ):
        encoder.tail(table_of(columns), 2)
    nowcast = encoder_of(tmp_path, columns, in_components=("a",), out_chunk=(0, 0))
    with pytest.raises(UserError, match=r"needs a in the 1 rows after the end of series 's0'"):
        nowcast.tail(table_of(columns))


@pytest.mark.parametrize(("padding", "first"), [("constant", [0.0, 0.0]), ("edge", None)])
def test_a_short_end_is_padded(tmp_path: Path, padding: str, first: Any) -> None:
    encoder = encoder_of(tmp_path, hours(40, 30), padding_method=padding)
    new = hours(3)
    shown = np.asarray(encoder.tail(table_of(new)).x)[0, :, 0]
    center, scale = encoder.center_y[0], encoder.scale_y[0]
    rows = [(value - center) / scale for value in new["y"]]
    np.testing.assert_allclose(shown, [*(first or [rows[0]] * 2), *rows])


def test_series_without_times_go_on_too(tmp_path: Path) -> None:
    columns = {name: values for name, values in hours(40, 30).items() if name != "when"}
    encoder = encoder_of(tmp_path, columns, time=None)
    found = encoder.tail(table_of(columns))
    assert found.time is None
    assert encoder.windowing is not None
    with pytest.raises(ValueError, match="series without times"):
        encoder.windowing.later(np.zeros(1), 1)


def test_times_to_come(tmp_path: Path) -> None:
    columns = hours(40, 30)
    encoder = encoder_of(tmp_path, columns)
    windowing, times = encoder.windowing, encoder.tail(table_of(columns)).time
    assert windowing is not None
    assert times is not None
    later = windowing.later(times, 3)
    assert later.tolist() == [time + np.timedelta64(3, "h") for time in times]
    numbered = columns | {"when": [float(i) for i in range(70)]}
    numbered["who"] = ["s0"] * 70
    other = encoder_of(tmp_path, numbered)
    times = other.tail(table_of(numbered)).time
    assert times is not None
    assert other.windowing is not None
    assert other.windowing.later(times, 2).tolist() == [71.0]


def test_classes_to_come(tmp_path: Path) -> None:
    columns = hours(40, 30)
    columns["kind"] = [("odd", "even")[int(a) % 2] for a in columns["a"]]
    path = tmp_path / "k.csv"
    rows = zip(*columns.values(), strict=True)
    path.write_text("\n".join([",".join(columns), *(",".join(map(str, r)) for r in rows)]) + "\n")
    options = DataOptions(
        path=str(path),
        instance="who",
        time="when",
        in_components=("y",),
        out_components=("kind",),
        in_chunk=(-3, 0),
        out_chunk=(1, 1),
    )
    found = load(options, classify=True).encoder.tail(table_of(columns))
    assert found.y.shape == (2, 2)
    assert found.target.shape == (2, 1)
    assert np.isnan(found.y).all()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            hours(2),
            r"new\.csv: series 's0' ends with 2 rows in a row, of which a window shows 2; it",
        ),
        (
            hours(20) | {"y": [""] * 20},
            r"new\.csv: series 's0' has no value of y to go on from; leave its rows out",
        ),
    ],
)
def test_series_that_cannot_go_on(tmp_path: Path, columns: Columns, message: str) -> None:
    encoder = encoder_of(tmp_path, hours(40, 30))
    with pytest.raises(UserError, match=message):
        encoder.tail(table_of(columns))


def test_one_row_does_not_tell_its_step(tmp_path: Path) -> None:
    columns = hours(40, 30)
    options = {"time_covariates": ("hour_of_day",), "in_components": ("y",), "in_chunk": (0, 0)}
    encoder = encoder_of(tmp_path, columns, out_chunk=(1, 1), **options)
    # The step is that of the training data.
    assert encoder.tail(table_of(hours(1)), 2).x.shape == (1, 3, 3)
    alone = hours(*[1] * 30)
    options |= {"split_method": "instance-random"}
    unknown = encoder_of(tmp_path, alone, out_chunk=(0, 0), **options)
    assert unknown.windowing is not None
    assert unknown.windowing.step is None
    with pytest.raises(
        UserError, match=r"the time to the next, .* hour_of_day .* data\.time_delta"
    ):
        unknown.tail(table_of(alone))
