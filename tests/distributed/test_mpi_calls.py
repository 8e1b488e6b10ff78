"""MPI's calls, against a stand-in that keeps to mpi4py's signatures and exchanges by threads."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from thread_ranks import ThreadRanks, on_ranks

from tagi_cli.distributed.mpi import MpiCommunicator

IN_PLACE = object()


class Request:
    """A barrier that has been passed, or never will be."""

    def __init__(self, done: bool) -> None:
        self.Test = lambda: done


class World:
    """As much of `mpi4py.MPI.Intracomm` as there is need of."""

    def __init__(self, ranks: ThreadRanks, failed: bool) -> None:
        self._ranks = ranks
        self._failed = failed
        self.aborted: int | None = None

    def Dup(self) -> World:
        return World(self._ranks, self._failed)

    def Split_type(self, kind: int) -> World:
        assert kind == 1
        return self

    def Get_rank(self) -> int:
        return self._ranks.rank

    def Get_size(self) -> int:
        return self._ranks.size

    def Allreduce(self, send: object, recv: np.ndarray[Any, Any]) -> None:
        assert send is IN_PLACE
        self._ranks.all_reduce(recv)

    def Allgather(self, send: object, recv: np.ndarray[Any, Any]) -> None:
        assert send is IN_PLACE
        self._ranks.all_gather(recv)

    def Bcast(self, array: np.ndarray[Any, Any]) -> None:
        self._ranks.broadcast(array)

    def Barrier(self) -> None:
        self._ranks.barrier()

    def allgather(self, value: Any) -> list[Any]:
        return self._ranks.exchange(value)

    def bcast(self, value: Any) -> Any:
        return self._ranks.share(value)

    def Ibarrier(self) -> Request:
        return Request(self._failed)


def connected(ranks: ThreadRanks, failed: bool = False) -> MpiCommunicator:
    world = World(ranks, failed)
    return MpiCommunicator(SimpleNamespace(COMM_WORLD=world, COMM_TYPE_SHARED=1, IN_PLACE=IN_PLACE))


class DeviceArray:
    """What a CuPy array shows of itself, which MPI cannot read."""

    def __init__(self, values: Any) -> None:
        self.values = np.array(values)

    def get(self) -> np.ndarray[Any, Any]:
        return self.values.copy()

    def set(self, values: np.ndarray[Any, Any]) -> None:
        self.values[...] = values


@pytest.mark.parametrize("device", [False, True])
@pytest.mark.parametrize("size", [1, 3])
def test_arrays_of_host_and_gpu(size: int, device: bool) -> None:
    def work(ranks: ThreadRanks) -> None:
        found = connected(ranks)
        own = np.arange(6.0) + ranks.rank

        def through(call: Any, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            array = DeviceArray(values) if device else values.copy()
            call(array)
            return array.values if isinstance(array, DeviceArray) else array

        np.testing.assert_array_equal(
            through(found.all_reduce, own), size * np.arange(6) + size * (size - 1) // 2
        )
        rows = np.zeros((size, 6))
        rows[ranks.rank] = own
        np.testing.assert_array_equal(
            through(found.all_gather, rows), np.arange(6) + np.arange(size)[:, None]
        )
        np.testing.assert_array_equal(through(found.broadcast, own), np.arange(6))

    on_ranks(size, work)


def test_objects() -> None:
    def work(ranks: ThreadRanks) -> list[Any]:
        found = connected(ranks)
        found.barrier()
        own = ranks.rank == 1
        return [found.exchange(ranks.rank), found.share(ranks.rank), found.any(own), found.leads]

    assert on_ranks(2, work) == [[[0, 1], 0, True, True], [[0, 1], 0, True, False]]


def test_failed_ranks_meet_or_do_not() -> None:
    def work(ranks: ThreadRanks) -> list[Any]:
        message = f"wrong {ranks.rank}"
        met = connected(ranks, failed=True).meet_failed(message, 0.05)
        return [met, connected(ranks).meet_failed(message, 0.05)]

    assert on_ranks(2, work) == [[["wrong 0", "wrong 1"], None]] * 2
