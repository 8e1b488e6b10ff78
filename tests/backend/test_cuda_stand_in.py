"""That the stand-in for CuPy refuses what a card would take wrongly without a word."""

from __future__ import annotations

from typing import Any

import fake_cupy
import numpy as np
import pytest
from kernel_harness import needs_compiler

pytestmark = needs_compiler

SOURCE = """
#define KERNEL extern "C" __global__ void

KERNEL forgetful(float *out) {
    __shared__ float tile[32];
    if (blockIdx.x == 0) tile[threadIdx.x] = 3;
    __syncthreads();
    out[blockIdx.x * 32 + threadIdx.x] = tile[threadIdx.x];
}

KERNEL hasty(float *out) {
    __shared__ float tile[32];
    tile[threadIdx.x] = threadIdx.x;
    out[threadIdx.x] = tile[31 - threadIdx.x];
    __syncthreads();
}

KERNEL chained(float *out) {
    int i = blockIdx.x;
    out[i] = i > 0 ? out[i - 1] + 1 : 0;
}

KERNEL absent(float *out) {
    if (threadIdx.x < 16) __syncthreads();
}

KERNEL twice(float *__restrict__ out, const float *__restrict__ in) {
    out[threadIdx.x] = 2 * in[threadIdx.x];
}
"""


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> Any:
    return fake_cupy.install(monkeypatch, pytestconfig.cache.mkdir("cuda_on_the_cpu"))


def run(cupy: Any, name: str, blocks: int, *arrays: Any) -> None:
    module = cupy.RawModule(code=SOURCE, options=())
    module.get_function(name)((blocks,), (32,), arrays)


def zeros(cupy: Any, pool: Any, size: int) -> Any:
    with cupy.cuda.using_allocator(pool.malloc):
        return cupy.zeros((size,), np.float32)


def test_shared_memory_is_unknown_at_the_start_of_a_block(cupy: Any) -> None:
    pool = cupy.cuda.MemoryPool()
    out = zeros(cupy, pool, 64)
    run(cupy, "forgetful", 2, out)
    assert np.isnan(out.get()[32:]).all()


@pytest.mark.parametrize("name", ["hasty", "chained"])
def test_threads_and_blocks_that_wait_for_each_other_are_found(cupy: Any, name: str) -> None:
    pool = cupy.cuda.MemoryPool()
    with pytest.raises(AssertionError, match=f"{name}: the result depends on the order"):
        run(cupy, name, 4, zeros(cupy, pool, 64))


def test_a_barrier_that_some_threads_miss_is_found(cupy: Any) -> None:
    pool = cupy.cuda.MemoryPool()
    with pytest.raises(AssertionError, match="absent: a barrier is not met by all threads"):
        run(cupy, "absent", 1, zeros(cupy, pool, 32))


def test_memory_that_is_read_and_written_by_two_arguments_is_found(cupy: Any) -> None:
    pool = cupy.cuda.MemoryPool()
    array = zeros(cupy, pool, 48)
    with pytest.raises(AssertionError, match="twice: arguments 0 and 1 overlap"):
        run(cupy, "twice", 1, array[:32], array[16:])


def test_memory_goes_with_its_pool(cupy: Any) -> None:
    array = zeros(cupy, cupy.cuda.MemoryPool(), 32)
    with pytest.raises(AssertionError, match="its pool is gone"):
        array.get()


def test_nothing_is_allocated_or_copied_while_a_graph_is_captured(cupy: Any) -> None:
    pool = cupy.cuda.MemoryPool()
    array = zeros(cupy, pool, 4)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        for forbidden in (lambda: zeros(cupy, pool, 4), array.get, stream.synchronize):
            with pytest.raises(RuntimeError, match="cudaErrorStreamCaptureUnsupported"):
                forbidden()
        stream.end_capture()
