"""What any tracker is told, when, by whom, and what becomes of its mistakes."""

from __future__ import annotations

import importlib.util
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fake_mlflow
import pytest
from thread_ranks import on_ranks

from tagi_cli.cli.main import main
from tagi_cli.distributed import ALONE
from tagi_cli.errors import UserError, UserErrors
from tagi_cli.experiment import run
from tagi_cli.experiment.settings import Settings
from tagi_cli.experiment.trackers import tensorboard, tracker
from tagi_cli.experiment.trackers.tracker import TrackedRun
from tagi_cli.training.trainer import Trainer

MakeSettings = Callable[..., Settings]
pytestmark = pytest.mark.usefixtures("no_drawing")


class Sink:
    """Keeps what it is told; fails at the epoch `fails_at`."""

    made: list[Sink]
    fails_at = 0

    def __init__(self, options: Any, run: TrackedRun) -> None:
        self.run = run
        self.epochs: list[tuple[int, Mapping[str, float]]] = []
        self.final: Mapping[str, float] = {}
        self.status = ""
        self.made.append(self)

    record: Mapping[str, Any] = {"run": "7"}
    place = "over there"

    def epoch(self, step: int, values: Mapping[str, float]) -> None:
        if step == self.fails_at:
            raise ConnectionError("https://me:secret@host is away")
        self.epochs.append((step, values))

    def result(self, step: int, values: Mapping[str, float]) -> None:
        self.final = values

    def close(self, status: str) -> None:
        self.status = status


@pytest.fixture
def sinks(monkeypatch: pytest.MonkeyPatch) -> list[Sink]:
    """The sinks that runs make in the place of TensorBoard's."""
    monkeypatch.setattr(tensorboard, "TensorboardSink", Sink)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(Sink, "made", [], raising=False)
    return Sink.made


def jsonl(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "metrics.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_it_is_told_what_the_run_folder_holds(
    make_settings: MakeSettings, tmp_path: Path, sinks: list[Sink]
) -> None:
    made = run.train(make_settings(tracker="tensorboard"), "tagi train", tmp_path / "sweep")
    (sink,) = sinks
    table = jsonl(made)
    assert [step for step, _ in sink.epochs] == list(range(1, len(table) + 1))
    for row, (_, values) in zip(table, sink.epochs, strict=True):
        part = "refit" if row["phase"] == "refit" else "train"
        assert values[f"{part}/nll"] == row["train_nll"]
        assert values.get("valid/nll") == row.get("valid_nll")
        assert values["seconds"] == row["seconds"]
    found = json.loads((made / "summary.json").read_text(encoding="utf-8"))
    assert sink.final["final/test/rmse"] == found["test"]["rmse"]
    assert not [name for name in sink.final if "components" in name]
    assert sink.status == "completed"
    assert (sink.run.group, sink.run.title) == ("sweep", made.name)
    assert sink.run.text == (made / "config.yaml").read_text(encoding="utf-8")
    assert sink.run.flat()["arch.width"] == 8
    assert sink.run.flat()["data.out_components"] == '["y"]'


def test_outputs_and_what_is_no_number() -> None:
    metrics = {"rmse": 1.0, "nll": float("nan"), "components": {"a": {"rmse": 2.0}, "b": {}}}
    found = dict(tracker._results({"test": metrics, "valid": {}}))
    assert found == {"final/test/rmse": 1.0, "final/test/a/rmse": 2.0}
    row = {"phase": "search", "epoch": 1, "train_nll": float("inf"), "valid_nll": None}
    assert dict(tracker._epoch(row)) == {}


def test_a_run_that_goes_on_is_told_of_the_epochs_to_come(
    make_settings: MakeSettings, tmp_path: Path, sinks: list[Sink]
) -> None:
    made = run.train(make_settings(tracker="tensorboard"), "tagi train", tmp_path)
    more = make_settings(
        **{"tracker": "tensorboard", "trainer.resume": str(made), "trainer.max_epochs": 8}
    )
    run.train(more, "tagi train")
    first, second = sinks
    assert first.run.record is None
    assert second.run.record is not None
    assert (second.run.record["run"], second.run.group) == ("7", first.run.group)
    assert [step for step, _ in second.epochs] == list(range(7, len(jsonl(made)) + 1))


def test_a_tracker_that_comes_later_is_told_everything(
    make_settings: MakeSettings, tmp_path: Path, sinks: list[Sink]
) -> None:
    made = run.train(make_settings(), "tagi train", tmp_path)
    assert not sinks
    changes = {"tracker": "tensorboard", "trainer.resume": str(made), "trainer.max_epochs": 8}
    run.train(make_settings(**changes), "tagi train")
    assert [step for step, _ in sinks[0].epochs] == list(range(1, len(jsonl(made)) + 1))
    assert "kind: tensorboard" in (made / "config.yaml").read_text(encoding="utf-8")


def test_one_that_fails_on_the_way_is_let_go(
    make_settings: MakeSettings,
    tmp_path: Path,
    sinks: list[Sink],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Sink, "fails_at", 3)
    made = run.train(make_settings(tracker="tensorboard"), "tagi train", tmp_path)
    assert len(jsonl(made)) > 3
    assert len(sinks[0].epochs) == 2
    said = capsys.readouterr().err
    assert "no longer told anything, as it failed (ConnectionError: https://host is away)" in said


