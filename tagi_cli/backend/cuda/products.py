"""Matrix products by cuBLAS."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from tagi_cli.backend.base import Array
from tagi_cli.backend.cuda.cublas import DEFAULT_MATH, TF32_MATH, Cublas
from tagi_cli.backend.cuda.kernels import Kernels, Launch

_AS_STORED, _TRANSPOSED = 0, 1
"""`cublasOperation_t`."""


class Products:
    """Products `C = A B` of matrices whose rows are contiguous, for one device and precision.

    Args:
        cublas: of the same precision.
        kernels: functions of the same device and precision.
        dtype: precision.
        tf32: whether products that only variances depend on may round their factors to tf32.
    """

    def __init__(self, cublas: Cublas, kernels: Kernels, dtype: np.dtype[Any], tf32: bool) -> None:
        self._cublas = cublas
        self._kernels = kernels
        self._tf32 = tf32
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
        operation = (_AS_STORED, _TRANSPOSED)
        groups = C.shape[0] if C.ndim > 2 else 1
        one, factor = self._factor[1], self._factor[1 if add else 0]
        # cuBLAS counts columns first: it sees all three transposed, and C' = B' A'. Each operand is
        # its address, the distance of its rows and, with groups, of its matrices.
        b, a, c = (self._operand(x, groups) for x in (B, A, C))
        return [
            partial(
                self._cublas.gemm_batched if groups > 1 else self._cublas.gemm,
                TF32_MATH if is_variance and self._tf32 else DEFAULT_MATH,
                operation[B_transposed], operation[A_transposed], N, M, K,
                one, *b, *a, factor, *c, *((groups,) if groups > 1 else ()),
            )
        ]  # fmt: skip

    @staticmethod
    def _operand(x: Any, groups: int) -> tuple[int, ...]:
        if x.strides[-1] != x.itemsize and x.shape[-1] > 1:
            raise ValueError(f"rows of a matrix {x.shape} are not contiguous: {x.strides}")
        row = max(x.strides[-2] // x.itemsize, x.shape[-1])
        return (x.data.ptr, row, *((x.strides[0] // x.itemsize,) if groups > 1 else ()))
