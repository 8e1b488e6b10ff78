"""The part of CuPy that the GPU backend uses, on the CPU: `install(monkeypatch, folder)`.

Kernels are the very text that NVRTC would get, compiled by the C++ compiler (`cuda_host.hpp`); the
products of cuBLAS are NumPy reading memory column by column; a captured graph is a list of what was
launched. What CuPy or CUDA would refuse, or take wrongly without a word, raises here: an array
where the host's is meant, a number of another type than the kernel's, an operand that leaves its
memory or whose pool is gone, a copy while a graph is captured, a barrier that not all threads meet.
A kernel runs twice, threads and blocks in opposite order, and both results must be the same.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import itertools
import os
import re
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_cublas import Cublas
from fake_cuda_memory import (
    CAPTURED,
    LIVE,
    PENDING,
    DeviceArray,
    Pool,
    flush,
    not_while_capturing,
    submit,
)

from tagi_cli.backend.cuda import backend
from tagi_cli.backend.sources import kernel_names, without_host

_HEADER = Path(__file__).parent / "cuda_host.hpp"
_LETTERS = {"float32": "f", "float64": "d", "int32": "i", "uint8": "b"}
_state: dict[str, Any] = {}


@functools.cache
def library(code: str, folder: Path) -> Library:
    """One source, compiled for the CPU; the same for all tests."""
    return Library(code, folder)


class Library:
    """One source, compiled for the CPU; the folder keeps what is compiled."""

    def __init__(self, code: str, folder: Path) -> None:
        names = kernel_names(without_host(code))
        barriers = int("__syncthreads" in code)
        launchers = "\n".join(f"LAUNCHER({name}, {barriers})" for name in names)
        text = f"{_HEADER.read_text()}\n{code}\n{launchers}\n"
        key = hashlib.sha256(text.encode()).hexdigest()[:24]
        path = folder / f"{key}.so"
        if not path.exists():
            # Several processes may compile the same at once.
            scratch = path.with_name(f"{key}.{os.getpid()}")
            source = path.with_name(f"{scratch.name}.cpp")
            source.write_text(text)
            command = ["c++", "-std=c++17", "-O1", "-w", "-U_FORTIFY_SOURCE", "-fPIC", "-shared"]
            subprocess.run([*command, "-o", str(scratch), str(source)], check=True, timeout=110)
            source.unlink()
            os.replace(scratch, path)
        self.library = ctypes.CDLL(str(path))
        self.barriers = bool(barriers)
        self._code = code

    def restrict(self, kernel: str, count: int) -> list[bool]:
        """Which arguments of a kernel are `__restrict__`; where macros hide them, all."""
        text = re.search(
            rf"^KERNEL (?:BLOCK_OF\(.*?\) )?{kernel}\((.*?)\) {{", self._code, re.M | re.S
        )
        parts = text[1].split(",") if text else []
        return ["__restrict__" in part for part in parts] if len(parts) == count else [True] * count


class RawKernel:
    """A compiled kernel: `kernel(grid, block, arguments)`."""

    def __init__(self, library: Library, name: str) -> None:
        self._name, self._library = name, library
        self._launch = getattr(library.library, f"{name}_launch")
        self._letters, self._writes = (self._told(what) for what in ("letters", "writes"))
        self._restrict = library.restrict(name, len(self._letters))

    def _told(self, what: str) -> str:
        function = getattr(self._library.library, f"{self._name}_{what}")
        function.restype = ctypes.c_char_p
        return str(function().decode())

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], arguments: Any) -> None:
        grid, block = ((*map(int, sizes), 1, 1)[:3] for sizes in (grid, block))
        assert all(size > 0 for size in (*grid, *block)), f"{self._name}: {grid}, {block}"
        assert block[0] * block[1] * block[2] <= 1024
        assert max(grid[1:]) < 65536
        if self._library.barriers:
            assert block[0] * block[1] * block[2] % 32 == 0
        words = self._words(arguments)
        arrays = [a for a in arguments if isinstance(a, DeviceArray)]
        self._check_restrict(arguments)
        submit(lambda: self._run(grid, block, words, arrays))

    def _words(self, arguments: Any) -> list[Any]:
        """Arguments as they lie in memory, each checked against the kernel's signature."""
        name = self._name
        assert len(arguments) == len(self._letters), f"{name}: {self._letters}, {arguments}"
        words = []
        for position, (argument, letter) in enumerate(zip(arguments, self._letters, strict=True)):
            where = f"{name}, argument {position}: {type(argument)} for {letter}"
            if letter.isupper():
                if isinstance(argument, DeviceArray):
                    assert _LETTERS[argument.dtype.name].upper() == letter, where
                    assert argument.flags.c_contiguous, where
                    words.append(np.uint64(argument.data.ptr))
                else:
                    assert type(argument) is np.uint64, where
                    assert argument == 0, where
                    words.append(argument)
            else:
                assert isinstance(argument, np.generic), where
                assert _LETTERS[argument.dtype.name] == letter, where
                words.append(argument)
        return words

    def _check_restrict(self, arguments: Any) -> None:
        """What a kernel writes to may be reached by one argument only, if `__restrict__`."""
        spans = [
            (position, a.data.ptr, a.data.ptr + a.nbytes)
            for position, a in enumerate(arguments)
            if isinstance(a, DeviceArray) and a.nbytes
        ]
        for (i, a, b), (j, c, d) in itertools.combinations(spans, 2):
            written = "w" in (self._writes[i], self._writes[j])
            promised = self._restrict[i] or self._restrict[j]
            shared = written and promised and a < d and c < b
            assert not shared, f"{self._name}: arguments {i} and {j} overlap"

    def _run(
        self, grid: tuple[int, ...], block: tuple[int, ...], words: list[Any], arrays: list[Any]
    ) -> None:
        memory = [np.frombuffer(word.tobytes().ljust(8, b"\0"), np.uint8).copy() for word in words]
        pointers = (ctypes.c_void_p * len(memory))(*(m.ctypes.data for m in memory))
        sizes = ((ctypes.c_uint * 3)(*grid), (ctypes.c_uint * 3)(*block))
        written = [a for a in arrays if a.nbytes]
        before = [a.host.copy() for a in written]
        met = self._launch(*sizes, 0, pointers)
        first = [a.host.copy() for a in written]
        for array, old in zip(written, before, strict=True):
            array.host[...] = old
        met &= self._launch(*sizes, 1, pointers)
        for array, value in zip(written, first, strict=True):
            same = np.array_equal(array.host, value, equal_nan=value.dtype.kind == "f")
            assert same, f"{self._name}: the result depends on the order of threads"
        assert met, f"{self._name}: a barrier is not met by all threads"


