"""The functions of cuBLAS that products need, called in the library itself.

CuPy's own functions refuse to be captured in a graph (`NotImplementedError: calling cuBLAS API
during stream capture is currently unsupported`), which cuBLAS allows.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

DEFAULT_MATH, TF32_MATH = 0, 3
"""`cublasMath_t`: plain arithmetic, and tf32 on the tensor cores."""

WORKSPACE = 1 << 25
"""Bytes that products may use between them: what cuBLAS recommends on the largest GPUs. Without
memory of ours it would allocate within graphs."""

_int, _long, _address = ctypes.c_int, ctypes.c_longlong, ctypes.c_void_p
_SIZES = (_address, *[_int] * 5, _address)  # handle, transpositions, sizes, factor
_PLAIN = (*_SIZES, *[_address, _int] * 2, _address, _address, _int)
_BATCHED = (*_SIZES, *[_address, _int, _long] * 2, _address, _address, _int, _long, _int)


class Cublas:
    """cuBLAS on the current device, with a handle and a workspace of its own.

    Work goes to CuPy's current stream. What different streams do at the same time would share the
    workspace, so only one may be in use at a time.

    Args:
        cupy: the module.
        dtype: precision of the matrices.

    Raises:
        ImportError: CuPy finds no cuBLAS, or is not linked with it.
    """

    def __init__(self, cupy: Any, dtype: np.dtype[Any]) -> None:
        self._module = cupy.cuda.cublas
        self._current_stream = cupy.cuda.get_current_stream
        # Symbols are looked up in the libraries that CuPy's module is linked with, too.
        library = ctypes.CDLL(self._module.__file__)
        letter = "D" if dtype == np.float64 else "S"
        try:
            self._plain = getattr(library, f"cublas{letter}gemm_v2")
            self._batched = getattr(library, f"cublas{letter}gemmStridedBatched")
            self._set_stream = library.cublasSetStream_v2
            self._set_workspace = library.cublasSetWorkspace_v2
        except AttributeError as error:
            version = cupy.__version__
            raise ImportError(f"CuPy {version} is not linked with cuBLAS: {error}") from None
        self._plain.argtypes, self._batched.argtypes = _PLAIN, _BATCHED
        self._set_stream.argtypes = (_address, _address)
        self._set_workspace.argtypes = (_address, _address, ctypes.c_size_t)
        self._handle = self._module.create()
        self._memory = cupy.cuda.alloc(WORKSPACE)

    def gemm(self, math: int, *arguments: int) -> None:
        """Put `cublas<t>gemm` on the current stream: its arguments behind the handle.

        Args:
            math: `DEFAULT_MATH` or `TF32_MATH`.
            arguments: sizes, factors by their addresses on the host, matrices by theirs.
        """
        self._run(self._plain, math, arguments)

    def gemm_batched(self, math: int, *arguments: int) -> None:
        """The same with `cublas<t>gemmStridedBatched`."""
        self._run(self._batched, math, arguments)

    def _run(self, function: Any, math: int, arguments: tuple[int, ...]) -> None:
        # Each change of the stream takes the workspace away.
        _check(self._set_stream(self._handle, self._current_stream().ptr))
        _check(self._set_workspace(self._handle, self._memory.ptr, WORKSPACE))
        self._module.setMathMode(self._handle, math)
        _check(function(self._handle, *arguments))


def _check(status: int) -> None:
    if status:
        raise RuntimeError(f"cuBLAS fails with status {status}")
