"""Runs in MLflow: of a stand-in, and of the package itself where it is installed."""

from __future__ import annotations

import fcntl
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_mlflow
import pytest

from tagi_cli.experiment import run
from tagi_cli.experiment.settings import Settings
from tagi_cli.experiment.trackers import mlflow

MakeSettings = Callable[..., Settings]
pytestmark = pytest.mark.usefixtures("no_drawing")
real = pytest.mark.skipif(
    importlib.util.find_spec("mlflow") is None, reason="needs the extra `mlflow`"
)


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, fake_mlflow.Store]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    return fake_mlflow.install(monkeypatch)


def test_a_run_has_its_metrics_settings_tags_and_names(
    make_settings: MakeSettings, tmp_path: Path, stores: dict[str, fake_mlflow.Store]
) -> None:
    tracker = {"kind": "mlflow", "uri": "http://host", "tags": {"team": "a"}, "project": "p"}
    made = run.train(make_settings(tracker=tracker), "tagi train", tmp_path / "sweep")
    (kept,) = stores["http://host"].runs.values()
    assert (kept.experiment, kept.name, kept.status) == ("p", made.name, "FINISHED")
    own = {"team": "a", "tagi.folder": str(made.resolve()), "tagi.sweep": "sweep"}
    assert kept.tags == own
    assert kept.params["arch.width"] == "8"
    steps = [metric.step for metric in kept.metrics if metric.key == "train/nll"]
    assert steps == [1, 2, 3, 4, 5, 6]
    assert [m.key for m in kept.metrics if m.key == "final/test/rmse"]


def test_without_an_address_runs_go_to_a_file_below_outputs(
    make_settings: MakeSettings,
    tmp_path: Path,
    stores: dict[str, fake_mlflow.Store],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = run.train(make_settings(tracker="mlflow"), "tagi train", tmp_path / "runs")
    assert list(stores) == [f"sqlite:///{tmp_path}/outputs/mlflow.db"]
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    changes = {"tracker": "mlflow", "trainer.resume": str(made), "trainer.max_epochs": 8}
    run.train(make_settings(**changes), "tagi train")
    (store,) = stores.values()
    (kept,) = store.runs.values()
    steps = [metric.step for metric in kept.metrics if metric.key == "train/nll"]
    assert steps == [1, 2, 3, 4, 5, 6, 7, 8]
    assert kept.status == "FINISHED"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")
    run.train(make_settings(tracker="mlflow"), "tagi train", tmp_path / "runs")
    assert len(stores["http://elsewhere"].runs) == 1


@pytest.mark.parametrize(("status", "shown"), [("interrupted", "KILLED"), ("failed", "FAILED")])
def test_how_it_ended(
    make_settings: MakeSettings,
    tmp_path: Path,
    stores: dict[str, fake_mlflow.Store],
    status: str,
    shown: str,
) -> None:
    class Folder:
        path = tmp_path

    options = mlflow.MlflowOptions(uri="http://host")
    tracked = mlflow.TrackedRun(Folder(), "n", None, {}, "")  # type: ignore[arg-type]
    mlflow.MlflowSink(options, tracked).close(status)
    assert stores["http://host"].runs["0"].status == shown


def test_an_experiment_that_others_make_at_the_same_time(
    make_settings: MakeSettings, tmp_path: Path, stores: dict[str, fake_mlflow.Store]
) -> None:
    stores["http://host"] = fake_mlflow.Store(raced=True)
    tracker = {"kind": "mlflow", "uri": "http://host"}
    run.train(make_settings(tracker=tracker), "tagi train", tmp_path)
    (kept,) = stores["http://host"].runs.values()
    assert (kept.experiment, kept.status) == ("small", "FINISHED")


def test_one_process_at_a_time_makes_the_tables_of_a_file(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/a.db"
    with (
        mlflow._alone(uri),
        open(tmp_path / "a.db.lock") as other,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with mlflow._alone(uri), mlflow._alone("http://host"):
        pass


def test_names_and_addresses() -> None:
    assert mlflow._name("Speed (m/s) Δ") == "Speed _m/s_ _"
    assert mlflow._shown("postgresql://me:pw@host:5432/db") == "postgresql://host:5432/db"
    assert mlflow._shown("sqlite:////tmp/a.db") == "sqlite:////tmp/a.db"


@real
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_mlflow_reads_it(make_settings: MakeSettings, tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{tmp_path}/runs.db"
    tracker: dict[str, Any] = {"kind": "mlflow", "uri": uri, "tags": {"team": "a"}}
    made = run.train(make_settings(tracker=tracker), "tagi train", tmp_path / "runs")
    changes = {"tracker": tracker, "trainer.resume": str(made), "trainer.max_epochs": 8}
    run.train(make_settings(**changes), "tagi train")
    client = MlflowClient(tracking_uri=uri)
    (kept,) = client.search_runs([client.get_experiment_by_name("small").experiment_id])
    assert (kept.info.run_name, kept.info.status) == (made.name, "FINISHED")
    assert kept.data.tags["team"] == "a"
    assert kept.data.params["arch.width"] == "8"
    history = client.get_metric_history(kept.info.run_id, "valid/nll")
    assert [metric.step for metric in history] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert "final/test/rmse" in kept.data.metrics
