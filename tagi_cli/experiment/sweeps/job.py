"""One job of a sweep as a process of its own, on whatever machine.

The folder of a sweep holds, for each job, `jobs/<number>.yaml` with its settings, `.log` with what
it says, and `.json` with what became of it. A job needs no more than these, so that it may start
long after it was submitted, and end without the one who did.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import tagi_cli
from tagi_cli import atomic, config
from tagi_cli.errors import UserError
from tagi_cli.experiment.folder import RunFolder, read_json
from tagi_cli.training.events import FAILED, INTERRUPTED

JOBS = "jobs"
"""Folder inside that of a sweep."""

RUNNING, ERROR, KILLED = "running", "error", "killed"
"""What may become of a job besides what becomes of a run."""

_POLL = 0.05
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


@dataclass(frozen=True)
class JobFiles:
    """Where a job's files lie."""

    sweep: Path
    number: int

    @property
    def config(self) -> Path:
        """Its settings."""
        return self._file("yaml")

    @property
    def log(self) -> Path:
        """What it says."""
        return self._file("log")

    @property
    def command(self) -> str:
        """The command line of the sweep, for the record of the run."""
        return str(read_json(self.sweep / JOBS / "sweep.json")["command"])

    def read(self) -> dict[str, Any]:
        """`status`, `run` (a folder's name) and `message`; empty before it began."""
        path = self._file("json")
        return read_json(path) if path.is_file() else {}

    def write(self, **facts: str) -> None:
        """Change what is recorded."""
        atomic.write_json(self._file("json"), self.read() | facts)

    def _file(self, suffix: str) -> Path:
        return self.sweep / JOBS / f"{self.number}.{suffix}"


class Process:
    """A job that runs. It ends when told so, or with the process that started it.

    Both reach it as the end of its standard input, which no terminal and no launcher interferes
    with; Ctrl-C in a terminal reaches the one who started it only.
    """

    def __init__(self, files: JobFiles, threads: int | None = None) -> None:
        self.files = files
        self._stopping = False
        with files.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(files.sweep), str(files.number)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(threads),
                start_new_session=True,
            )

    def stop(self) -> None:
        """Let it save and end."""
        if not self._stopping and self._process.stdin is not None:
            self._stopping = True
            self._process.stdin.close()

    def ended(self) -> bool:
        """Whether it is over; then its record says how."""
        code = self._process.poll()
        if code is None:
            return False
        self.stop()
        if self.files.read().get("status") in (None, RUNNING):
            self.files.write(status=KILLED, message=_cause(code, self.files.log))
        return True

    def wait(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Until it is over; it is stopped when `stop` says so, or an exception comes by."""
        try:
            while not self.ended():
                if stop():
                    self.stop()
                time.sleep(_POLL)
        except BaseException:
            self.stop()
            while not self.ended():
                time.sleep(_POLL)
            raise


@dataclass(frozen=True)
class Job:
    """A job as launchers want it: something to call, that can be sent to another machine.

    Attributes:
        sweep: folder of the sweep.
        number: of the job.
        threads: of its matrix products and kernels; None: as many as they like.
        relays: whether SIGTERM, sent to the process that calls this, is meant for the job.
    """

    sweep: str
    number: int
    threads: int | None = None
    relays: bool = False

    _running: ClassVar[list[Process]] = []

    def __call__(self) -> None:
        """Run it to its end; how it ended is in its record."""
        process = Process(JobFiles(Path(self.sweep), self.number), self.threads)
        self._running[:] = [process]
        if self.relays:
            signal.signal(signal.SIGTERM, lambda number, frame: process.stop())
        try:
            process.wait()
        except Exception as error:
            # The launcher gave up on it, e.g. because its time was out too often.
            process.files.write(message=str(error))
            raise

    def checkpoint(self) -> Any:
        """What Slurm shall start again, called as the job's time runs out.

        The job itself is told to save; it goes on from there when it is started anew.
        """
        from submitit.helpers import DelayedSubmission

        for process in self._running:
            process.stop()
            process.wait()
        return DelayedSubmission(self)


def write_jobs(sweep: Path, command: str, settings: Mapping[int, str]) -> None:
    """Write what jobs need.

    Args:
        sweep: its folder.
        command: its command line.
        settings: the text of `config.yaml` by number of job.

    Raises:
        UserError: a file cannot be written.
    """
    (sweep / JOBS).mkdir(exist_ok=True)
    atomic.write_json(sweep / JOBS / "sweep.json", {"command": command})
    for number, text in settings.items():
        atomic.write_text(JobFiles(sweep, number).config, text)


def run(files: JobFiles) -> None:
    """Train as the job says, in this process; its record tells how it went."""
    from tagi_cli.experiment import run as experiment
    from tagi_cli.experiment.settings import Settings, registries

    before = files.read().get("run")
    files.write(status=RUNNING)
    try:
        interrupted = None if before is None else RunFolder(files.sweep / before)
        if interrupted is not None and (interrupted.checkpoints / "last.safetensors").is_file():
            settings = config.load(Settings, registries(), interrupted.config)
            trainer = dataclasses.replace(settings.trainer, resume=str(interrupted.path))
            settings = dataclasses.replace(settings, trainer=trainer)
        else:
            settings = config.load(Settings, registries(), files.config)
        made = experiment.train(
            settings,
            files.command,
            files.sweep,
            announce=lambda folder: files.write(run=folder.name),
        )
        files.write(status=str(RunFolder(made).results()["status"]))
    except UserError as error:
        files.write(status=FAILED, message=str(error))
    except KeyboardInterrupt:
        files.write(status=INTERRUPTED)
    except MemoryError as error:
        files.write(status=FAILED, message=f"out of memory ({error})")
    except Exception as error:
        traceback.print_exc()
        files.write(status=ERROR, message=f"{type(error).__name__}: {error}")


def main() -> None:
    """`python -m tagi_cli.experiment.sweeps.job <sweep> <number>`."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    threading.Thread(target=_end_with_input, daemon=True).start()
    run(JobFiles(Path(sys.argv[1]), int(sys.argv[2])))


def _end_with_input() -> None:
    """Ask this process to end when its standard input does."""
    # Not by sys.stdin: a thread that waits for its lock would be fatal as the interpreter ends.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _environment(threads: int | None) -> dict[str, str]:
    package = str(Path(tagi_cli.__file__).parents[1])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    if threads is not None:
        # Read by the libraries as they are loaded, so that no pool is ever larger.
        environment |= dict.fromkeys(_THREADS, str(threads))
    return environment


def _cause(code: int, log: Path) -> str:
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = "; was there too little memory?" if -code == signal.SIGKILL else ""
        return f"killed by {name}{hint}"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"ended with code {code}{f': {lines[-1]}' if lines else ''}"


if __name__ == "__main__":
    main()
