"""What Slurm and Ray are asked for, with packages that stand in for submitit and Ray."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tagi_cli.errors import UserError
from tagi_cli.experiment.sweeps import engines
from tagi_cli.experiment.sweeps.engines import engine
from tagi_cli.experiment.sweeps.job import Job
from tagi_cli.experiment.sweeps.launchers import (
    RayCallOptions,
    RayInitOptions,
    RayOptions,
    RayRemoteOptions,
    SubmititSlurmOptions,
)


class FailedJobError(Exception):
    """As submitit raises it when sbatch fails."""


class SlurmJob:
    """Is done when it was cancelled, or at the third question."""

    def __init__(self) -> None:
        self.paths = SimpleNamespace(stderr="its.err")
        self.asked = 0
        self.cancelled = False

    def done(self) -> bool:
        self.asked += 1
        return self.cancelled or self.asked >= 3

    def cancel(self, check: bool) -> None:
        assert not check
        self.cancelled = True


class Slurm:
    """Stands for submitit; `refuses` is what sbatch says to every job."""

    def __init__(self, refuses: str = "") -> None:
        self.core = SimpleNamespace(utils=SimpleNamespace(FailedJobError=FailedJobError))
        self.refuses = refuses
        self.parameters: dict[str, Any] = {}
        self.submitted: list[Job] = []
        self.jobs: list[SlurmJob] = []

    def SlurmExecutor(self, folder: Path, max_num_timeout: int) -> Slurm:
        self.max_num_timeout = max_num_timeout
        return self

    def update_parameters(self, **parameters: Any) -> None:
        self.parameters = parameters

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        yield
        if self.refuses:
            raise FailedJobError(self.refuses)

    def submit(self, job: Job) -> SlurmJob:
        self.submitted.append(job)
        self.jobs.append(SlurmJob())
        return self.jobs[-1]


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> Slurm:
    made = Slurm()
    monkeypatch.setattr(engines, "require", lambda *words: made)
    monkeypatch.setattr(engines, "_POLL", 0.0)
    return made


def test_slurm_gets_one_array_with_what_the_options_say(slurm: Slurm, tmp_path: Path) -> None:
    sweep = tmp_path / "mine" / "2026"
    options = SubmititSlurmOptions(mem_gb=1.5, cpus_per_task=3, partition="cpu", max_num_timeout=2)
    ended = list(engine(options, sweep, 2)([4, 7], lambda: False))
    assert slurm.parameters == {
        "job_name": "mine",
        "array_parallelism": 256,
        "cpus_per_task": 3,
        "mem": "1536M",
        "time": 60,
        "signal_delay_s": 90,
        "partition": "cpu",
    }
    assert slurm.max_num_timeout == 2
    assert slurm.submitted == [Job(str(sweep), number, 3) for number in (4, 7)]
    said = "the process of the job died; its launcher wrote its.err"
    assert sorted(ended) == [(4, said), (7, said)]
    assert not any(job.cancelled for job in slurm.jobs)


def test_what_is_null_is_left_to_the_cluster_and_the_rest_is_passed_on(
    slurm: Slurm, tmp_path: Path
) -> None:
    more = {"nodelist": "n1"}
    options = SubmititSlurmOptions(
        mem_gb=None, gpus_per_node=2, setup=("module load x",), additional_parameters=more
    )
    engine(options, tmp_path, 1)
    assert "mem" not in slurm.parameters
    found = [slurm.parameters[k] for k in ("gpus_per_node", "setup", "additional_parameters")]
    assert found == [2, ["module load x"], more]


def test_slurm_is_told_when_the_user_stops(slurm: Slurm, tmp_path: Path) -> None:
    list(engine(SubmititSlurmOptions(), tmp_path, 2)([0, 1], lambda: True))
    assert [job.cancelled for job in slurm.jobs] == [True, True]


def test_what_sbatch_refuses_is_a_mistake(slurm: Slurm, tmp_path: Path) -> None:
    slurm.refuses = "sbatch: error: invalid partition specified: gpuu"
    with pytest.raises(UserError, match=r"submitit_slurm: sbatch: error: invalid partition"):
        list(engine(SubmititSlurmOptions(), tmp_path, 1)([0], lambda: False))


class Ray:
    """Stands for Ray: a machine with two cores, on which the second task always dies."""

    def __init__(self) -> None:
        self.up = False
        self.settings: dict[str, Any] = {}
        self.needs: dict[str, Any] = {}
        self.jobs: list[Job] = []
        self.cancelled: list[int] = []

    def init(self, **settings: Any) -> None:
        if settings["address"] == "nowhere":
            raise ConnectionError("no cluster there")
        self.up, self.settings = True, settings

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}

    def shutdown(self) -> None:
        self.up = False

    def remote(self, **needs: Any) -> Callable[..., Any]:
        self.needs = needs

        def submit(job: Job) -> int:
            self.jobs.append(job)
            return len(self.jobs) - 1

        return lambda call: SimpleNamespace(remote=submit)

    def wait(self, pending: list[int], timeout: float) -> tuple[list[int], list[int]]:
        return pending[:1], pending[1:]

    def get(self, reference: int) -> None:
        if reference == 1:
            raise RuntimeError("worker died\nand more")

    def cancel(self, reference: int) -> None:
        self.cancelled.append(reference)


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Ray:
    made = Ray()
    monkeypatch.setattr(engines, "require", lambda *words: made)
    return made


def ray_options(init: dict[str, Any], **remote: Any) -> RayOptions:
    calls = RayCallOptions(init=RayInitOptions(**init), remote=RayRemoteOptions(**remote))
    return RayOptions(ray=calls)


def test_ray_reserves_what_a_job_needs_and_says_why_one_died(ray: Ray, tmp_path: Path) -> None:
    run = engine(ray_options({"num_cpus": 2}, num_cpus=2), tmp_path, 2)
    assert (ray.settings["address"], ray.settings["num_cpus"]) == ("local", 2)
    assert list(run([5, 6], lambda: False)) == [(5, ""), (6, "Ray: worker died")]
    assert ray.needs == {"num_cpus": 2, "num_gpus": 0.0, "max_retries": 0}
    assert ray.jobs == [Job(str(tmp_path), 5, 2), Job(str(tmp_path), 6, 2)]
    assert not ray.up
    assert ray.cancelled == []


def test_ray_is_told_when_the_user_stops(ray: Ray, tmp_path: Path) -> None:
    list(engine(ray_options({}), tmp_path, 2)([0, 1], lambda: True))
    assert ray.cancelled == [0, 1]


@pytest.mark.parametrize(
    ("init", "remote", "message"),
    [
        ({}, {"num_cpus": 3}, "ray.remote.num_cpus: found 3, but Ray has 2 on this machine"),
        ({}, {"num_gpus": 0.5}, "ray.remote.num_gpus: found 0.5, but Ray has 0 on this machine"),
        ({"address": "nowhere"}, {}, "ray.init: Ray cannot start: no cluster there"),
    ],
)
def test_what_ray_cannot_do(
    ray: Ray, init: dict[str, Any], remote: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        engine(ray_options(init, **remote), tmp_path, 1)
    assert str(caught.value).startswith(f"hydra.launcher.{message}")
    assert not ray.up


def test_a_cluster_may_grow_to_what_jobs_need(ray: Ray, tmp_path: Path) -> None:
    engine(ray_options({"address": "auto"}, num_gpus=4), tmp_path, 1)
    assert ray.settings["address"] == "auto"