class RawModule:
    """A source whose kernels are compiled on first use."""

    def __init__(self, *, code: str, options: tuple[str, ...]) -> None:
        assert isinstance(options, tuple)
        assert "#include" not in code
        self._library = library(code, _state["folder"])

    def get_function(self, name: str) -> RawKernel:
        return RawKernel(self._library, name)


def _fail(what: str) -> None:
    if _state.get("broken") == what:
        raise RuntimeError(f"cudaErrorNotSupported: {what}")


class Graph:
    """A captured graph."""

    def __init__(self, work: list[Callable[[], None]]) -> None:
        self.work = work

    def launch(self, stream: Any = None) -> None:
        _state["launched"] = _state.get("launched", 0) + 1
        flush()
        for work in self.work:
            work()


class Stream:
    """A stream, where what is submitted runs at once."""

    def __init__(self, non_blocking: bool = False) -> None:
        self._non_blocking = non_blocking
        self.ptr = id(self)

    def __enter__(self) -> Stream:
        _state["streams"].append(self)
        _state["stream"] = self.ptr
        return self

    def __exit__(self, *_: Any) -> None:
        _state["streams"].pop()
        _state["stream"] = _state["streams"][-1].ptr

    def begin_capture(self) -> None:
        assert self._non_blocking, "the default stream cannot be captured"
        _fail("begin_capture")
        CAPTURED.append([])

    def end_capture(self) -> Graph:
        work = CAPTURED.pop() if CAPTURED else []
        _fail("end_capture")
        return Graph(work)

    def synchronize(self) -> None:
        not_while_capturing("synchronize")


