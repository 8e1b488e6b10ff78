"""The engines that run the jobs of a sweep: each job a process, wherever the engine puts it.

The engines are called directly and not by Hydra's plugins for them, which start whatever they are
given in a process that serves several jobs: one that is killed takes the others with it.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from tagi_cli.errors import UserError
from tagi_cli.experiment.sweeps.job import JOBS, Job, JobFiles, Process
from tagi_cli.experiment.sweeps.launchers import (
    JoblibOptions,
    RayOptions,
    SubmititLocalOptions,
    SubmititSlurmOptions,
    launchers,
)

Stop = Callable[[], bool]
"""Whether the user wants all jobs to end."""

Ended = tuple[int, str]
"""A job that ended, and what the engine has to say of it if the job left no word itself."""

Run = Callable[[Sequence[int], Stop], Iterator[Ended]]
"""Runs the jobs of these numbers and gives each back as it ends, in whatever order.

A job that had not begun when `stop` came true never does, and is given back all the same.
"""

_POLL = 0.2
_EXTRAS = {"joblib": "sweep", "submitit": "sweep", "ray": "ray", "optuna": "hpo"}


def engine(options: Any, sweep: Path, jobs: int) -> Run:
    """The engine for a launcher's options.

    Args:
        options: of any launcher but `basic`.
        sweep: folder of the sweep.
        jobs: how many there are.

    Raises:
        UserError: the engine's package is not installed, or it cannot start.
    """
    return _ENGINES[type(options)](options, sweep, jobs)


def require(package: str, what: str = "") -> ModuleType:
    """Import a package of an extra; `what` needs it.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UserError(
            f"{f'{what}: ' if what else ''}needs the package {package}, which cannot be imported "
            f'({error}). Install it with: pip install "tagi-cli[{_EXTRAS[package]}]"'
        ) from None


def required(options: Any) -> None:
    """Make sure that what the launcher needs is there, before anything is written.

    Raises:
        UserError: it is not.
    """
    what = f"hydra/launcher={launchers.of(options).name}"
    package = {
        JoblibOptions: "joblib",
        SubmititLocalOptions: "submitit",
        SubmititSlurmOptions: "submitit",
        RayOptions: "ray",
    }.get(type(options))
    if package is not None:
        require(package, what)
    if isinstance(options, SubmititSlurmOptions):
        missing = [command for command in ("sbatch", "srun") if shutil.which(command) is None]
        if missing:
            raise UserError(
                f"{what}: found no {' and no '.join(missing)}, so that this is no machine from "
                "which Slurm jobs are submitted. To try the sweep here: "
                "hydra/launcher=submitit_local"
            )


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def workers(n_jobs: int, jobs: int) -> int:
    """Jobs at a time: `n_jobs`, which counts back from all cores where it is negative."""
    return max(1, min(n_jobs if n_jobs > 0 else cores() + 1 + n_jobs, jobs))


