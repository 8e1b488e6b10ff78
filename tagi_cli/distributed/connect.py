"""How a process finds the others of its job."""

from __future__ import annotations

from functools import cache

from tagi_cli.distributed.communicator import ALONE, Communicator
from tagi_cli.distributed.mpi import MpiCommunicator
from tagi_cli.distributed.nccl import NcclCommunicator
from tagi_cli.errors import UserError, nearest
from tagi_cli.launcher import place

BACKENDS = ("auto", "none", "mpi", "nccl")

TIMEOUT = 600.0
"""Seconds to wait for other ranks, unless told otherwise."""


def connect(
    backend: str, timeout: float | None = TIMEOUT, where: str = "distributed.backend"
) -> Communicator:
    """The ranks of this job.

    Args:
        backend: `none`: this process alone; `mpi`; `nccl`; `auto`: alone unless a launcher started
            several ranks, then NCCL where CuPy and NCCL are installed and there is a GPU for each
            rank of this machine, else MPI.
        timeout: seconds that a rank waits for the others before it ends the job; None: for ever.
        where: what the choice is called in messages.

    Raises:
        UserError: the word is not known, what it needs is not installed, or a launcher has started
            several ranks which are to be alone.
    """
    if backend not in BACKENDS:
        raise UserError(
            f"{where}: found '{backend}'. Allowed: {', '.join(BACKENDS)}."
            f"{nearest(backend, BACKENDS)}"
        )
    count = place().size
    if backend == "none" and count > 1:
        raise UserError(
            f"{where}: found 'none', but a launcher has started {count} ranks, each of which would "
            "do all of the work. Allowed here: auto, mpi, nccl"
        )
    if backend == "none" or (backend == "auto" and count == 1):
        return ALONE
    host = _mpi(f"{where}: found '{backend}', but ")
    host.watch.timeout = timeout
    if host.size != count and count > 1:
        raise UserError(
            f"{where}: the launcher has started {count} ranks, but mpi4py sees {host.size}: it "
            "belongs to another MPI. Use the mpiexec that is installed beside mpi4py"
        )
    missing = "" if backend == "mpi" else _without_nccl(host)
    if backend == "nccl" and missing:
        raise UserError(
            f"{where}: found 'nccl', but {missing}. Allowed here: mpi, which works on CPUs and GPUs"
        )
    if backend == "mpi" or missing:
        return host if host.size > 1 else ALONE
    return _nccl(host)


def _mpi(lead: str) -> MpiCommunicator:
    try:
        return _world()
    except (ImportError, RuntimeError) as error:
        why = "is not installed" if isinstance(error, ModuleNotFoundError) else f"fails: {error}"
        raise UserError(
            f"{lead}mpi4py {why}. Install tagi-cli[mpi]. Allowed without it: none"
        ) from None


@cache
def _world() -> MpiCommunicator:
    """One for the whole process: MPI starts once."""
    from mpi4py import MPI

    return MpiCommunicator(MPI)


def _without_nccl(host: Communicator) -> str:
    """Why ranks cannot use NCCL, the same on all of them; empty where they can."""
    reasons = [reason for reason in host.exchange(_without_gpu(host)) if reason]
    return reasons[0] if reasons else ""


def _without_gpu(host: Communicator) -> str:
    try:
        from cupy.cuda import is_available, nccl, runtime
    except ModuleNotFoundError:
        return "CuPy is not installed (tagi-cli[cuda12] or tagi-cli[cuda13])"
    except ImportError as error:
        return f"CuPy does not load ({error})"
    if not getattr(nccl, "available", False):
        return "CuPy finds no NCCL library (tagi-cli[nccl])"
    if not is_available():
        return "no NVIDIA GPU is visible"
    if host.local_size > runtime.getDeviceCount():
        return (
            f"there are {host.local_size} ranks on a machine with {runtime.getDeviceCount()} "
            "visible GPUs, and NCCL wants one for each rank"
        )
    return ""


@cache
def _nccl(host: MpiCommunicator) -> Communicator:
    import cupy
    from cupy.cuda import nccl

    return NcclCommunicator(host, cupy, nccl)
