"""Forecasts of small runs: metrics, feeding back, and what options change."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagi_cli import config
from tagi_cli.errors import UserError
from tagi_cli.experiment import evaluation, forecasting, run
from tagi_cli.experiment.model import Model
from tagi_cli.experiment.settings import Settings, registries

from .conftest import merged, rows, summary

TINY: dict[str, Any] = {
    "task": "forecasting",
    "kernels": "numpy",
    "forecast": {"horizon": 3, "season": 4},
    "data": {"scaling_by": "window", "batch_size": 16},
    "arch": {"kind": "mlp", "width": 8, "depth": 1},
    "noise": {"kind": "auto"},
    "trainer": {"max_epochs": 3},
    "ensemble": {"size": 2},
    "viz": {"enabled": False},
}
LENGTHS = {"a": 48, "b": 40, "c": 60}
Train = Callable[..., Path]


def series(name: str) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(LENGTHS[name])
    t = np.arange(LENGTHS[name])
    return np.asarray(
        30 * LENGTHS[name] + 4 * np.sin(np.pi * t / 2) + np.cumsum(rng.normal(0, 0.5, len(t)))
    )


@pytest.fixture(scope="module")
def long_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lines = [
        f"{name},{np.datetime64('2024-01-01') + t},{v!r}"
        for name in LENGTHS
        for t, v in enumerate(series(name).tolist())
    ]
    path = tmp_path_factory.mktemp("long") / "long.csv"
    path.write_text("\n".join(["series,time,value", *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def train(long_table: Path, tmp_path_factory: pytest.TempPathFactory) -> Train:
    def made(**changes: Any) -> Path:
        tree = merged(TINY, {"data.path": str(long_table), **changes})
        settings = config.check(Settings, registries(), tree)
        return run.train(settings, "tagi train", tmp_path_factory.mktemp("runs"))

    return made


@pytest.fixture(scope="module")
def direct(train: Train) -> Path:
    return train()


@pytest.fixture(scope="module")
def recursive(train: Train) -> Path:
    return train(**{
        "forecast.mode": "recursive", "forecast.horizon": 6, "data.in_chunk": [-5, 0]
    })  # fmt: skip


def test_the_summary_holds_the_measures_and_those_of_the_baseline(direct: Path) -> None:
    found = summary(direct)["test"]
    lines = rows(direct / "predictions" / "test.csv")
    assert len(lines) == 9
    mase, naive_mase, distance, naive_distance, size = [], [], 0.0, 0.0, 0.0
    model = Model.load(direct)
    for name in LENGTHS:
        x = series(name)
        own = [line for line in lines if line["instance"] == name]
        assert [line["step"] for line in own] == ["1", "2", "3"]
        first = np.datetime64("2024-01-01") + np.timedelta64(LENGTHS[name] - 3, "D")
        assert own[0]["time"] == str(first)
        assert [float(line["y"]) for line in own] == x[-3:].tolist()
        naive = x[-7:-4]
        unit = np.mean(np.abs(x[4:-3] - x[:-7]))
        with_law = model.forecast(3, {
            "series": [name] * (len(x) - 3),
            "time": (np.datetime64("2024-01-01") + np.arange(len(x) - 3)).astype(str),
            "value": x[:-3],
        })  # fmt: skip
        median = with_law.quantile(0.5)[0, :, 0]
        np.testing.assert_allclose(
            with_law.mean[0, :, 0], [float(line["mu"]) for line in own], rtol=1e-6
        )
        mase.append(np.mean(np.abs(x[-3:] - median)) / unit)
        naive_mase.append(np.mean(np.abs(x[-3:] - naive)) / unit)
        distance += float(np.abs(x[-3:] - median).sum())
        naive_distance += float(np.abs(x[-3:] - naive).sum())
        size += float(np.abs(x[-3:]).sum())
    assert found["mase"] == pytest.approx(np.mean(mase), rel=1e-5)
    assert found["nd"] == pytest.approx(distance / size, rel=1e-5)
    assert found["baseline"]["mase"] == pytest.approx(np.mean(naive_mase))
    assert found["baseline"]["nd"] == pytest.approx(naive_distance / size)
    assert {"rmse", "crps", "coverage_90", "p90", "smape", "components"} <= set(found)


def test_eval_says_the_same(direct: Path, recursive: Path) -> None:
    for folder in (direct, recursive):
        for split in ("valid", "test"):
            found = evaluation.evaluate(folder, split=split).metrics
            if split == "test":
                assert found == summary(folder)[split]
            assert "mase" in found["baseline"]


def test_eval_of_another_file(direct: Path, long_table: Path) -> None:
    found = evaluation.evaluate(direct, data_path=str(long_table))
    assert found.rows > 100
    assert found.metrics["mase"] > 0


def test_all_steps_of_a_recursive_forecast_are_tested(recursive: Path) -> None:
    lines = rows(recursive / "predictions" / "test.csv")
    assert [line["step"] for line in lines] == list("123456") * 3
    assert {line["step"] for line in rows(recursive / "predictions" / "valid.csv")} == {"1"}
    sds = np.array([float(line["sd"]) for line in lines]).reshape(3, 6)
    # From the fifth step on, targets count from values that are forecast themselves.
    assert (sds[:, 4:] > sds[:, :2]).all()


OPTIONS: dict[str, tuple[Any, dict[str, Any]]] = {
    "horizon": (4, {}),
    "season": (2, {}),
    "mode": ("recursive", {}),
    "feedback": ("trajectories", {"forecast.mode": "recursive"}),
    "samples": (7, {"forecast.mode": "recursive", "forecast.feedback": "trajectories"}),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_of_a_forecast_changes_it(train: Train, option: str) -> None:
    value, beside = OPTIONS[option]
    before = train(**beside)
    after = train(**beside, **{f"forecast.{option}": value})
    assert summary(before)["test"] != summary(after)["test"]


class Doubling:
    """A network that predicts twice its last input, and adds the same noise each time."""

    tracks = False

    def predict(self, x: Any, var_x: Any = None) -> Any:
        last = np.asarray(x)[:, -1, :1].astype(np.float64)
        var = 0 * last if var_x is None else 4 * np.asarray(var_x)[:, -1, :1]
        return forecasting.Prediction(2 * last, var, np.full_like(last, 0.25))


def doubled(feedback: str, samples: int = 1) -> forecasting.Forecasts:
    """Steps 1 to 3 after the value 3, scaled by its own mean and deviation."""
    from tagi_cli.data import DataOptions, Table, load
    from tagi_cli.experiment.forecast_options import ForecastOptions

    made = load(
        DataOptions(name="wave", in_chunk=(-1, 0), out_chunk=(1, 1), scaling_method="none"),
        horizon=3,
        dtype="float64",
    )
    past = Table.from_columns({"t": [0.0, 1.0, 2.0], "value": [7.0, 5.0, 3.0]})
    part = made.encoder.tail(past, 2)
    options = ForecastOptions(horizon=3, feedback=feedback, samples=samples)
    learners: Any = [Doubling(), Doubling()]
    return forecasting.forecast(learners, made.encoder, part, 3, options, 0)


def test_moments_are_fed_back() -> None:
    law = doubled("moments")
    assert law.steps == (1, 2, 3)
    np.testing.assert_allclose(law.mean, [[6, 12, 24]])
    # v, then 4 v + v, then 4 (4 v + v) + v.
    np.testing.assert_allclose(law.sd**2, [[0.25, 1.25, 5.25]])
    np.testing.assert_allclose(law.sd_noise**2, [[0.25] * 3])


def test_trajectories_spread_as_moments_do_where_the_network_is_linear() -> None:
    n = 20_000
    law = doubled("trajectories", n)
    assert law.mu.shape == (n, 1, 3)
    exact = np.array([0.25, 1.25, 5.25])
    assert (np.abs(law.mean - [6, 12, 24]) < 6 * np.sqrt(exact / n)).all()
    assert (np.abs(law.sd**2 - exact) < 6 * exact * np.sqrt(2 / n)).all()
    # Both networks are alike, so that all of it is noise, up to chance.
    assert (law.sd_epistemic**2 < 6 * exact / np.sqrt(n)).all()
    np.testing.assert_allclose(law.take(slice(0, 1)).sd_noise, law.sd_noise)


def test_the_naive_forecast_is_the_last_season_known() -> None:
    values = np.array([1.0, 2, 3, 4, np.nan, 6, 7, np.nan, 9, 10])[:, None]
    for season in (1, 3, 4):
        for last in (3, 6, 9):
            found = forecasting.seasonal_naive(
                values, np.array([last]), np.array([last]), np.arange(1, 6), season
            )
            for h in range(1, 6):
                at = last + h - season
                while at > last or (at >= 0 and np.isnan(values[at, 0])):
                    at -= season
                right = values[at, 0] if at >= 0 else np.nan
                np.testing.assert_equal(found[0, h - 1], right)


def test_the_naive_forecast_stays_in_its_slice() -> None:
    values = np.arange(8.0)[:, None]
    found = forecasting.seasonal_naive(values, np.array([5]), np.array([1]), np.arange(1, 4), 3)
    np.testing.assert_equal(found, [[np.nan, 4, 5]])


def test_networks_that_carry_states_go_on_from_where_training_ended(
    train: Train, long_table: Path
) -> None:
    folder = train(**{
        "arch": {"kind": "lstm", "width": 4, "head": "last", "internal_state": {"tracking": True}},
        "forecast.mode": "recursive",
        "data.scaling_by": "instance",
        "data.in_chunk": [0, 0],
        "data.batch_sampling_mode": "sliding-window",
        "data.batch_size": 3,
    })  # fmt: skip
    from tagi_cli.data import read_table

    model = Model.load(folder)
    found = model.forecast(3)
    part = model.encoder.windows(read_table(long_table))
    assert part.index is not None
    last = np.append(np.flatnonzero(np.diff(part.index[:, 0])), len(part) - 1)
    law = model.predict_part(part.take(last), continues=True)
    np.testing.assert_allclose(found.mean[:, 0], law.mean, rtol=1e-5)
    fresh = model.predict_part(part.take(last))
    assert (np.abs(found.mean[:, 0] - fresh.mean) > 1e-4).any()
    assert (np.diff(found.sd[..., 0], axis=1) > 0).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.out_chunk": [2, 3]}, r"data\.out_chunk: found \[2, 3\]; a forecast begins with"),
        ({"data.out_chunk": [1, 9]}, r"forecast\.horizon is 3\. Allowed: null, or \[1, k\]"),
        ({"data.in_chunk": [-5, -1]}, r"data\.in_chunk: found \[-5, -1\]; a forecast sees"),
        (
            {"forecast.season": 90},
            r"forecast\.season: 90 rows are no fewer than the 57 that series",
        ),
        (
            {"forecast.horizon": 90},
            r"forecast\.horizon: 90 rows are no fewer than the 60 of series",
        ),
        (
            {"forecast.mode": "recursive", "data.in_components": ["n"]},
            "horizon: 3 rows are more than the 1 that are predicted at once, and value, which",
        ),
        ({"noise.sigma_v": 0}, r"noise\.sigma_v"),
    ],
)
def test_mistakes_in_a_forecast(
    train: Train, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    lines = [f"{name},{t},{t % 3},{t}" for name in LENGTHS for t in range(LENGTHS[name])]
    path = tmp_path / "n.csv"
    path.write_text("\n".join(["series,time,n,value", *lines]) + "\n")
    with pytest.raises(UserError, match=message):
        train(**{"data.path": str(path), **changes})


def test_what_has_no_effect_is_remarked(train: Train) -> None:
    folder = train(**{"forecast.feedback": "trajectories"})
    log = (folder / "train.log").read_text()
    assert "note: forecast.feedback has no effect on the test part" in log
    log = (train(**{"forecast.samples": 9}) / "train.log").read_text()
    assert "note: forecast.samples has no effect beside forecast.feedback=moments" in log
    plain = {"task": "regression", "data.in_chunk": [-3, 0], "data.out_chunk": [1, 1]}
    plain |= {"data.out_components": ["value"], "data.instance": "series", "data.time": "time"}
    assert "the group `forecast` has no effect" in (train(**plain) / "train.log").read_text()


def test_numbers_of_the_report(direct: Path) -> None:
    (one,) = json.loads((direct / "figures" / "data.json").read_text())["splits"]["test"]
    found = one["forecast"]
    assert found["step"] == [1, 2, 3]
    assert found["measures"]["mase"] == summary(direct)["test"]["mase"]
    assert len(found["by_step"]["coverage_90"]) == 3
    assert {fan["name"] for fan in found["fans"]} == set(LENGTHS)
    for fan in found["fans"]:
        x = series(fan["name"])
        np.testing.assert_allclose(fan["y"], x[-3:], rtol=1e-6)
        np.testing.assert_allclose(fan["past"], x[-9:-3], rtol=1e-6)
        np.testing.assert_allclose(fan["naive"], x[-7:-4], rtol=1e-6)
        assert fan["lo_90"] < fan["lo_50"] < fan["median"] < fan["hi_50"] < fan["hi_90"]
