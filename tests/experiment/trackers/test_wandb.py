"""Runs in Weights & Biases: of a stand-in, and offline of the package where it is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import fake_wandb
import pytest

from tagi_cli.errors import UserError
from tagi_cli.experiment import run
from tagi_cli.experiment.settings import Settings

MakeSettings = Callable[..., Settings]
pytestmark = pytest.mark.usefixtures("no_drawing")
real = pytest.mark.skipif(
    importlib.util.find_spec("wandb") is None, reason="needs the extra `wandb`"
)


def test_a_run_is_offline_in_the_run_folder(
    make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = fake_wandb.install(monkeypatch)
    tracker = {"kind": "wandb", "tags": ["a"], "run": "mine", "entity": "team"}
    made = run.train(make_settings(tracker=tracker), "tagi train", tmp_path / "sweep")
    (kept,) = runs
    begun = kept.begun
    assert (begun["mode"], begun["resume"], begun["dir"]) == ("offline", None, str(made.resolve()))
    assert (begun["project"], begun["name"], begun["group"]) == ("small", "mine", "sweep")
    assert (begun["entity"], begun["tags"]) == ("team", ["a"])
    assert begun["config"]["arch"]["width"] == 8
    assert (begun["settings"].console, begun["settings"].x_disable_meta) == ("off", True)
    assert ("*", "epoch") in kept.metrics
    epochs = [values["epoch"] for _, values in kept.history]
    assert epochs == list(range(1, len(epochs) + 1))
    assert kept.summary["final/test/rmse"] > 0
    assert kept.exit_code == 0


def test_a_run_that_goes_on_keeps_its_id_and_counts_on(
    make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = fake_wandb.install(monkeypatch, key=True)
    tracker = {"kind": "wandb", "mode": "online", "folder": str(tmp_path / "w")}
    made = run.train(make_settings(tracker=tracker), "tagi train", tmp_path / "sweep")
    changes = {"tracker": tracker, "trainer.resume": str(made), "trainer.max_epochs": 8}
    run.train(make_settings(**changes), "tagi train")
    first, second = runs
    assert first.begun["id"] == second.begun["id"]
    assert (second.begun["resume"], second.begun["group"]) == ("allow", "sweep")
    assert second.begun["dir"] == str(tmp_path / "w")
    assert second.history[0][0] == first.history[-1][0] + 1
    assert second.history[0][1]["epoch"] == 7


def test_online_needs_a_key(
    make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_wandb.install(monkeypatch)
    settings = make_settings(tracker={"kind": "wandb", "mode": "online"})
    with pytest.raises(UserError, match=r"tracker\.mode: online needs a key of Weights & Biases"):
        run.train(settings, "tagi train", tmp_path)


@real
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_wandb_writes_it(make_settings: MakeSettings, tmp_path: Path) -> None:
    made = run.train(make_settings(tracker="wandb"), "tagi train", tmp_path)
    (kept,) = made.glob("wandb/offline-run-*/run-*.wandb")
    content = kept.read_bytes()
    assert content.startswith(b":W&B")
    for text in (b"valid/nll", b"final/test/rmse", b'"small"'):
        assert text in content
