"""Ranks that exchange by MPI (mpi4py)."""

from __future__ import annotations

import time
from typing import Any, TypeVar

import numpy as np

from tagi_cli.distributed.communicator import Communicator
from tagi_cli.distributed.watch import Watch

T = TypeVar("T")


class MpiCommunicator(Communicator):
    """All processes that mpiexec started. Arrays on a GPU pass through the host.

    Args:
        mpi: the module `mpi4py.MPI`.

    Attributes:
        watch: ends the job where the others do not come.
    """

    backend = "mpi"

    def __init__(self, mpi: Any) -> None:
        self._mpi = mpi
        self._world = mpi.COMM_WORLD.Dup()
        # A failed rank meets the others here, whatever these are waiting for.
        self._failures = mpi.COMM_WORLD.Dup()
        here = self._world.Split_type(mpi.COMM_TYPE_SHARED)
        self.rank, self.size = self._world.Get_rank(), self._world.Get_size()
        self.local_rank, self.local_size = here.Get_rank(), here.Get_size()
        self.watch = Watch(None, self._overdue)

    def all_reduce(self, array: Any) -> None:
        """See `Communicator.all_reduce`."""
        with self.watch:
            host = _on_host(array)
            self._world.Allreduce(self._mpi.IN_PLACE, host)
            _back(array, host)

    def all_gather(self, array: Any) -> None:
        """See `Communicator.all_gather`."""
        with self.watch:
            host = _on_host(array)
            self._world.Allgather(self._mpi.IN_PLACE, host)
            _back(array, host)

    def broadcast(self, array: Any) -> None:
        """See `Communicator.broadcast`."""
        with self.watch:
            host = _on_host(array)
            self._world.Bcast(host)
            _back(array, host)

    def exchange(self, value: T) -> list[T]:
        """See `Communicator.exchange`."""
        with self.watch:
            return self._world.allgather(value)  # type: ignore[no-any-return]

    def share(self, value: T) -> T:
        """See `Communicator.share`."""
        with self.watch:
            return self._world.bcast(value)  # type: ignore[no-any-return]

    def barrier(self) -> None:
        """See `Communicator.barrier`."""
        with self.watch:
            self._world.Barrier()

    def meet_failed(self, message: str, seconds: float) -> list[str] | None:
        """See `Communicator.meet_failed`."""
        request = self._failures.Ibarrier()
        end = time.monotonic() + seconds
        while not request.Test():
            if time.monotonic() > end:
                return None
            time.sleep(0.01)
        return self._failures.allgather(message)  # type: ignore[no-any-return]

    def abort(self, code: int) -> None:
        """See `Communicator.abort`; does not return."""
        self._world.Abort(code)

    def _overdue(self, seconds: float) -> str:
        """Why the job ends where the others do not come."""
        return (
            f"rank {self.rank} of {self.size}: has waited {seconds:.0f} s for the other ranks; one "
            "of them has stopped or is far slower. distributed.timeout sets how long to wait"
        )


def _on_host(array: Any) -> np.ndarray[Any, Any]:
    return array if isinstance(array, np.ndarray) else array.get()


def _back(array: Any, host: np.ndarray[Any, Any]) -> None:
    if host is not array:
        array.set(host)
