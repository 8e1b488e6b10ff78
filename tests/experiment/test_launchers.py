"""Launchers: their presets, cores for their jobs, what they need, and how jobs end."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tagi_cli import config
from tagi_cli.config.schema import flat_options
from tagi_cli.config.source import read_yaml
from tagi_cli.errors import UserError, UserErrors
from tagi_cli.experiment.sweeps import engines as sweep_engines
from tagi_cli.experiment.sweeps.engines import engine, required, threads_each, workers
from tagi_cli.experiment.sweeps.job import JobFiles, Process, write_jobs
from tagi_cli.experiment.sweeps.launchers import (
    JoblibOptions,
    SubmititLocalOptions,
    SubmititSlurmOptions,
    launchers,
)
from tagi_cli.experiment.sweeps.sweep import Outcome, collect
from tagi_cli.experiment.sweeps.tune_options import TuneOptions
from tagi_cli.paths import resource_dir

PRESETS = {path.stem: path for path in (resource_dir("configs") / "hydra/launcher").glob("*.yaml")}
PAGE = Path(__file__).parents[2] / "docs/sweeps.md"


def test_every_launcher_but_the_basic_one_has_a_preset_with_all_its_options() -> None:
    assert {*PRESETS, "basic"} == set(launchers)
    for name, path in PRESETS.items():
        cls, tree = launchers[name].options, read_yaml(path)
        assert config.check(cls, {}, tree) == cls()
        for option, _ in flat_options(cls):
            node: Any = tree
            for key in option.split("."):
                node = node[key]


def test_presets_open_with_what_they_are_and_their_command() -> None:
    for name, path in PRESETS.items():
        first, _, command, *_ = path.read_text().splitlines()
        assert first == f"# {first[2:]}"
        assert command.startswith(f"#   tagi train -m config=sweep hydra/launcher={name}")


def test_the_page_names_every_option() -> None:
    text = PAGE.read_text()
    for name in PRESETS:
        row = re.findall(rf"^\| `{name}` \|.*$", text, re.MULTILINE)[0]
        for option, _ in flat_options(launchers[name].options):
            assert f"`{option}`" in row
    for option, _ in flat_options(TuneOptions):
        assert f"tune.{option}" in text or option == "space"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("joblib: {n_jobs: 0}", ".n_jobs: found 0. Allowed: at least 1, or -1 and below"),
        (
            "submitit_local: {timeout_min: 0.5}",
            ".signal_delay_s: found 30, but a job has only 30 seconds (timeout_min)",
        ),
        ("submitit_slurm: {mem_gb: 0}", ".mem_gb: found 0. Allowed: number or null, above 0"),
        (
            "ray: {ray: {init: {address: auto, num_cpus: 2}}}",
            ".ray.init.num_cpus: has no meaning with an address",
        ),
    ],
)
def test_options_that_do_not_go_together(tmp_path: Path, options: str, message: str) -> None:
    (tmp_path / "x.yaml").write_text(options)
    ((name, tree),) = read_yaml(tmp_path / "x.yaml").items()
    with pytest.raises(UserErrors) as caught:
        config.check(launchers[name].options, {}, tree, where="hydra.launcher")
    assert caught.value.faults[0].startswith(f"hydra.launcher{message}")


def test_cores_are_divided_among_the_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [workers(n, 100) for n in (-1, -2, -99, 1, 4, 20)] == [16, 15, 1, 1, 4, 20]
    assert workers(-1, 3) == 3
    assert [threads_each(n) for n in (1, 3, 4, 16, 20)] == [16, 5, 4, 1, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "2,4")
    assert [threads_each(n) for n in (1, 16)] == [2, 1]


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("joblib", "joblib", "sweep"),
        ("submitit_local", "submitit", "sweep"),
        ("submitit_slurm", "submitit", "sweep"),
        ("ray", "ray", "ray"),
    ],
)
def test_a_missing_package_is_one_error_that_names_the_extra(
    name: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    options = launchers[name].options()
    with pytest.raises(UserError) as caught:
        required(options)
    text = str(caught.value)
    assert text.startswith(f"hydra/launcher={name}: needs the package {package}, which cannot be")
    assert text.endswith(f'Install it with: pip install "tagi-cli[{extra}]"')


def test_slurm_needs_its_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_engines, "require", lambda *words: None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match=r"found no sbatch and no srun.*submitit_local"):
        required(SubmititSlurmOptions())


def test_jobs_are_not_begun_once_the_user_wants_to_stop(tmp_path: Path) -> None:
    pytest.importorskip("joblib", reason="needs the extra sweep (joblib)")
    run = engine(JoblibOptions(n_jobs=2), tmp_path, 3)
    assert sorted(run([0, 1, 2], lambda: True)) == [(0, ""), (1, ""), (2, "")]
    pytest.importorskip("submitit", reason="needs the extra sweep (submitit)", exc_type=ImportError)
    run = engine(SubmititLocalOptions(n_jobs=2), tmp_path, 3)
    assert list(run([0, 1], lambda: True)) == [(0, ""), (1, "")]


@pytest.mark.parametrize(
    ("record", "stopped", "status", "message"),
    [
        ({}, True, "waiting", ""),
        ({}, False, "killed", "Ray: it died"),
        ({"status": "running"}, False, "killed", "Ray: it died"),
        ({"status": "interrupted"}, True, "interrupted", ""),
        ({"status": "interrupted"}, False, "killed", "ended from outside; it saved where it stood"),
        ({"status": "interrupted", "message": "time"}, False, "killed", "time"),
        ({"status": "failed", "message": "no"}, False, "failed", "no"),
    ],
)
def test_how_a_job_ended(
    record: dict[str, str], stopped: bool, status: str, message: str, tmp_path: Path
) -> None:
    write_jobs(tmp_path, "tagi train", {})
    if record:
        JobFiles(tmp_path, 0).write(**record)
    outcome = Outcome({})
    collect(tmp_path, 0, outcome, "Ray: it died", stopped)
    assert (outcome.status, outcome.message) == (status, message)


def test_a_job_has_its_threads_in_the_environment_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "64")
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho $OMP_NUM_THREADS $OPENBLAS_NUM_THREADS $MKL_NUM_THREADS\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    write_jobs(tmp_path, "tagi train", {})
    for number, threads, said in ((0, 3, "3 3 3\n"), (1, None, "64 64 64\n")):
        process = Process(JobFiles(tmp_path, number), threads)
        process.wait()
        assert process.files.log.read_text() == said


def test_a_job_with_damaged_settings_fails_by_itself(tmp_path: Path) -> None:
    write_jobs(tmp_path, "tagi train", {0: "arch: {kind: mlp, width: 0}\n"})
    process = Process(JobFiles(tmp_path, 0), 1)
    process.wait()
    record = JobFiles(tmp_path, 0).read()
    assert record["status"] == "failed"
    assert "arch.width: found 0." in record["message"]


def test_a_job_that_is_killed_says_so_and_one_that_crashes_what_it_said_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jobs(tmp_path, "tagi train", {})
    killed = Process(JobFiles(tmp_path, 0))
    os.kill(killed._process.pid, signal.SIGKILL)
    killed.wait()
    assert JobFiles(tmp_path, 0).read()["message"].startswith("killed by SIGKILL")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    crashed = Process(JobFiles(tmp_path, 1))
    crashed.wait()
    assert JobFiles(tmp_path, 1).read() == {"status": "killed", "message": "ended with code 1"}
