"""The engines for sweeps and searches, by the commands of docs/sweeps.md."""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm_stand_in import install

ROOT = Path(__file__).parents[2]
SHORT = ("trainer.max_epochs=3", "viz.enabled=false")
LONG = ("trainer.max_epochs=1000000", "trainer.early_stopping.enabled=false", "seed=0,1,2,3",
        "arch.width=5", "arch.activation=relu")  # fmt: skip
PACKAGES = {"joblib": "joblib", "submitit_local": "submitit", "submitit_slurm": "submitit"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def command(launcher: str) -> list[str]:
    """The first command of the page with this launcher, here."""
    page = (ROOT / "docs/sweeps.md").read_text()
    line = re.findall(rf"^tagi train .*hydra/launcher={launcher}\b.*$", page, re.MULTILINE)[0]
    return [sys.executable, "-m", "tagi_cli.cli.main", *shlex.split(line)[1:]]


def environment(tmp_path: Path, launcher: str) -> dict[str, str]:
    found = {**os.environ, "PYTHONPATH": str(ROOT)}
    if launcher == "submitit_slurm":
        found["PATH"] = f"{install(tmp_path / 'bin')}:{found['PATH']}"
    return found


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep.csv").open() as file:
        return list(csv.DictReader(file))


def needs(launcher: str) -> None:
    package = PACKAGES.get(launcher, launcher)
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"hydra/launcher={launcher} needs the package {package}, which is not here")


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local", "submitit_slurm", "ray"])
def test_a_sweep_runs_all_its_jobs_and_lists_one_that_fails(tmp_path: Path, launcher: str) -> None:
    needs(launcher)
    more = ("arch.width=5,0,6", "arch.activation=relu", *SHORT)
    done = subprocess.run(
        [*command(launcher), *more], cwd=tmp_path, env=environment(tmp_path, launcher),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    (folder,) = tmp_path.glob("outputs/sweep/*")
    found = rows(folder)
    assert [row["status"] for row in found] == ["completed", "failed", "completed"]
    assert "arch.width: found 0." in found[1]["message"]
    assert "1 job failed:" in done.stderr
    for row in (found[0], found[2]):
        run = folder / row["run"]
        facts = json.loads((run / "environment.json").read_text())
        assert facts["threads"] <= max(1, len(os.sched_getaffinity(0)) // 2)
        assert facts["command"].startswith("tagi train -m config=sweep hydra/launcher=")
        assert json.loads((run / "summary.json").read_text())["status"] == "completed"


@pytest.fixture
def sweep(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    """A sweep of four jobs that would not end, two at a time; it writes to `said`."""
    needs(request.param)
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(
            [*command(request.param), *LONG, "hydra.launcher.n_jobs=2"],
            cwd=tmp_path, env=environment(tmp_path, request.param), stdin=subprocess.DEVNULL,
            stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    yield process
    # Whatever is left of it, where the test failed: submitit's processes outlive their parent.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def until(found: object, seconds: float = 200) -> None:
    """Wait until `found()` is true."""
    end = time.monotonic() + seconds
    while not found():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize("sweep", ["joblib", "submitit_local"], indirect=True)
def test_a_job_that_is_killed_is_listed_and_ctrl_c_stops_the_others_in_order(
    sweep: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    until(lambda: len(list(tmp_path.glob("outputs/sweep/*/2*/metrics.jsonl"))) >= 2)
    (folder,) = tmp_path.glob("outputs/sweep/*")
    listing = subprocess.run(
        ["ps", "-wweo", "pid,args"], capture_output=True, text=True, check=True
    )
    # The oldest: a job that starts another program is there twice for a moment.
    victim = min(
        int(line.split()[0])
        for line in listing.stdout.splitlines()
        if line.endswith(f"sweeps.job {folder} 0")
    )
    os.kill(victim, signal.SIGKILL)
    until(lambda: rows(folder)[0]["status"] == "killed")
    until(lambda: len(list(folder.glob("2*/checkpoints/last.safetensors"))) >= 3)
    os.kill(sweep.pid, signal.SIGINT)
    sweep.wait(timeout=60)
    said = (tmp_path / "said").read_text()
    assert sweep.returncode == 130, said
    found = rows(folder)
    assert [row["status"] for row in found] == ["killed", "interrupted", "interrupted", "waiting"]
    assert found[0]["message"].startswith("killed by SIGKILL")
    assert "Traceback" not in said
    for row in found[1:3]:
        summary = json.loads((folder / row["run"] / "summary.json").read_text())
        assert summary["status"] == "interrupted"
        assert (folder / row["run"] / "checkpoints/last.safetensors").is_file()


def test_a_search_runs_by_its_command_and_its_config_trains(tmp_path: Path) -> None:
    if importlib.util.find_spec("optuna") is None:
        pytest.skip("tagi tune needs the package optuna, which is not here")
    page = (ROOT / "docs/sweeps.md").read_text()
    words = shlex.split(re.findall(r"^tagi tune config=.*$", page, re.MULTILINE)[0])[1:]
    tagi = [sys.executable, "-m", "tagi_cli.cli.main"]
    done = subprocess.run(
        [*tagi, *words, *SHORT], cwd=tmp_path, env=environment(tmp_path, ""),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = tmp_path.glob("outputs/tune/*")
    assert {row["status"] for row in rows(folder)} <= {"completed", "pruned"}
    line = next(line for line in done.stdout.splitlines() if line.startswith("tagi train config="))
    train = subprocess.run(
        [*tagi, *shlex.split(line)[1:], *SHORT], cwd=tmp_path, env=environment(tmp_path, ""),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert train.returncode == 0, train.stderr
    best = min(float(row["valid_nll"]) for row in rows(folder) if row["status"] == "completed")
    (run,) = (path for path in tmp_path.glob("outputs/tune/*") if path != folder)
    # The trial had its share of the cores, and other threads sum in another order.
    nll = json.loads((run / "summary.json").read_text())["valid"]["nll"]
    assert nll == pytest.approx(best, rel=1e-3)
