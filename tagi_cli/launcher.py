"""What mpiexec and its kin tell a process that they start, and whom they start it beside.

Standard library only: this runs before anything else does.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import sys
import time
from collections.abc import Mapping
from types import FrameType
from typing import NamedTuple

_NAMES = ("OMPI_COMM_WORLD", "PMI", "MV2_COMM_WORLD")
"""What Open MPI, MPICH (and its kin) and MVAPICH put in front of `_RANK` and `_SIZE`."""

_FORWARDED = (signal.SIGINT, signal.SIGTERM)

_MOMENT = 0.3

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl


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


def supervise(own: Place) -> None:
    """Go on in a child process; this one tells of its end, which nobody else may be able to.

    A process that is killed, as by the system where memory runs out, says nothing itself, and many
    launchers do not say which rank it was. Returns in the child. Signals are passed on to it; the
    launcher sees its exit code, or 128 and the number of the signal that killed it.
    """
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
        os.kill(child, number)

    for number in _FORWARDED:
        signal.signal(number, forward)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0:
        say_last(_killed(own, child, -code))
        code = 128 - code
    os._exit(code)


def say_last(line: str) -> None:
    """Say something before the job ends: launchers need a moment to pass it on."""
    print(f"tagi: {line}", file=sys.stderr, flush=True)
    time.sleep(_MOMENT)


def _killed(own: Place, process: int, number: int) -> str:
    """What is to be said of a rank that was killed."""
    why = ", as the system does where memory runs out" if number == signal.SIGKILL else ""
    return (
        f"rank {own.rank} of {own.size} (process {process} on {platform.node()}) was killed by "
        f"signal {number} ({signal.Signals(number).name}){why}. All ranks stop; "
        "trainer.resume=<run folder> goes on from its last checkpoint"
    )
