"""Ranks that exchange arrays between GPUs by NCCL (CuPy), and all else by MPI."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from tagi_cli.distributed.communicator import Communicator

T = TypeVar("T")


class NcclCommunicator(Communicator):
    """One GPU per rank; collectives join the stream of the work before and after them.

    Arrays of NumPy go by MPI.

    NCCL starts with the first array: the GPU that is this rank's must be the current one by then.

    Args:
        host: the same ranks by MPI, by which NCCL starts and objects are exchanged.
        cupy: the module.
        nccl: the module `cupy.cuda.nccl`.
    """

    backend = "nccl"

    def __init__(self, host: Communicator, cupy: Any, nccl: Any) -> None:
        self._host = host
        self._cupy = cupy
        self._nccl = nccl
        self._started: Any = None
        self._types = {
            "float32": nccl.NCCL_FLOAT32,
            "float64": nccl.NCCL_FLOAT64,
            "int32": nccl.NCCL_INT32,
        }
        self.rank, self.size = host.rank, host.size
        self.local_rank, self.local_size = host.local_rank, host.local_size

    def _collective(self) -> tuple[Any, int]:
        """NCCL's communicator, and the stream that work goes to."""
        if self._started is None:
            key = self._host.share(self._nccl.get_unique_id() if self.leads else None)
            self._started = self._nccl.NcclCommunicator(self.size, key, self.rank)
        return self._started, self._cupy.cuda.get_current_stream().ptr

    def all_reduce(self, array: Any) -> None:
        """See `Communicator.all_reduce`."""
        if isinstance(array, np.ndarray):
            self._host.all_reduce(array)
            return
        started, stream = self._collective()
        place, kind = array.data.ptr, self._types[array.dtype.name]
        started.allReduce(place, place, array.size, kind, self._nccl.NCCL_SUM, stream)

    def all_gather(self, array: Any) -> None:
        """See `Communicator.all_gather`."""
        if isinstance(array, np.ndarray):
            self._host.all_gather(array)
            return
        started, stream = self._collective()
        kind, count = self._types[array.dtype.name], array.size // self.size
        own = array.data.ptr + self.rank * count * array.itemsize
        started.allGather(own, array.data.ptr, count, kind, stream)

    def broadcast(self, array: Any) -> None:
        """See `Communicator.broadcast`."""
        if isinstance(array, np.ndarray):
            self._host.broadcast(array)
            return
        started, stream = self._collective()
        started.bcast(array.data.ptr, array.size, self._types[array.dtype.name], 0, stream)

    def exchange(self, value: T) -> list[T]:
        """See `Communicator.exchange`."""
        return self._host.exchange(value)

    def share(self, value: T) -> T:
        """See `Communicator.share`."""
        return self._host.share(value)

    def meet_failed(self, message: str, seconds: float) -> list[str] | None:
        """See `Communicator.meet_failed`."""
        return self._host.meet_failed(message, seconds)

    def abort(self, code: int) -> None:
        """See `Communicator.abort`."""
        self._host.abort(code)

    def barrier(self) -> None:
        """See `Communicator.barrier`."""
        self._cupy.cuda.get_current_stream().synchronize()
        self._host.barrier()
