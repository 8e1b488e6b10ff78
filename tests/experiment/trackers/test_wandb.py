"""Runs in Weights & Biases: of a stand-in, and offline of the package where it is installed."""

from __future__ import annotations

import csv
import importlib.util
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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
    assert (begun["settings"].host, begun["settings"].x_save_requirements) == ("", False)
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


def records(path: Path) -> Iterator[Any]:
    """What Weights & Biases wrote: a log of LevelDB's form behind 7 bytes, of its own messages."""
    from wandb.proto import wandb_internal_pb2

    raw, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(raw):
        if (left := BLOCK - at % BLOCK) < 7:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", raw, at)
        whole += raw[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (FULL, LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            yield record
            whole = b""


BLOCK, FULL, LAST = 1 << 15, 1, 4


@real
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_wandb_writes_it_and_goes_on(make_settings: MakeSettings, tmp_path: Path) -> None:
    made = run.train(make_settings(tracker="wandb", **{"trainer.refit": False}), "cmd", tmp_path)
    changes = {"trainer.refit": False, "trainer.resume": str(made), "trainer.max_epochs": 8}
    run.train(make_settings(tracker="wandb", **changes), "cmd")
    parts = sorted(made.glob("wandb/offline-run-*/run-*.wandb"))
    assert len(parts) == 2
    assert len({part.name for part in parts}) == 1
    found: list[tuple[int, dict[str, float]]] = []
    for part in parts:
        content = part.read_bytes()
        assert b"final/test/rmse" in content
        assert not (part.parent / "files" / "requirements.txt").exists()
        for record in records(part):
            if record.HasField("run"):
                assert (record.run.project, record.run.host) == ("small", "")
            if record.HasField("history"):
                items = record.history.item
                values = {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in items}
                found.append((values["_step"], values))
    assert [step for step, _ in found] == list(range(len(found)))
    with (made / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert [values["epoch"] for _, values in found] == [int(row["epoch"]) for row in rows]
    for row, (_, values) in zip(rows, found, strict=True):
        for part, metric in (("train", "nll"), ("valid", "nll"), ("valid", "rmse")):
            assert values[f"{part}/{metric}"] == pytest.approx(float(row[f"{part}_{metric}"]))
