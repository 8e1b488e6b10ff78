"""Matrix products by cuBLAS."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from tagi_cli.backend.base import Array
from tagi_cli.backend.cuda.kernels import Kernels, Launch

_DEFAULT_MATH, _TF32_MATH = 0, 3
"""`cublasMath_t`: plain arithmetic, and tf32 on the tensor cores."""


class Products:
    """Products `C = A B` of matrices whose rows are contiguous, for one device and precision.

    Args:
        cublas: `cupy.cuda.cublas`.
        kernels: functions of the same device and precision.
        dtype: precision.
        tf32: whether products that only variances depend on may round their factors to tf32.
    """

    def __init__(self, cublas: Any, kernels: Kernels, dtype: np.dtype[Any], tf32: bool) -> None:
        self._cublas = cublas
        self._kernels = kernels
        self._tf32 = tf32
        self._handle = cublas.create()
        letter = "d" if dtype == np.float64 else "s"
        self._plain = getattr(cublas, f"{letter}gemm")
        self._batched = getattr(cublas, f"{letter}gemmStridedBatched")
        # cuBLAS reads the factors of A B and of C from the host.
        self._factors = np.array([0, 1], dtype)
        zero = self._factors.ctypes.data
        self._factor = (zero, zero + self._factors.itemsize)

    def launch(
        self,
        C: Array,
        A: Array,
        B: Array,
        *,
        A_transposed: bool = False,
        B_transposed: bool = False,
        add: int = 0,
        is_variance: bool = False,
    ) -> list[Launch]:
        """The launches that make `C = A B`, or with `add` add it.

        Args:
            C: `(M, N)`, or one such matrix per group `(groups, M, N)`.
            A: `(M, K)`, with `A_transposed` `(K, M)`; with groups `(groups, ...)`.
            B: `(K, N)`, with `B_transposed` `(N, K)`; with groups `(groups, ...)`.
            A_transposed: `A` is stored transposed.
            B_transposed: `B` is stored transposed.
            add: 1 to add to `C`.
            is_variance: only variances depend on the product.
        """
        M, N = C.shape[-2:]
        left, right = A.shape[-2:], B.shape[-2:]
        rows, K = left[::-1] if A_transposed else left
        inner, columns = right[::-1] if B_transposed else right
        if (rows, columns, K) != (M, N, inner):
            raise ValueError(f"matrices {A.shape} and {B.shape} do not give {C.shape}")
        if not C.size:
            return []
        if not K:
            return [] if add else [self._kernels.launch("fill", C, C.dtype.type(0), C.size)]
        cublas = self._cublas
        operation = (cublas.CUBLAS_OP_N, cublas.CUBLAS_OP_T)
        groups = C.shape[0] if C.ndim > 2 else 1
        one, factor = self._factor[1], self._factor[1 if add else 0]
        # cuBLAS counts columns first: it sees all three transposed, and C' = B' A'. Each operand is
        # its address, the distance of its rows and, with groups, of its matrices.
        b, a, c = (self._operand(x, groups) for x in (B, A, C))
        product = partial(
            self._batched if groups > 1 else self._plain,
            self._handle, operation[B_transposed], operation[A_transposed], N, M, K,
            one, *b, *a, factor, *c, *((groups,) if groups > 1 else ()),
        )  # fmt: skip
        return [partial(self._rounded, product)] if is_variance and self._tf32 else [product]

    @staticmethod
    def _operand(x: Any, groups: int) -> tuple[int, ...]:
        if x.strides[-1] != x.itemsize and x.shape[-1] > 1:
            raise ValueError(f"rows of a matrix {x.shape} are not contiguous: {x.strides}")
        row = max(x.strides[-2] // x.itemsize, x.shape[-1])
        return (x.data.ptr, row, *((x.strides[0] // x.itemsize,) if groups > 1 else ()))

    def _rounded(self, product: Launch) -> None:
        self._cublas.setMathMode(self._handle, _TF32_MATH)
        try:
            product()
        finally:
            self._cublas.setMathMode(self._handle, _DEFAULT_MATH)
