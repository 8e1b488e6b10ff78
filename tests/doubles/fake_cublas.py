"""The part of cuBLAS that the GPU backend uses, on the CPU.

The functions that are called in the library itself stand in a shared library of their own, with the
signatures of cuBLAS; it hands them to Python, which reads memory column by column.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import traceback
import types
from pathlib import Path
from typing import Any

import numpy as np
from fake_cuda_memory import LIVE, submit

_SOURCE = """
typedef int (*gemm)(int type, void *handle, int at, int bt, int m, int n, int k, const void *alpha,
                     const void *A, int lda, long long a_step, const void *B, int ldb, long long b_step,
                     const void *beta, void *C, int ldc, long long c_step, int count);
typedef int (*address)(void *handle, void *address, unsigned long size);
static gemm product;
static address stream, workspace;

extern "C" void connect(gemm a, address b, address c) { product = a; stream = b; workspace = c; }
extern "C" int cublasSetStream_v2(void *handle, void *to) { return stream(handle, to, 0); }
extern "C" int cublasSetWorkspace_v2(void *handle, void *memory, unsigned long size) {
    return workspace(handle, memory, size);
}
#define GEMM(letter, type)                                                                          \\
    extern "C" int cublas##letter##gemm_v2(                                                         \\
        void *handle, int at, int bt, int m, int n, int k, const type *alpha, const type *A, int lda, \\
        const type *B, int ldb, const type *beta, type *C, int ldc) {                               \\
        return product(sizeof(type), handle, at, bt, m, n, k, alpha, A, lda, 0, B, ldb, 0, beta, C, ldc, 0, 1); \\
    }                                                                                               \\
    extern "C" int cublas##letter##gemmStridedBatched(                                              \\
        void *handle, int at, int bt, int m, int n, int k, const type *alpha, const type *A, int lda, \\
        long long a_step, const type *B, int ldb, long long b_step, const type *beta, type *C, int ldc, \\
        long long c_step, int count) {                                                              \\
        return product(sizeof(type), handle, at, bt, m, n, k, alpha, A, lda, a_step, B, ldb, b_step, beta, C, \\
                ldc, c_step, count);                                                                \\
    }
GEMM(S, float)
GEMM(D, double)
"""  # noqa: E501

_int, _long, _address = ctypes.c_int, ctypes.c_longlong, ctypes.c_void_p
_Gemm = ctypes.CFUNCTYPE(
    _int, _int, _address, *[_int] * 5, _address, *[_address, _int, _long] * 2, _address, _address,
    _int, _long, _int,
)  # fmt: skip
_Setting = ctypes.CFUNCTYPE(_int, _address, _address, ctypes.c_ulong)


def _library(folder: Path) -> Path:
    """The compiled library; the folder keeps it."""
    path = folder / "libcublas.so"
    if not path.exists():
        scratch = path.with_name(f"libcublas.{os.getpid()}")
        command = ["c++", "-x", "c++", "-O1", "-fPIC", "-shared", "-o", str(scratch), "-"]
        subprocess.run(command, input=_SOURCE.encode(), check=True, timeout=60)
        os.replace(scratch, path)
    return path


def _tf32(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Rounded to ten bits of mantissa."""
    return ((np.ascontiguousarray(x).view(np.uint32) + 0x1000) & 0xFFFFE000).view(np.float32)


def _matrix(address: int, rows: int, columns: int, stride: int, dtype: Any) -> Any:
    """A view of memory, column by column."""
    assert stride >= max(1, rows)
    size = ((columns - 1) * stride + rows) * np.dtype(dtype).itemsize
    inside = any(a <= address and address + size <= a + n for a, n in LIVE.items())
    assert inside, "a product leaves the memory of its operand"
    flat = np.frombuffer((ctypes.c_char * size).from_address(address), dtype)
    step = flat.itemsize
    shape, strides = (rows, columns), (step, step * stride)
    return np.lib.stride_tricks.as_strided(flat, shape, strides, writeable=True)


class Cublas(types.ModuleType):
    """`cupy.cuda.cublas`.

    Args:
        folder: keeps the library.
        state: of the fake; `stream` is the address of the current stream.

    Attributes:
        products: precision and mode of each.
    """

    def __init__(self, folder: Path, state: dict[str, Any]) -> None:
        super().__init__("cupy.cuda.cublas")
        self.__file__ = str(_library(folder))
        self._state = state
        self._math: dict[int, int] = {}
        self._stream: dict[int, int | None] = {}
        self._workspace: set[int] = set()
        self.products: list[tuple[str, int]] = []
        # What the library holds is not to be collected.
        self._callbacks = (
            _Gemm(self._gemm), _Setting(self._set_stream), _Setting(self._set_workspace)
        )  # fmt: skip
        ctypes.CDLL(self.__file__).connect(*self._callbacks)

    def create(self) -> int:
        self._math[len(self._math) + 1] = 0
        return len(self._math)

    def setMathMode(self, handle: int, mode: int) -> None:
        self._math[handle] = mode

    def _set_stream(self, handle: int, stream: int | None, _: int) -> int:
        self._stream[handle] = stream
        self._workspace.discard(handle)
        return 0

    def _set_workspace(self, handle: int, memory: int, size: int) -> int:
        inside = any(a <= memory and memory + size <= a + n for a, n in LIVE.items())
        if inside and memory % 256 == 0:
            self._workspace.add(handle)
            return 0
        return 7

    def _gemm(self, size: int, handle: int, *arguments: Any) -> int:
        try:
            self._product(np.float32 if size == 4 else np.float64, handle, *arguments)
        except Exception:
            # It cannot pass through the library; the status makes the caller fail.
            traceback.print_exc()
            return 14
        return 0

    def _product(self, dtype: Any, handle: int, *arguments: Any) -> None:
        (at, bt, m, n, k, alpha, A, lda, a_step, B, ldb, b_step, beta, C, ldc, c_step, count) = (
            arguments
        )
        assert min(m, n, k, count) > 0
        assert self._stream[handle] == self._state["stream"], "not on the current stream"
        assert handle in self._workspace, "cuBLAS would allocate"
        size = np.dtype(dtype).itemsize
        one, factor = (
            np.frombuffer((ctypes.c_char * size).from_address(p), dtype)[0] for p in (alpha, beta)
        )
        assert one == 1
        mode = self._math[handle]
        self.products.append((np.dtype(dtype).name, mode))

        def work() -> None:
            for i in range(count):
                a = _matrix(A + i * a_step * size, *((k, m) if at else (m, k)), lda, dtype)
                b = _matrix(B + i * b_step * size, *((n, k) if bt else (k, n)), ldb, dtype)
                c = _matrix(C + i * c_step * size, m, n, ldc, dtype)
                left, right = a.T if at else a, b.T if bt else b
                if mode:
                    assert dtype == np.float32
                    left, right = _tf32(left), _tf32(right)
                # With a factor 0, cuBLAS does not read C.
                c[...] = left @ right + (factor * c if factor else 0)

        submit(work)