def threads_each(at_a_time: int) -> int:
    """Threads for each of several jobs on this machine; OMP_NUM_THREADS is never exceeded."""
    share = max(1, cores() // at_a_time)
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return min(share, int(given)) if given.isdigit() and int(given) else share


def _joblib(options: JoblibOptions, sweep: Path, jobs: int) -> Run:
    joblib = require("joblib", "hydra/launcher=joblib")
    at_a_time = workers(options.n_jobs, jobs)
    threads = threads_each(at_a_time)

    def one(number: int, stop: Stop) -> Ended:
        if not stop():
            Process(JobFiles(sweep, number), threads).wait(stop)
        return number, ""

    def run(numbers: Sequence[int], stop: Stop) -> Iterator[Ended]:
        # Threads only wait here; each job is a process.
        parallel = joblib.Parallel(
            at_a_time,
            backend="threading",
            batch_size=1,
            pre_dispatch=at_a_time,
            return_as="generator_unordered",
        )
        yield from parallel(joblib.delayed(one)(number, stop) for number in numbers)

    return run


def _submitit_local(options: SubmititLocalOptions, sweep: Path, jobs: int) -> Run:
    submitit = require("submitit", "hydra/launcher=submitit_local")
    at_a_time = workers(options.n_jobs, jobs)
    executor = submitit.LocalExecutor(
        sweep / JOBS / "submitit", max_num_timeout=options.max_num_timeout
    )
    executor.update_parameters(
        timeout_min=options.timeout_min,
        gpus_per_node=options.gpus_per_node,
        signal_delay_s=options.signal_delay_s,
    )

    def run(numbers: Sequence[int], stop: Stop) -> Iterator[Ended]:
        waiting, told = list(numbers), False
        running: dict[int, Any] = {}
        while waiting or running:
            if stop():
                yield from ((number, "") for number in waiting)
                waiting = []
                if not told:
                    for job in running.values():
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(int(job.job_id), signal.SIGTERM)
                told = True
            while waiting and len(running) < at_a_time:
                number = waiting.pop(0)
                with _without_ctrl_c():
                    running[number] = executor.submit(
                        Job(str(sweep), number, threads_each(at_a_time), relays=True)
                    )
            yield from _take_ended(running)
            time.sleep(_POLL)

    return run


def _submitit_slurm(options: SubmititSlurmOptions, sweep: Path, jobs: int) -> Run:
    submitit = require("submitit", "hydra/launcher=submitit_slurm")
    executor = submitit.SlurmExecutor(
        sweep / JOBS / "submitit", max_num_timeout=options.max_num_timeout
    )
    executor.update_parameters(**_sbatch(options, sweep.parent.name))

    def run(numbers: Sequence[int], stop: Stop) -> Iterator[Ended]:
        try:
            with executor.batch():
                array = [
                    executor.submit(Job(str(sweep), number, options.cpus_per_task))
                    for number in numbers
                ]
        except submitit.core.utils.FailedJobError as error:
            raise UserError(f"hydra/launcher=submitit_slurm: {error}") from None
        running, told = dict(zip(numbers, array, strict=True)), False
        while running:
            if stop() and not told:
                told = True
                for job in running.values():
                    job.cancel(check=False)
            yield from _take_ended(running)
            time.sleep(_POLL)

    return run


def _sbatch(options: SubmititSlurmOptions, name: str) -> dict[str, Any]:
    """Parameters in submitit's words; what is null is left to the cluster."""
    given = {
        "job_name": name,
        "array_parallelism": options.array_parallelism,
        "cpus_per_task": options.cpus_per_task,
        "gpus_per_node": options.gpus_per_node or None,
        "mem": None if options.mem_gb is None else f"{round(1024 * options.mem_gb)}M",
        "time": options.timeout_min,
        "signal_delay_s": options.signal_delay_s,
        "partition": options.partition,
        "account": options.account,
        "qos": options.qos,
        "constraint": options.constraint,
        "exclude": options.exclude,
        "setup": list(options.setup) or None,
        "additional_parameters": options.additional_parameters or None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _take_ended(running: dict[int, Any]) -> Iterator[Ended]:
    """Remove submitit's jobs that are done; each with where submitit wrote what it had to say."""
    for number in [number for number, job in running.items() if job.done()]:
        job = running.pop(number)
        yield number, f"the process of the job died; its launcher wrote {job.paths.stderr}"


@contextlib.contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Processes started in the block do not notice Ctrl-C: it is for this process to tell them.

    A signal that is ignored stays so in a new process.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _ray(options: RayOptions, sweep: Path, jobs: int) -> Run:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = require("ray", "hydra/launcher=ray")
    init, remote = options.ray.init, options.ray.remote
    try:
        ray.init(
            address=init.address or "local",
            num_cpus=init.num_cpus,
            num_gpus=init.num_gpus,
            include_dashboard=None if init.address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(f"hydra.launcher.ray.init: Ray cannot start: {error}") from None
    available = ray.cluster_resources()
    for name, wanted in (("CPU", remote.num_cpus), ("GPU", remote.num_gpus)):
        if init.address is None and wanted > available.get(name, 0):
            ray.shutdown()
            raise UserError(
                f"hydra.launcher.ray.remote.num_{name.lower()}s: found {wanted:g}, but Ray has "
                f"{available.get(name, 0):g} on this machine. Allowed: at most that"
            )

    def run(numbers: Sequence[int], stop: Stop) -> Iterator[Ended]:
        # A job that failed would fail again, and one that was killed may go on from `last`.
        call = ray.remote(num_cpus=remote.num_cpus, num_gpus=remote.num_gpus, max_retries=0)(_call)
        pending, told = {}, False
        for number in numbers:
            pending[call.remote(Job(str(sweep), number, remote.num_cpus))] = number
        try:
            while pending:
                if stop() and not told:
                    told = True
                    for reference in pending:
                        ray.cancel(reference)
                ended, _ = ray.wait(list(pending), timeout=_POLL)
                for reference in ended:
                    yield pending.pop(reference), _complaint(ray, reference)
        finally:
            ray.shutdown()

    return run


def _call(job: Job) -> None:
    job()


def _complaint(ray: ModuleType, reference: Any) -> str:
    """What Ray says of a task; empty where it ended as it should."""
    try:
        ray.get(reference)
    except Exception as error:
        # Of Ray's own making, or whatever was raised there: in either case the first line tells.
        return f"Ray: {(str(error).strip() or type(error).__name__).splitlines()[0]}"
    return ""


_ENGINES: dict[type[Any], Callable[[Any, Path, int], Run]] = {
    JoblibOptions: _joblib,
    SubmititLocalOptions: _submitit_local,
    SubmititSlurmOptions: _submitit_slurm,
    RayOptions: _ray,
}
