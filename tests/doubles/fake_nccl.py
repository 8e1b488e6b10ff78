"""NCCL with CuPy's signatures, summing over ranks that are threads: `fake_nccl(ranks, ...)`."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from thread_ranks import ThreadRanks

KINDS = {7: np.float32, 8: np.float64, 2: np.int32}


def memory(place: int, count: int, kind: int) -> np.ndarray[Any, Any]:
    dtype = np.dtype(KINDS[kind])
    raw = (ctypes.c_char * (count * dtype.itemsize)).from_address(place)
    return np.frombuffer(raw, dtype)


def fake_nccl(
    ranks: ThreadRanks, current: Callable[[], int], flush: Callable[[], None] = lambda: None
) -> Any:
    """The module `cupy.cuda.nccl` of one rank.

    Args:
        ranks: who meets.
        current: gives the address of the stream that calls have to name.
        flush: does what was submitted to that stream before.
    """

    class Started:
        def __init__(self, ndev: int, key: tuple[int, ...], rank: int) -> None:
            assert (ndev, rank) == (ranks.size, ranks.rank)
            assert set(ranks.exchange(key)) == {(1, 2, 3)}

        def allReduce(
            self, send: int, recv: int, count: int, kind: int, op: int, stream: int
        ) -> None:
            assert (op, stream) == (0, current())
            flush()
            total = sum(ranks.exchange(memory(send, count, kind).copy()))
            memory(recv, count, kind)[...] = total

        def allGather(self, send: int, recv: int, count: int, kind: int, stream: int) -> None:
            assert stream == current()
            flush()
            parts = ranks.exchange(memory(send, count, kind).copy())
            memory(recv, count * ranks.size, kind)[...] = np.concatenate(parts)

        def bcast(self, place: int, count: int, kind: int, root: int, stream: int) -> None:
            assert (root, stream) == (0, current())
            flush()
            memory(place, count, kind)[...] = ranks.exchange(memory(place, count, kind).copy())[0]

    def unique() -> tuple[int, ...]:
        assert ranks.leads
        return 1, 2, 3

    return SimpleNamespace(
        NCCL_FLOAT32=7, NCCL_FLOAT64=8, NCCL_INT32=2, NCCL_SUM=0,
        get_unique_id=unique, NcclCommunicator=Started,
    )  # fmt: skip