def test_one_that_does_not_start_is_a_mistake(
    make_settings: MakeSettings,
    tmp_path: Path,
    sinks: list[Sink],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any) -> None:
        raise ConnectionError("https://me:secret@host is away\nand so on")

    monkeypatch.setattr(tensorboard, "TensorboardSink", refuse)
    words = "tracker: tensorboard could not be started (ConnectionError: https://host is away). "
    with pytest.raises(UserError, match=re.escape(words)):
        run.train(make_settings(tracker="tensorboard"), "tagi train", tmp_path)
    (made,) = tmp_path.iterdir()
    assert json.loads((made / "summary.json").read_text())["status"] == "failed"


def test_an_error_of_the_run_closes_it(
    make_settings: MakeSettings,
    tmp_path: Path,
    sinks: list[Sink],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fit(self: Trainer) -> None:
        raise RuntimeError("stop")

    monkeypatch.setattr(Trainer, "fit", fit)
    with pytest.raises(RuntimeError, match="stop"):
        run.train(make_settings(tracker="tensorboard"), "tagi train", tmp_path)
    assert sinks[0].status == "failed"


@pytest.mark.parametrize(
    ("kind", "package"),
    [("tensorboard", "tensorboardX"), ("mlflow", "mlflow"), ("wandb", "wandb")],
)
def test_a_missing_package_is_told_with_its_extra_before_there_is_a_folder(
    make_settings: MakeSettings,
    table: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    package: str,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    words = (
        f"tracker: {kind} cannot be used, as the package {package} is not installed. Install it "
        f"with pip install 'tagi-cli[{kind}]', or set tracker=none"
    )
    with pytest.raises(UserError, match=re.escape(words)):
        run.train(make_settings(tracker=kind), "tagi train", tmp_path)
    assert not list(tmp_path.iterdir())
    assert main(["check", f"data.path={table}", "data.out_components=y", f"tracker={kind}"]) == 2
    assert words in capsys.readouterr().err


def test_a_package_that_lacks_another_is_told_alike(
    make_settings: MakeSettings,
    tmp_path: Path,
    sinks: list[Sink],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lack(*_: Any) -> None:
        raise ModuleNotFoundError("No module named 'that'")

    monkeypatch.setattr(tensorboard, "TensorboardSink", lack)
    with pytest.raises(UserError, match=r"as No module named 'that'\. Install it with pip"):
        run.train(make_settings(tracker="tensorboard"), "tagi train", tmp_path)


def test_one_rank_tells(
    make_settings: MakeSettings,
    tmp_path: Path,
    sinks: list[Sink],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    local = threading.local()

    @contextmanager
    def together(ranks: Any) -> Iterator[None]:
        yield

    monkeypatch.setattr(run, "connect", lambda *_: getattr(local, "ranks", ALONE))
    monkeypatch.setattr(run, "together", together)
    settings = make_settings(tracker="tensorboard")

    def train(ranks: Any) -> Path:
        local.ranks = ranks
        return run.train(settings, "tagi train", tmp_path)

    places = on_ranks(2, train)
    assert len(sinks) == 1
    assert len(sinks[0].epochs) == len(jsonl(places[0]))


def test_secrets_stay_in_the_environment(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = fake_mlflow.install(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STORE", "https://me:hunter2@host/api")
    command = ["train", f"data.path={table}", "data.out_components=y", "trainer.max_epochs=2"]
    command += ["tracker=mlflow", "tracker.uri='${oc.env:STORE}'", "arch.width=4"]
    assert main(command) == 0
    assert list(stores) == ["https://me:hunter2@host/api"]
    (folder,) = (tmp_path / "outputs").glob("*/*")
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in files if b"hunter2" in path.read_bytes()]
    assert "uri: ${oc.env:STORE}" in (folder / "config.yaml").read_text(encoding="utf-8")
    (kept,) = stores["https://me:hunter2@host/api"].runs.values()
    assert "hunter2" not in str(kept)
    assert main(["train", f"config={folder / 'config.yaml'}"]) == 0
    assert len(stores["https://me:hunter2@host/api"].runs) == 2


def test_a_variable_that_is_not_set_is_a_fault(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["check", f"data.path={table}", "tracker=mlflow", "tracker.uri='${oc.env:NO}'"]) == 2
    )
    assert "tracker.uri: the environment variable NO is not set" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "mlflow", "uri": "http://me:pw@host"}, "tracker.uri: holds a password, which"),
        ({"kind": "mlflow", "uri": ""}, "tracker.uri: found nothing"),
        ({"kind": "tensorboard", "run": "a"}, "tracker.run: has no effect without `tracker.folder"),
        ({"kind": "tensorboard", "run": "../a", "folder": "f"}, "tracker.run: found '../a'. All"),
        (
            {"kind": "wandb", "mode": "ofline"},
            "tracker.mode: found 'ofline'. Did you mean 'offline'?",
        ),
        ({"kind": "tensorbord"}, "tracker: unknown kind 'tensorbord'. Did you mean 'tensorboard'"),
    ],
)
def test_mistakes(make_settings: MakeSettings, changes: dict[str, str], words: str) -> None:
    with pytest.raises(UserErrors, match=re.escape(words)):
        make_settings(tracker=changes)
