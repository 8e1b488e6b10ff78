"""NCCL's calls, against a stand-in that keeps to CuPy's signatures and sums over threads."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_nccl import fake_nccl
from thread_ranks import ThreadRanks, on_ranks

from tagi_cli.distributed.nccl import NcclCommunicator

STREAM = 77


class DeviceArray:
    """What a CuPy array shows of itself; its memory is the host's."""

    def __init__(self, values: Any) -> None:
        self.host = np.ascontiguousarray(values)
        self.data = SimpleNamespace(ptr=self.host.ctypes.data)
        self.dtype, self.size, self.itemsize = self.host.dtype, self.host.size, self.host.itemsize


class FakeStream:
    ptr = STREAM
    waits = 0

    def synchronize(self) -> None:
        self.waits += 1


def on_gpus(size: int, work: Any) -> list[Any]:
    def run(ranks: ThreadRanks) -> Any:
        stream = FakeStream()
        cupy = SimpleNamespace(cuda=SimpleNamespace(get_current_stream=lambda: stream))
        made = NcclCommunicator(ranks, cupy, fake_nccl(ranks, lambda: STREAM))
        result = work(made)
        made.barrier()
        assert stream.waits == 1
        return result

    return on_ranks(size, run)


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_arrays_of_the_gpu(size: int, dtype: Any) -> None:
    def work(ranks: NcclCommunicator) -> None:
        own = np.arange(6, dtype=dtype) + ranks.rank
        total, spread, first = (DeviceArray(own.copy()) for _ in range(3))
        ranks.all_reduce(total)
        np.testing.assert_array_equal(total.host, size * np.arange(6) + size * (size - 1) // 2)
        rows = np.zeros((size, 6), dtype)
        rows[ranks.rank] = own
        gathered = DeviceArray(rows)
        ranks.all_gather(gathered)
        np.testing.assert_array_equal(gathered.host, np.arange(6) + np.arange(size)[:, None])
        ranks.broadcast(first)
        np.testing.assert_array_equal(first.host, np.arange(6))
        assert spread.host is not own

    on_gpus(size, work)


def test_the_rest_goes_by_the_host() -> None:
    def work(ranks: NcclCommunicator) -> list[Any]:
        array = np.full(3, ranks.rank + 1.0)
        ranks.all_reduce(array)
        return [array.tolist(), ranks.exchange(ranks.rank), ranks.share(ranks.rank)]

    assert on_gpus(2, work) == [[[3.0] * 3, [0, 1], 0]] * 2
