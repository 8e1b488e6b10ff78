"""What mpiexec and its kin tell a process that they start, and whom they start it beside.

Standard library only: this runs before anything else does.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NamedTuple

_NAMES = ("OMPI_COMM_WORLD", "PMI", "MV2_COMM_WORLD")
"""What Open MPI, MPICH (and its kin) and MVAPICH put in front of `_RANK` and `_SIZE`."""

_FORWARDED = (signal.SIGINT, signal.SIGTERM)

_MOMENT = 0.3

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl

Record = Callable[[Path, str], None]
"""Writes into a run folder why the run failed."""


class _Results:
    """Where the results of this job go; known to a supervised process and to its supervisor."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)

    @property
    def folder(self) -> Path | None:
        """The run folder; None before there is one."""
        path = self._shared[:].rstrip(b"\0")
        return Path(os.fsdecode(path)) if path else None

    @folder.setter
    def folder(self, value: Path) -> None:
        path = os.fsencode(value)
        if len(path) <= len(self._shared):
            self._shared[:] = path.ljust(len(self._shared), b"\0")


_results: _Results | None = None


class Place(NamedTuple):
    """Number of a process among those that were started together, and how many these are."""

    rank: int
    size: int


def place(environment: Mapping[str, str] | None = None) -> Place:
    """What the launcher says; rank 0 of 1 without one."""
    found = os.environ if environment is None else environment
    for name in _NAMES:
        rank, size = (found.get(f"{name}_{part}", "") for part in ("RANK", "SIZE"))
        if rank.isdecimal() and size.isdecimal():
            return Place(int(rank), int(size))
    return Place(0, 1)


def supervise(own: Place, record: Record) -> None:
    """Go on in a child process; this one tells of its end, which nobody else may be able to.

    A process that is killed, as by the system where memory runs out, says nothing itself, and many
    launchers do not say which rank it was. Returns in the child. Signals are passed on to it; the
    launcher sees its exit code, or 128 and the number of the signal that killed it.

    Args:
        own: this rank.
        record: called, in either process, where this rank fails alone and there is a run folder.
    """
    global _results
    _results = _Results(record)
    sys.stdout.flush()
    sys.stderr.flush()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
    parent, child = os.getpid(), os.fork()
    if child == 0:
        # A signal to the group would reach it twice.
        os.setpgid(0, 0)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return

    def forward(number: int, frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.kill(child, number)

    for number in _FORWARDED:
        signal.signal(number, forward)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0:
        say_last(_killed(own, child, -code))
        code = 128 - code
    os._exit(code)


def results_go_to(folder: Path) -> None:
    """Tell whoever has to record a failure which run folder this job has."""
    if _results is not None:
        _results.folder = folder


def say_last(line: str, *, record: bool = True) -> None:
    """Say why the job ends, here and, where it has one, in the run folder."""
    print(f"tagi: {line}", file=sys.stderr, flush=True)
    if record and _results is not None and _results.folder is not None:
        _results.record(_results.folder, line)
    time.sleep(_MOMENT)  # launchers need a moment to pass it on


def _killed(own: Place, process: int, number: int) -> str:
    """What is to be said of a rank that was killed."""
    why = ", as the system does where memory runs out" if number == signal.SIGKILL else ""
    return (
        f"rank {own.rank} of {own.size} (process {process} on {platform.node()}) was killed by "
        f"signal {number} ({signal.Signals(number).name}){why}. All ranks stop; "
        "trainer.resume=<run folder> goes on from its last checkpoint"
    )
