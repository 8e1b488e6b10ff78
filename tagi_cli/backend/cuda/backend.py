"""The GPU backend: arrays on an NVIDIA GPU, kernels compiled by NVRTC, products from cuBLAS.

All work goes to CuPy's current stream, in order, so that arrays can be used with CuPy freely.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from tagi_cli.backend.base import Array, Backend, Call, Segment, countable
from tagi_cli.backend.cuda.conv import ConvDriver
from tagi_cli.backend.cuda.cublas import Cublas
from tagi_cli.backend.cuda.kernels import Kernels, Launch
from tagi_cli.backend.cuda.linear import LinearDriver
from tagi_cli.backend.cuda.lstm import LstmDriver
from tagi_cli.backend.cuda.memory import pool_of
from tagi_cli.backend.cuda.products import Products
from tagi_cli.backend.cuda.step import StepDriver, with_fused_steps
from tagi_cli.backend.cuda.transfer import Staging
from tagi_cli.backend.notes import say_once


@cache
def _kernels(cupy: Any, index: int, dtype: np.dtype[Any]) -> Kernels:
    """The functions of a device, shared by all backends on it: each is compiled once."""
    processors = int(cupy.cuda.Device(index).attributes["MultiProcessorCount"])
    return Kernels(cupy, dtype, processors)


@cache
def _cublas(cupy: Any, index: int, dtype: np.dtype[Any]) -> Cublas:
    return Cublas(cupy, dtype)


@cache
def _products(cupy: Any, index: int, dtype: np.dtype[Any], tf32: bool) -> Products:
    return Products(_cublas(cupy, index, dtype), _kernels(cupy, index, dtype), dtype, tf32)


class CudaSegment(Segment):
    """Calls as launches: run one by one the first time, then replayed as one CUDA graph.

    The first run is a run like others; it makes the driver load modules and cuBLAS take its
    workspace, which is not possible while a graph is captured. A segment of one launch stays as it
    is: a graph would start no faster.
    """

    def __init__(self, cupy: Any, launches: list[Launch], keep: Any) -> None:
        self._cupy = cupy
        self._launches = launches
        self._keep = keep  # what the launches point at
        self._graph: Any = None
        self._fresh = True
        self._capture_wanted = len(launches) > 1

    def run(self, times: int = 1) -> None:
        """Run all calls in order, `times` times over; wait for the end of more than one."""
        for _ in range(times):
            self.once()
        if times > 1:
            # Callers that ask for many runs pace themselves by the time that these take.
            self._cupy.cuda.get_current_stream().synchronize()

    def once(self) -> None:
        """Run all calls in order, once."""
        if self._graph is None and self._capture_wanted and not self._fresh:
            self._capture()
        if self._graph is not None:
            self._graph.launch()
            return
        self._fresh = False
        for launch in self._launches:
            launch()

    def _capture(self) -> None:
        """Record the launches as a graph, without running them."""
        self._capture_wanted = False
        stream = self._cupy.cuda.Stream(non_blocking=True)
        try:
            with stream:
                stream.begin_capture()
                try:
                    for launch in self._launches:
                        launch()
                finally:
                    graph = stream.end_capture()
            self._graph = graph
        except Exception as error:  # whatever the driver or cuBLAS refuses: it runs without
            # Where a launch was refused, so is the end of the capture.
            say_once(f"no CUDA graph, launches are slower: {error.__context__ or error}")


class CudaBackend(Backend):
    """CuPy arrays in a memory pool of their own, on one GPU.

    Args:
        precision: `float32`, `float64`, or `tf32`: float32, where products that only variances
            depend on may round their factors to ten bits on the tensor cores.
        index: which GPU; it becomes the current one of this thread.

    Attributes:
        products: its matrix products.

    Raises:
        ImportError: CuPy, or a CUDA library, is missing.
        RuntimeError: the GPU cannot be used.
    """

    name = "cuda"

    def __init__(self, precision: str = "float32", index: int = 0) -> None:
        super().__init__("float32" if precision == "tf32" else precision)
        import cupy

        cupy.cuda.nvrtc.getVersion()  # raises where the compiler's library is missing
        self._cupy = cupy
        self._precision = precision
        cupy.cuda.Device(index).use()
        self._index = index
        self._pool = pool_of(self, cupy)
        self._staging = Staging(cupy)
        self._arena: Array | None = None
        self._used: list[Array] = []
        self._resident: dict[int, tuple[weakref.ref[Any], Array]] = {}
        self._kernels = _kernels(cupy, index, self.dtype)
        self.products = _products(cupy, index, self.dtype, precision == "tf32")
        linear = LinearDriver(self._kernels, self.products)
        conv = ConvDriver(self._kernels, self.products, self._workspace)
        lstm = LstmDriver(self._kernels, self.products)
        self._drivers: dict[str, Callable[..., list[Launch]]] = {
            **linear.drivers,
            **conv.drivers,
            **lstm.drivers,
            **StepDriver(self._kernels).drivers,
            "embedding_innovation": self._embedding_innovation,
        }

    @property
    def xp(self) -> Any:
        """CuPy."""
        return self._cupy

    @property
    def memory(self) -> int:
        """Bytes of GPU memory that this backend holds."""
        return int(self._pool.total_bytes())

    def empty(self, shape: Sequence[int], dtype: Any = None) -> Array:
        """An uninitialised array on the device, of the backend's precision by default."""
        with self._cupy.cuda.using_allocator(self._pool.malloc):
            return super().empty(shape, dtype)

    def zeros(self, shape: Sequence[int], dtype: Any = None) -> Array:
        """A zeroed array on the device, of the backend's precision by default."""
        with self._cupy.cuda.using_allocator(self._pool.malloc):
            return super().zeros(shape, dtype)

    def asarray(self, array: Any, dtype: Any = None) -> Array:
        """A contiguous copy of host data on the device, of the backend's precision by default."""
        with self._cupy.cuda.using_allocator(self._pool.malloc):
            return super().asarray(array, dtype)

    def resident(self, array: Any) -> Array:
        """Host data on the device, only to be read; copied once for as long as the host's live."""
        known = self._resident.get(id(array))
        if known is not None and known[0]() is array:
            return known[1]
        copy = self.asarray(array)
        if isinstance(array, np.ndarray):
            key, resident = id(array), self._resident
            resident[key] = (weakref.ref(array, lambda _: resident.pop(key, None)), copy)
        return copy

    def to_host(self, array: Array) -> np.ndarray[Any, Any]:
        """A copy of a device array as a NumPy array, once all work before it is done."""
        if isinstance(array, np.ndarray):
            return array.copy()
        return array.get()

    def write(self, array: Array, data: Any) -> None:
        """Copy host data of the right size into a device array; does not wait for the GPU."""
        if isinstance(data, self._cupy.ndarray):
            array[...] = data.reshape(array.shape)
        else:
            self._staging.send(array, data)

    def wait(self) -> None:
        """Return once the GPU has done all that it was asked to."""
        self._cupy.cuda.get_current_stream().synchronize()

    def bind(self, calls: Sequence[Call]) -> CudaSegment:
        """Make a segment of calls."""
        launches: list[Launch] = []
        self._used = []
        calls = with_fused_steps(calls, self)
        for kernel, arguments, _ in calls:
            driver = self._drivers.get(kernel)
            if driver is None:
                launches.append(self._kernels.launch(kernel, *arguments))
            else:
                launches += driver(*arguments)
        return CudaSegment(self._cupy, launches, (self, calls, self._used))

    def describe(self) -> str:
        """One line for people."""
        properties = self._cupy.cuda.runtime.getDeviceProperties(self._index)
        name = properties["name"].decode()
        version = self._cupy.__version__
        return f"CUDA kernels on {name} (cuda:{self._index}), CuPy {version}, {self._precision}"

    def _workspace(self, size: int) -> Array:
        """Memory that drivers use between launches; calls run one after the other and share it."""
        if self._arena is None or self._arena.size < size:
            self._arena = self.empty((countable(size, "working memory of a layer"),))
        self._used.append(self._arena)
        return self._arena

    def _embedding_innovation(self, *call: Any) -> list[Launch]:
        """Launches of `embedding_innovation`: many threads clear the table, few add to it."""
        *arguments, accumulate = call
        G, L = arguments[:2]
        zero = self.dtype.type(0)
        clear = (
            [] if accumulate else [self._kernels.launch("fill", a, zero, a.size) for a in (G, L)]
        )
        D = int(arguments[-1])
        adding = self._kernels.launch_over(D, "embedding_innovation", *arguments, 1)
        return [*clear, adding]
