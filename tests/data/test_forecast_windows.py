"""Windows of forecasts, scaled by themselves, whose targets count from a naive forecast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tagi_cli.data import DataOptions, Dataset, Encoder, Table, load
from tagi_cli.errors import UserError, UserErrors

H, M = 4, 3
LENGTHS = {"a": 40, "b": 31}


def values(name: str) -> NDArray[np.float64]:
    rng = np.random.default_rng(len(name) + LENGTHS[name])
    t = np.arange(LENGTHS[name])
    return np.asarray(50.0 * LENGTHS[name] + 3 * (t % M) + np.cumsum(rng.normal(size=len(t))))


def write(path: Path, series: dict[str, NDArray[np.float64]]) -> Path:
    rows = [f"{s},{t},{v!r}" for s, x in series.items() for t, v in enumerate(x.tolist())]
    path.write_text("\n".join(["series,t,value", *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "long.csv", {s: values(s) for s in LENGTHS})


def loaded(path: Path, season: int | None = M, horizon: int | None = H, **options: Any) -> Dataset:
    given: dict[str, Any] = {"in_chunk": "auto", "scaling_by": "window"}
    given |= {"out_components": ("value",)} | options
    return load(DataOptions(path=str(path), **given), horizon=horizon, season=season)


def test_windows_and_targets_are_those_of_the_formulas(table: Path) -> None:
    dataset = loaded(table, in_chunk=(-9, 0))
    windowing = dataset.encoder.windowing
    assert windowing is not None
    for part in (dataset.train, dataset.valid, dataset.test):
        x, y = np.asarray(part.x), np.asarray(part.y)
        assert part.index is not None
        for i, (code, _, place) in enumerate(part.index.tolist()):
            name = part.series[code]
            series = values(name)
            past, coming = series[place - 9 : place + 1], series[place + 1 : place + 1 + H]
            if place < 9:
                past = series[: place + 1]
                real = x[i, 9 - place :, 0]
            else:
                real = x[i, :, 0]
            change = past[M:] - past[:-M] if len(past) > M else np.zeros(1)
            unit = np.sqrt(np.mean(change**2))
            unit = max(unit, 0.1 * past.std(), 0.3 * windowing.usual["value"][code])
            naive = np.array([past[len(past) - M + h % M] for h in range(H)])
            np.testing.assert_allclose(real, (past - past[-M:].mean()) / past.std(), atol=1e-3)
            np.testing.assert_allclose(y[i], (coming - naive) / unit, atol=2e-3)
            np.testing.assert_allclose(part.center[i] + part.scale[i] * y[i], coming, rtol=1e-6)
            np.testing.assert_array_equal(part.target[i], coming)


def test_scales_of_series_come_from_before_what_they_judge(table: Path) -> None:
    dataset = loaded(table)
    windowing = dataset.encoder.windowing
    assert windowing is not None
    for code, name in enumerate(LENGTHS):
        x = values(name)
        before = x[: -2 * H]  # One horizon is tested and one validates.
        rms = np.sqrt(np.mean((before[M:] - before[:-M]) ** 2))
        mae = np.mean(np.abs(x[M:-H] - x[: -H - M]))
        assert windowing.usual["value"][code] == pytest.approx(rms)
        assert windowing.naive_error["value"][code] == pytest.approx(mae)


def test_the_encoder_keeps_them(table: Path) -> None:
    encoder = loaded(table).encoder
    again = Encoder.from_json(encoder.to_json())
    assert again.to_json() == encoder.to_json()
    rows: dict[str, Any] = {"series": ["b"] * 31, "t": np.arange(31), "value": values("b")}
    one, two = (e.windows(Table.from_columns(rows)) for e in (encoder, again))
    np.testing.assert_array_equal(np.asarray(one.x), np.asarray(two.x))
    np.testing.assert_array_equal(one.y, two.y)
    test = loaded(table).test
    # Behind the last point that has all its targets are others that have fewer.
    np.testing.assert_array_equal(one.y[-1 - H], test.y[1])
    assert one.index is not None
    assert test.index is not None
    assert one.index[-1 - H].tolist() == test.index[1].tolist()


@pytest.mark.parametrize(
    ("lengths", "season", "horizon", "rows"),
    [
        ([700] + [960] * 9, 24, 48, 192),
        ([30, 80, 130], 4, 8, 22),
        ([30] * 5, 4, 8, 6),
        ([40] * 5, None, 12, 4),
        ([60] * 5, 12, 16, 13),
    ],
)
def test_the_automatic_length_suits_series(
    tmp_path: Path, lengths: list[int], season: int | None, horizon: int, rows: int
) -> None:
    series = {str(i): np.random.default_rng(i).normal(size=n) for i, n in enumerate(lengths)}
    path = write(tmp_path / "l.csv", series)
    assert loaded(path, season, horizon).encoder.input_shape == (rows, 1)


def test_the_automatic_stride_is_a_quarter_of_a_season(table: Path) -> None:
    def points(season: int | None, **options: Any) -> int:
        return len(loaded(table, season, in_chunk=(-13, 0), **options).train)

    assert points(12, stride=3) == points(12) < points(12, stride=1) == points(None)


def test_without_a_season_targets_count_from_the_last_value(table: Path) -> None:
    last = loaded(table, None, in_chunk=(-9, 0))
    same = loaded(table, M, in_chunk=(-9, 0), reference="last", stride=1)
    np.testing.assert_array_equal(last.test.y, same.test.y)
    ends = [values(name)[-H - 1] for name in LENGTHS]
    np.testing.assert_allclose(last.test.center, np.repeat(ends, H).reshape(2, H), rtol=1e-6)


def test_without_a_reference_targets_share_the_scaler_of_the_inputs(table: Path) -> None:
    part = loaded(table, in_chunk=(-9, 0), reference="none").test
    for i, name in enumerate(LENGTHS):
        past = values(name)[-H - 10 : -H]
        np.testing.assert_allclose(part.center[i], past.mean(), rtol=1e-6)
        np.testing.assert_allclose(part.scale[i], past.std(), rtol=1e-4)


def test_a_series_that_never_changes_teaches_nothing_and_is_predicted_as_it_is(
    tmp_path: Path,
) -> None:
    series = {"a": values("a"), "still": np.full(40, 7.0)}
    dataset = loaded(write(tmp_path / "s.csv", series))
    assert dataset.train.index is not None
    still = dataset.train.index[:, 0] == 1
    assert still.any()
    assert np.isnan(dataset.train.y[still]).all()
    assert np.isfinite(dataset.train.y[~still]).all()
    np.testing.assert_array_equal(dataset.test.center[1], 7.0)
    assert (dataset.test.scale[1] <= 1e-4).all()


def test_several_targets_have_a_reference_each(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    u, v = np.cumsum(rng.normal(size=(2, 60)), axis=1)
    rows = [f"{t},{a!r},{b!r}" for t, (a, b) in enumerate(zip(u.tolist(), v.tolist(), strict=True))]
    path = tmp_path / "two.csv"
    path.write_text("\n".join(["t,u,v", *rows]) + "\n")
    part = loaded(path, in_chunk=(-9, 0), out_components=("u", "v")).test
    for k, x in enumerate((u, v)):
        naive = [x[-H - M + h % M] for h in range(H)]
        np.testing.assert_allclose(part.center[0, k::2], naive, rtol=1e-5)
    np.testing.assert_allclose(part.center + part.scale * part.y, part.target, rtol=1e-5)


def test_a_season_longer_than_the_window_is_a_mistake(table: Path) -> None:
    with pytest.raises(UserError) as error:
        loaded(table, 12, in_chunk=(-7, 0))
    assert str(error.value) == (
        "data.in_chunk: [-7, 0] shows 8 rows, but targets count from 12 rows before "
        "(forecast.season). Allowed: 13 rows at least, or data.reference=last or none"
    )
    with pytest.raises(UserError, match=r"count from 1 rows before \(data.reference: last\)"):
        loaded(table, 12, in_chunk=(0, 0), reference="last")


def test_a_season_longer_than_a_series_is_a_mistake(table: Path) -> None:
    with pytest.raises(UserError) as error:
        loaded(table, 36)
    assert str(error.value) == (
        "long.csv: forecast.season: 36 rows are no fewer than the 36 that series 'a', the longest, "
        "has before the tested ones"
    )


def test_a_horizon_longer_than_a_series_is_a_mistake(table: Path) -> None:
    with pytest.raises(UserError) as error:
        loaded(table, M, 40)
    assert str(error.value) == (
        "long.csv: forecast.horizon: 40 rows are no fewer than the 40 of series 'a', the longest"
    )


def test_a_series_shorter_than_others_is_named_with_what_it_is_too_short_for(table: Path) -> None:
    with pytest.raises(
        UserError, match="'b' has 31 rows in a row, fewer than the 33 that"
    ) as error:
        loaded(table, 28, padding_method="none")
    assert "data.min_slice=33 leaves it out" in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scaling_by": "column"}, "'last' is for windows scaled by themselves"),
        ({"out_chunk": (0, 3)}, "'last' needs targets after the inputs"),
    ],
)
def test_a_reference_needs_windows_scaled_by_themselves_before_their_targets(
    table: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises((UserError, UserErrors), match=message):
        loaded(table, in_chunk=(-9, 0), reference="last", **options)
