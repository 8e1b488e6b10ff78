"""Runs that go on: to the same bits, with more epochs, and what they refuse."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tagi_cli.errors import UserError, UserErrors
from tagi_cli.experiment import run
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.experiment.report import page as report
from tagi_cli.experiment.settings import Settings
from tagi_cli.training import checkpoint
from tagi_cli.training.events import EpochEnded

from .conftest import rows, summary

MakeSettings = Callable[..., Settings]


def interrupt_after(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    """Send SIGTERM to this process when an epoch has ended, once."""
    notify, sent = run.Log.notify, []

    def notify_and_interrupt(self: Any, event: Any) -> None:
        notify(self, event)
        if isinstance(event, EpochEnded) and event.epoch == epoch and not sent:
            sent.append(True)
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(run.Log, "notify", notify_and_interrupt)


def test_an_interrupted_run_resumes_to_the_same_bits(
    trained: Path,
    make_settings: MakeSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3)
        made = run.train(make_settings(), "tagi train", tmp_path)
    stopped = summary(made)
    assert (stopped["status"], stopped["epochs"]) == ("interrupted", 3)
    assert stopped["valid"] == stopped["test"] == {}
    with pytest.raises(UserError, match=r"has not been evaluated.*trainer\.resume="):
        report.write_report(RunFolder.open(made))
    again = run.train(make_settings(**{"trainer.resume": str(made)}), "resume")
    assert again == made
    first, second = summary(trained), summary(made)
    assert (first["valid"], first["test"], first["epochs"]) == (
        second["valid"], second["test"], second["epochs"],
    )  # fmt: skip
    assert (made / "config.yaml").read_bytes() == (trained / "config.yaml").read_bytes()
    assert [row["epoch"] for row in rows(made / "metrics.csv")] == [
        row["epoch"] for row in rows(trained / "metrics.csv")
    ]
    environment = json.loads((made / "environment.json").read_text(encoding="utf-8"))
    assert environment["earlier_commands"] == ["tagi train"]
    log = (made / "train.log").read_text(encoding="utf-8")
    assert "resumed: resume" in log
    assert "3 epochs already done" in log
    assert log.count("search epoch 1:") == 1


@pytest.mark.usefixtures("no_drawing")
def test_a_resumed_run_with_more_epochs_equals_one_that_had_them_at_once(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    short = run.train(make_settings(**{"trainer.max_epochs": 2}), "a", tmp_path / "a")
    changes = {"trainer.max_epochs": 4, "trainer.resume": str(short)}
    run.train(make_settings(**changes), "b")
    long = run.train(make_settings(**{"trainer.max_epochs": 4}), "c", tmp_path / "c")
    assert summary(short)["test"] == summary(long)["test"]
    assert (short / "config.yaml").read_bytes() == (long / "config.yaml").read_bytes()


def test_other_options_cannot_change_on_the_way(trained: Path, make_settings: MakeSettings) -> None:
    changes = {"trainer.resume": str(trained), "seed": 3, "arch.width": 9}
    with pytest.raises(UserErrors) as caught:
        run.train(make_settings(**changes), "tagi train")
    assert len(caught.value.faults) == 2
    assert re.search(r"seed: cannot change.*found 3, the run has 0.*max_epochs", str(caught.value))
    assert summary(trained)["status"] == "completed"


@pytest.mark.usefixtures("no_drawing")
def test_changed_data_cannot_be_resumed(
    make_settings: MakeSettings, table: Path, tmp_path: Path
) -> None:
    copy = shutil.copy(table, tmp_path / "small.csv")
    changes = {"data.path": str(copy), "trainer.max_epochs": 1}
    made = run.train(make_settings(**changes), "tagi train", tmp_path / "runs")
    with Path(copy).open("a", encoding="utf-8") as file:
        file.write("0.1,red,41\n")
    before = summary(made)
    with pytest.raises(UserError, match=r"trainer\.resume: .* has changed since the run began"):
        run.train(make_settings(**changes, **{"trainer.resume": str(made)}), "resume")
    assert summary(made) == before


def test_resuming_needs_a_run_with_a_checkpoint(make_settings: MakeSettings) -> None:
    with pytest.raises(UserError, match=r"run folder .*nowhere' does not exist"):
        run.train(make_settings(**{"trainer.resume": "nowhere"}), "tagi train")


@pytest.mark.usefixtures("no_drawing")
def test_a_run_goes_on_from_a_copy_of_its_checkpoint(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    made = run.train(make_settings(**{"trainer.max_epochs": 2}), "tagi train", tmp_path)
    kept = made / "checkpoints" / "last.safetensors"
    checkpoint.export_csv(tmp_path / "csv", *checkpoint.read(kept), "training")
    more = make_settings(**{"trainer.max_epochs": 4, "trainer.resume": str(made)})
    run.train(more, "resume")
    after = summary(made)
    run.train(more, "resume", checkpoint=str(tmp_path / "csv"))
    assert after["epochs"] == summary(made)["epochs"] == 4
    assert after["test"] == summary(made)["test"]
    with pytest.raises(UserError, match="holds a model only, no state of its training"):
        run.train(more, "resume", checkpoint="best")
    assert summary(made)["test"] == after["test"]
