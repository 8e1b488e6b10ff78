"""A whole run on a small table: what it leaves behind, failing, resuming, reproducing."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from tagi_cli import atomic, config
from tagi_cli.errors import UserError
from tagi_cli.experiment import run
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.experiment.model import Model
from tagi_cli.experiment.report import page as report
from tagi_cli.experiment.settings import Settings, registries
from tagi_cli.training import checkpoint
from tagi_cli.training.interface import NumericalError

from .conftest import rows, summary, write_table

MakeSettings = Callable[..., Settings]


def test_the_folder_holds_what_the_contract_says(trained: Path) -> None:
    assert {path.name for path in trained.iterdir()} == {
        ".lock", "checkpoints", "config.yaml", "environment.json", "figures", "metrics.csv",
        "metrics.jsonl", "predictions", "report.html", "summary.json", "train.log",
    }  # fmt: skip
    assert {path.name for path in (trained / "predictions").iterdir()} == {"valid.csv", "test.csv"}
    assert not list(trained.rglob("*.part"))
    found = summary(trained)
    assert list(found) == ["status", "epochs", "seconds", "valid", "test"]
    assert found["status"] == "completed"
    expected = {"rmse", "mae", "r2", "nll", "crps", "coverage_50", "coverage_90", "coverage_95"}
    expected |= {"width_90", "pit_error"}
    for split in ("valid", "test"):
        assert found[split].keys() == expected | {"components"}
        assert found[split]["components"].keys() == {"y"}
        assert found[split]["components"]["y"].keys() == expected


def test_metrics_follow_from_the_predictions_that_were_written(trained: Path) -> None:
    """One member of the mixture is unknown from the table, but errors and coverage are not."""
    for split in ("valid", "test"):
        lines = [line for line in rows(trained / "predictions" / f"{split}.csv") if line["y"]]
        y, mu, lo, hi = (
            np.array([float(r[c]) for r in lines]) for c in ("y", "mu", "lo_90", "hi_90")
        )
        metrics = summary(trained)[split]
        assert metrics["rmse"] == pytest.approx(np.sqrt(np.mean((y - mu) ** 2)), rel=1e-5)
        assert metrics["mae"] == pytest.approx(np.mean(np.abs(y - mu)), rel=1e-5)
        assert metrics["coverage_90"] == pytest.approx(np.mean((lo <= y) & (y <= hi)))
        assert metrics["width_90"] == pytest.approx(np.mean(hi - lo), rel=1e-5)


def test_predictions_carry_the_targets_of_the_file(trained: Path, table: Path) -> None:
    source = rows(table)
    for line in rows(trained / "predictions" / "test.csv"):
        cell = source[int(line["row"])]["y"]
        assert (line["y"] == "") == (cell == "")
        assert float(line["y"] or 0) == pytest.approx(float(cell or 0), rel=1e-6)


def test_the_environment_tells_where_the_result_comes_from(trained: Path, table: Path) -> None:
    import hashlib

    found = json.loads((trained / "environment.json").read_text(encoding="utf-8"))
    assert found["command"] == "tagi train"
    assert found["world_size"] == 1
    assert found["rows_per_rank"] == [140]
    assert found["seed"] == 0
    assert found["threads"] >= 1
    assert found["device"]
    assert found["data_sha256"] == hashlib.sha256(table.read_bytes()).hexdigest()


def test_metrics_tables_hold_each_epoch_once(trained: Path) -> None:
    table = rows(trained / "metrics.csv")
    lines = (trained / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    parsed = [json.loads(line) for line in lines]
    assert [(row["phase"], int(row["epoch"])) for row in table] == [
        (row["phase"], row["epoch"]) for row in parsed
    ]
    searched = [row for row in parsed if row["phase"] == "search"]
    assert [row["epoch"] for row in searched] == list(range(1, summary(trained)["epochs"] + 1))
    assert all(math.isfinite(row["valid_nll"]) for row in searched)
    for row, cells in zip(parsed, table, strict=True):
        assert {k: v for k, v in cells.items() if v} == {k: str(v) for k, v in row.items()}


@pytest.mark.usefixtures("no_drawing")
def test_the_config_of_a_run_reproduces_it_bit_for_bit(trained: Path, tmp_path: Path) -> None:
    settings = config.load(Settings, registries(), trained / "config.yaml")
    again = run.train(settings, "again", tmp_path)
    assert (again / "config.yaml").read_bytes() == (trained / "config.yaml").read_bytes()
    first, second = summary(trained), summary(again)
    assert (first["valid"], first["test"]) == (second["valid"], second["test"])
    for split in ("valid", "test"):
        name = f"predictions/{split}.csv"
        assert (again / name).read_bytes() == (trained / name).read_bytes()


@pytest.mark.usefixtures("no_drawing")
def test_another_seed_gives_other_networks(
    trained: Path, make_settings: MakeSettings, tmp_path: Path
) -> None:
    other = run.train(make_settings(seed=1), "tagi train", tmp_path)
    assert summary(other)["test"]["nll"] != summary(trained)["test"]["nll"]


@pytest.mark.usefixtures("no_drawing")
def test_runs_go_to_outputs_below_the_name(
    make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = run.train(make_settings(**{"trainer.max_epochs": 1}), "tagi train")
    assert made.parent == tmp_path / "outputs" / "small"


def test_a_table_without_a_test_part(make_settings: MakeSettings, tmp_path: Path) -> None:
    changes = {"data.split_portions": [0.9, 0.1, 0.0], "trainer.max_epochs": 1}
    made = run.train(make_settings(**changes), "tagi train", tmp_path)
    assert summary(made)["test"] == {}
    assert summary(made)["valid"]["rmse"] > 0
    assert not (made / "predictions" / "test.csv").exists()
    assert "Predictions on the valid part" in (made / "report.html").read_text(encoding="utf-8")


def test_a_table_without_validation_and_test_parts(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    changes = {"data.split_portions": [1.0, 0.0, 0.0], "trainer.max_epochs": 2}
    made = run.train(make_settings(**changes), "tagi train", tmp_path)
    found = summary(made)
    assert (found["status"], found["epochs"]) == ("completed", 2)
    assert found["valid"] == found["test"] == {}
    assert (made / "report.html").is_file()


@pytest.mark.usefixtures("no_drawing")
def test_the_console_tells_what_was_read_and_where_results_lie(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    plain = StringIO()
    made = run.train(
        make_settings(**{"trainer.max_epochs": 1}), "tagi train", tmp_path,
        console=Console(file=plain, width=80),
    )  # fmt: skip
    text = plain.getvalue()
    assert "small: 200 rows, a, kind -> y" in text
    assert "140 train, 40 valid, 20 test (random)" in text
    assert "2 networks 3 - 8 - 2, 100 parameters" in text
    assert str(made) in text
    assert "90 % intervals hold" in text
    assert "\x1b" not in text


@pytest.mark.usefixtures("no_drawing")
def test_a_terminal_gets_panels_within_its_width(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    screen = StringIO()
    console = Console(file=screen, width=80, force_terminal=True, color_system=None)
    run.train(make_settings(**{"trainer.max_epochs": 1}), "tagi train", tmp_path, console=console)
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue()).splitlines()
    assert any("tagi train small" in line and "─" in line for line in lines)
    assert all(len(line.split("\r")[-1]) <= 80 for line in lines)


def test_a_mistake_in_the_data_leaves_no_folder(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    for changes in ({"data.path": "nope.csv"}, {"data.out_components": ["z"]}):
        with pytest.raises(UserError):
            run.train(make_settings(**changes), "tagi train", tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_an_unwritable_output_folder_is_one_clear_error(
    make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").write_text("in the way", encoding="utf-8")
    with pytest.raises(UserError, match=r"outputs/small/.*cannot be written"):
        run.train(make_settings(), "tagi train")


def test_a_full_disk_is_one_clear_error_and_the_earlier_checkpoint_survives(
    make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = os.fsync, []

    def full(descriptor: int) -> None:
        name = os.readlink(f"/proc/self/fd/{descriptor}")
        if "last.safetensors." in name and "sha256" not in name:
            calls.append(name)
            if len(calls) == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
        write(descriptor)

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(UserError, match=r"last\.safetensors: no space left on the disk"):
        run.train(make_settings(), "tagi train", tmp_path)
    (made,) = tmp_path.iterdir()
    found = summary(made)
    assert found["status"] == "failed"
    assert found["epochs"] >= 1
    assert found["valid"] == found["test"] == {}
    assert "failed: UserError" in (made / "train.log").read_text(encoding="utf-8")
    checkpoint.read(made / "checkpoints" / "last.safetensors", "training")
    assert not list(made.rglob("*.part"))


@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError, "failed"), (KeyboardInterrupt, "interrupted")]
)
def test_whatever_ends_a_run_its_summary_says_so_and_it_can_be_resumed(
    make_settings: MakeSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
    status: str,
) -> None:
    def broken(folder: RunFolder) -> Path:
        raise error("at the end")

    with monkeypatch.context() as patch:
        patch.setattr(report, "write_report", broken)
        with pytest.raises(error, match="at the end"):
            run.train(make_settings(**{"trainer.max_epochs": 1}), "tagi train", tmp_path)
    (made,) = tmp_path.iterdir()
    stopped = summary(made)
    assert stopped["status"] == status
    changes = {"trainer.max_epochs": 1, "trainer.resume": str(made)}
    run.train(make_settings(**changes), "tagi train")
    assert summary(made)["status"] == "completed"
    assert (made / "report.html").is_file()
    # The metrics were there before the report: its failure does not lose them.
    assert stopped["test"] == summary(made)["test"] != {}
    assert stopped["valid"] == summary(made)["valid"] != {}


@pytest.mark.usefixtures("no_drawing")
def test_a_test_row_far_outside_is_named_and_nothing_of_the_training_is_lost(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """A spread of 1 in training and 1e14 in the test: under a wide prior its variance overflows."""
    part = [("train", "valid", "test")[0 if i % 5 else i // 5 % 3] for i in range(60)]
    lines = [f"{i % 7 - 3},{i % 7 + 0.1 * (i % 3)},{part[i]}" for i in range(60)]
    path = tmp_path / "far.csv"
    path.write_text("a,y,part\n" + "\n".join([*lines, "1e14,0,test"]) + "\n", encoding="utf-8")
    settings = make_settings(
        **{"data.path": str(path), "data.split_column": "part", "arch.gain_weight": 1e6}
    )
    with pytest.raises(NumericalError, match=r"test part: the prediction of row 60 \(from 0\)"):
        run.train(settings, "tagi train", tmp_path / "runs")
    (made,) = (tmp_path / "runs").iterdir()
    assert summary(made)["status"] == "failed"
    assert np.isfinite(Model.load(made).predict(np.zeros((1, 1))).mean).all()


@pytest.mark.usefixtures("no_drawing")
def test_predictive_quality_is_that_of_a_model_that_learnt(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """Far better than the mean of the targets, and no better than the noise allows."""
    settings = make_settings(**{"trainer.max_epochs": 60, "arch.width": 30})
    found = summary(run.train(settings, "tagi train", tmp_path))["test"]
    noise = 0.5
    assert noise * 0.6 < found["rmse"] < noise * 1.6
    assert abs(found["nll"] - stats.norm(0, noise).entropy()) < 0.5


def test_sigterm_from_outside_saves_and_ends(table: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from tests.experiment.conftest import SMALL, merged\n"
        "from tagi_cli import config; from tagi_cli.experiment import run\n"
        "from tagi_cli.experiment.settings import Settings, registries\n"
        "tree = merged(SMALL, {'data.path': sys.argv[1], 'trainer.max_epochs': 100000,\n"
        "              'trainer.early_stopping': {'enabled': False}})\n"
        "run.train(config.check(Settings, registries(), tree), 'x', run.Path('runs'))\n"
    )
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(table), str(root)], cwd=tmp_path, text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("runs/*/checkpoints/last.safetensors")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    (made,) = tmp_path.glob("runs/*")
    assert summary(made)["status"] == "interrupted"


@pytest.mark.usefixtures("no_drawing")
def test_fewer_rows_than_a_batch_are_one_batch(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    few = write_table(tmp_path / "few.csv", rows=12)
    changes = {"data.path": str(few), "data.batch_size": None}
    made = run.train(make_settings(**changes), "tagi train", tmp_path)
    settings = config.load(Settings, registries(), RunFolder.open(made).config)
    assert settings.data.batch_size == 9