class Event:
    """An event, reached when the copies before it are made."""

    def __init__(self, disable_timing: bool = False) -> None:
        self._before: list[Any] = []

    def record(self) -> None:
        assert not CAPTURED
        self._before = list(PENDING)

    def synchronize(self) -> None:
        if any(copy in PENDING for copy in self._before):
            flush()


class Device:
    """A GPU."""

    def __init__(self, index: int) -> None:
        assert 0 <= index < _state["devices"]
        self.attributes = {"MultiProcessorCount": 4}

    def use(self) -> None:
        pass


class MemoryPool:
    """A pool that counts what it gave; when it is gone, so is the memory of arrays in use."""

    def __init__(self) -> None:
        self._used = self._free = 0

    def malloc(self, nbytes: int) -> Pool:
        self._free = max(0, self._free - nbytes)
        self._used += nbytes
        return Pool(self, nbytes)

    def give_back(self, nbytes: int) -> None:
        self._used -= nbytes
        self._free += nbytes

    def free_all_blocks(self) -> None:
        self._free = 0

    def used_bytes(self) -> int:
        return self._used

    def total_bytes(self) -> int:
        return self._used + self._free


@contextlib.contextmanager
def using_allocator(malloc: Callable[[int], Any]) -> Iterator[None]:
    _state["malloc"] = malloc
    try:
        yield
    finally:
        _state["malloc"] = None


def _allocated(array: np.ndarray[Any, Any]) -> DeviceArray:
    not_while_capturing("allocation")
    assert _state.get("malloc"), "memory outside the backend's pool"
    return DeviceArray(array, pool=_state["malloc"](array.nbytes))


def _alloc(nbytes: int) -> Any:
    """Memory that is no array's, at an address like the device's."""
    not_while_capturing("allocation")
    memory = np.zeros(nbytes + 512, np.uint8)
    start = -memory.ctypes.data % 512
    return DeviceArray(memory[start : start + nbytes])


def _empty(shape: Any, dtype: Any) -> DeviceArray:
    array = np.empty(shape, dtype)
    array.fill(np.nan if array.dtype.kind == "f" else np.array(-(2**30)).astype(dtype))
    return _allocated(array)


def _array(array: Any, dtype: Any = None, order: str = "C") -> DeviceArray:
    source = array.host if isinstance(array, DeviceArray) else array
    return _allocated(np.array(source, dtype=dtype, order=order))  # type: ignore[call-overload]


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, devices: int = 1) -> Any:
    """Make `import cupy` give this for the length of a test; compiled kernels go to `folder`."""
    for memory in (LIVE, _state, PENDING, CAPTURED):
        memory.clear()
    # What backends share for the life of a process would keep every stand-in there ever was.
    for shared in (backend._kernels, backend._cublas, backend._products):
        shared.cache_clear()
    _state.update(folder=folder, devices=devices, streams=[], stream=None)
    Stream().__enter__()
    cupy = types.ModuleType("cupy")
    cuda = types.ModuleType("cupy.cuda")
    runtime = types.ModuleType("cupy.cuda.runtime")
    vars(cupy).update(
        __version__="0",
        ndarray=DeviceArray,
        empty=_empty,
        zeros=lambda shape, dtype: _array(np.zeros(shape, dtype)),
        array=_array,
        isfinite=lambda a: DeviceArray(np.isfinite(a.host)),
        RawModule=RawModule,
        cuda=cuda,
        state=_state,
    )
    vars(cuda).update(
        is_available=lambda: devices > 0,
        Device=Device,
        Stream=Stream,
        Event=Event,
        MemoryPool=MemoryPool,
        using_allocator=using_allocator,
        alloc_pinned_memory=bytearray,
        get_current_stream=lambda: _state["streams"][-1],
        cublas=Cublas(folder, _state),
        alloc=_alloc,
        runtime=runtime,
        nvrtc=types.SimpleNamespace(getVersion=lambda: (13, 0)),
    )
    vars(runtime).update(
        getDeviceCount=lambda: devices,
        getDeviceProperties=lambda index: {"name": b"GPU of the tests"},
    )
    for name, module in (("cupy", cupy), ("cupy.cuda", cuda)):
        monkeypatch.setitem(sys.modules, name, module)
    return cupy
