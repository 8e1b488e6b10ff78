"""`tagi train`: runs, resumed runs, sweeps, and what they leave."""

from __future__ import annotations

import csv
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tagi_cli.errors import UserError
from tagi_cli.experiment import run as experiment

SMALL = ("kernels=numpy", "ensemble.size=1", "trainer.max_epochs=2", "trainer.refit=false")
MY = ("data.path=my.csv", "data.out_components=y", "arch.width=3", "viz.enabled=false", *SMALL)


class Call(NamedTuple):
    """One call of the experiment's `train`."""

    settings: Any
    command: str
    parent: Path | None
    checkpoint: str


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Replace the training by a record of its calls.

    The run whose seed is 13 fails by the user's mistake, 14 by a bug, and 15 is interrupted.
    """
    made: list[Call] = []

    def train(
        settings: Any, command: str, parent: Path | None = None, checkpoint: str = "", **_: Any
    ) -> Path:
        made.append(Call(settings, command, parent, checkpoint))
        folder = (parent or Path("outputs") / settings.name) / f"run-{len(made)}"
        folder.mkdir(parents=True)
        if settings.seed == 13:
            raise UserError("data.path: gone")
        if settings.seed == 14:
            raise ZeroDivisionError("of all things")
        summary = {
            "status": "interrupted" if settings.seed == 15 else "completed",
            "epochs": 3,
            "seconds": 0.5,
            "valid": {"nll": 1.0 + settings.seed, "components": {"y": {}}},
            "test": {},
        }
        (folder / "summary.json").write_text(json.dumps(summary))
        return folder

    monkeypatch.setattr(experiment, "train", train)
    return made


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep.csv").open() as file:
        return list(csv.DictReader(file))


def sweep_folder(name: str = "quickstart") -> Path:
    (folder,) = Path("outputs", name).iterdir()
    return folder


def test_a_run_of_ones_own_table_needs_no_config(tagi: Callable[..., Any]) -> None:
    answer = tagi("train", *MY)
    assert (answer.code, answer.err) == (0, "")
    (run,) = Path("outputs/my").iterdir()
    written = yaml.safe_load((run / "config.yaml").read_text())
    assert written["data"]["path"] == str(Path("my.csv").absolute())
    assert written["arch"]["kind"] == "mlp"
    assert str(run) in answer.out
    command = json.loads((run / "environment.json").read_text())["command"]
    assert command == "tagi train " + " ".join(MY)


def test_the_config_of_a_run_reproduces_it(tagi: Callable[..., Any], finished: Path) -> None:
    assert tagi("train", f"config={finished / 'config.yaml'}", "viz.enabled=false").code == 0
    (run,) = Path("outputs/my").iterdir()
    before, after = (json.loads((f / "summary.json").read_text()) for f in (finished, run))
    assert before["valid"] == after["valid"]
    assert before["test"] == after["test"]


def test_the_composed_config_is_printed_and_nothing_is_done(
    tagi: Callable[..., Any], calls: list[Call]
) -> None:
    for flag in (["--cfg", "job"], ["--cfg=job"]):
        answer = tagi("train", *flag, "config=quickstart", "arch.width=7")
        assert yaml.safe_load(answer.out)["arch"]["width"] == 7
    assert not calls
    assert not Path("outputs").exists()


def test_an_interrupted_run_ends_with_130(tagi: Callable[..., Any], calls: list[Call]) -> None:
    assert tagi("train", "config=quickstart", "seed=15").code == 130


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--mltirun"], "--mltirun: unknown option. Did you mean '--multirun'? Allowed: "),
        (["--cfg", "hydra"], "--cfg=hydra: unknown option. Did you mean '--cfg=job'? Allowed: "),
        (["--config=sine"], "--config=sine: unknown option. Did you mean config=sine? Allowed: "),
        (["--x", "3"], "--x: unknown option. Settings are written key=value, without dashes. All"),
        ([], "data.path: no data given. Set data.path to a file (and data.out_components to the "),
        (["my.csv"], "my.csv: not understood. Did you mean data.path=my.csv? Allowed: key=value"),
        (
            ["data=my.csv"],
            "data: unknown option 'my.csv'. Did you mean data.path=my.csv? Allowed: ",
        ),
        (
            ["data.target=y"],
            "data.target: has no meaning here. Name the column to predict in `data.",
        ),
        (
            ["trainer.resume=x", "config=quickstart"],
            "trainer.resume: takes the config of the run that it continues; leave out config=",
        ),
        (["trainer.resume=x"], "run folder 'x' does not exist"),
    ],
)
def test_mistakes(
    tagi: Callable[..., Any], calls: list[Call], words: list[str], message: str
) -> None:
    answer = tagi("train", *words)
    assert answer.code == 2
    assert answer.err.startswith(f"tagi train: {message}")
    assert not calls


def test_a_run_is_resumed_with_its_own_config(
    tagi: Callable[..., Any], calls: list[Call], finished: Path
) -> None:
    assert tagi("train", f"trainer.resume={finished}", "trainer.max_epochs=9").code == 0
    (call,) = calls
    assert call.settings.trainer.resume == str(finished)
    assert call.settings.trainer.max_epochs == 9
    assert call.settings.arch.width == 3
    assert call.settings.name == "my"
    assert call.checkpoint == "last"
    assert tagi("train", "config=quickstart", "trainer.resume=null").code == 0


def test_a_run_is_resumed_from_the_checkpoint_that_is_named(
    tagi: Callable[..., Any], calls: list[Call], finished: Path
) -> None:
    copy = "my copy.safetensors"
    assert tagi("train", f"trainer.resume={finished}", f"checkpoint={copy}").code == 0
    assert calls[0].checkpoint == copy
    assert tagi("train", "config=quickstart", "checkpoint={every: 3}").code == 0
    assert calls[1].settings.checkpoint.every == 3


def test_a_sweep_does_not_resume(
    tagi: Callable[..., Any], calls: list[Call], finished: Path
) -> None:
    words = ("-m", f"trainer.resume={finished}", "trainer.max_epochs=5,6")
    for verb in ("train", "check"):
        answer = tagi(verb, *words)
        assert answer.code == 2
        assert "trainer.resume: a sweep begins new runs" in answer.err
    assert not calls
    assert not Path("outputs").exists()


def test_a_sweep_leaves_one_run_per_job_and_a_table(
    tagi: Callable[..., Any], calls: list[Call]
) -> None:
    words = ("config=quickstart", "name=a & b", "arch.width=4,5", "seed=range(0,2)")
    answer = tagi("train", "-m", *words)
    assert (answer.code, answer.err) == (0, "")
    folder = sweep_folder("a & b")
    assert [(c.settings.arch.width, c.settings.seed) for c in calls] == [
        (4, 0),
        (4, 1),
        (5, 0),
        (5, 1),
    ]
    assert {call.parent for call in calls} == {folder}
    assert {call.command for call in calls} == {
        "tagi train -m config=quickstart 'name=a & b' arch.width=4,5 'seed=range(0,2)'"
    }
    rows = table(folder)
    assert rows[3] == {
        "job": "3",
        "arch.width": "5",
        "seed": "1",
        "status": "completed",
        "run": "run-4",
        "epochs": "3",
        "seconds": "0.5",
        "valid_nll": "2.0",
        "message": "",
    }
    assert f"tagi compare '{folder}'" in answer.out


@pytest.mark.parametrize(
    ("values", "code", "statuses"),
    [
        ("1,13,2", 2, ["completed", "failed", "completed"]),
        ("1,14,13,2", 1, ["completed", "error", "failed", "completed"]),
        ("1,-1,2", 2, ["completed", "failed", "completed"]),
        ("1,15,2", 130, ["completed", "interrupted", "waiting"]),
    ],
)
def test_a_failing_job_is_listed_and_the_sweep_goes_on(
    tagi: Callable[..., Any], calls: list[Call], values: str, code: int, statuses: list[str]
) -> None:
    assert tagi("train", "--multirun", "config=quickstart", f"seed={values}").code == code
    assert [row["status"] for row in table(sweep_folder())] == statuses


def test_what_failed_is_told_in_the_table_and_on_the_terminal(
    tagi: Callable[..., Any], calls: list[Call]
) -> None:
    answer = tagi("train", "-m", "config=quickstart", "seed=13,14,-1")
    messages = [row["message"] for row in table(sweep_folder())]
    assert messages == [
        "data.path: gone",
        "ZeroDivisionError: of all things",
        "seed: found -1. Allowed: whole number, at least 0",
    ]
    assert "failed: data.path: gone" in answer.err
    assert "Traceback" in answer.err


def test_where_every_job_is_mistaken_nothing_is_written(
    tagi: Callable[..., Any], calls: list[Call]
) -> None:
    answer = tagi("train", "-m", "config=quickstart", "seed=-1,-2", "arch.wdth=3")
    assert answer.code == 2
    assert answer.err.count("arch.wdth") == 2
    assert not Path("outputs").exists()


def test_a_file_sweeps_by_itself(tagi: Callable[..., Any], calls: list[Call]) -> None:
    Path("mine.yaml").write_text(
        "defaults: [config: quickstart]\n"
        "hydra: {mode: MULTIRUN, sweeper: {params: {seed: 'range(0,3)'}}}\n"
    )
    assert tagi("train", "config=mine.yaml").code == 0
    assert len(table(sweep_folder("mine"))) == 3
    answer = tagi("train", "config=mine.yaml", "--cfg", "job")
    assert answer.out.splitlines()[1] == "tagi train config=mine.yaml seed=1"
    assert len(calls) == 3


def test_a_sweep_folder_that_cannot_be_made_is_the_users_matter(
    tagi: Callable[..., Any], calls: list[Call]
) -> None:
    Path("outputs").mkdir()
    Path("outputs/quickstart").touch()
    answer = tagi("train", "-m", "config=quickstart", "seed=1,2")
    assert answer.code == 2
    assert answer.err.startswith("tagi train: outputs/quickstart/")
    assert "cannot be written (Not a directory)" in answer.err
    assert not calls


def test_a_real_sweep_can_be_compared(tagi: Callable[..., Any]) -> None:
    assert tagi("train", "-m", *MY, "seed=0,1").code == 0
    folder = sweep_folder("my")
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {
        row["run"] for row in table(folder)
    }
    answer = tagi("compare", str(folder), "output=table.csv")
    assert answer.code == 0
    assert answer.out.splitlines()[0].split()[:3] == ["run", "status", "seed"]
    assert len(Path("table.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize("sweep", [False, True])
def test_a_run_outlives_the_reader_of_its_output(here: Path, sweep: bool) -> None:
    words = ["-m", "seed=0,1"] if sweep else []
    command = shlex.join([sys.executable, "-m", "tagi_cli.cli.main", "train", *words, *MY])
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -1; exit ${{PIPESTATUS[0]}}"],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1
    runs = list(here.glob("outputs/my/**/summary.json"))
    assert len(runs) == 1 + sweep
    assert {json.loads(run.read_text())["status"] for run in runs} == {"completed"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-m", "hydra/launcher=jolib"], "hydra/launcher: unknown launcher 'jolib'. Did you mean"),
        (["hydra/launcher=joblib"], "hydra/launcher: a launcher runs the jobs of a sweep. Add -m"),
        (["-m", "hydra.launcher.n_jobs=2"], "hydra.launcher.n_jobs: jobs run one after another"),
    ],
)
@pytest.mark.parametrize("verb", ["train", "check"])
def test_a_launcher_is_checked_before_anything_runs(
    tagi: Callable[..., Any], calls: list[Call], verb: str, words: list[str], message: str
) -> None:
    answer = tagi(verb, "config=quickstart", "seed=1", *words)
    assert answer.code == 2
    assert answer.err.startswith(f"tagi {verb}: {message}")
    assert not calls
    assert not Path("outputs").exists()


def test_a_launcher_without_its_package_writes_nothing(
    tagi: Callable[..., Any], calls: list[Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "joblib", None)
    answer = tagi("train", "-m", "config=quickstart", "seed=1,2", "hydra/launcher=joblib")
    assert answer.code == 2
    assert 'pip install "tagi-cli[sweep]"' in answer.err
    assert not Path("outputs").exists()
