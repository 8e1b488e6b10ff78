"""The fully connected layer on the GPU: one kernel a pass while it is small, else cuBLAS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tagi_cli.backend.base import Array
from tagi_cli.backend.cuda.kernels import Kernels, Launch, part
from tagi_cli.backend.cuda.products import Products

Driver = Callable[..., list[Launch]]
"""Makes the launches of a call from its arguments."""

FUSED_WORK = 1 << 25
"""Multiply-adds per product up to which one kernel of our own does a pass: cuBLAS is faster on each
product, but a pass then takes up to six launches."""

# As in `kernels/gpu/product.cuh`; a grid has at most 65535 tiles below each other.
SIDE, TILES = 16, 65535


def is_small(B: int, I: int, O: int) -> bool:
    """Whether a pass of a layer `(B, I) -> (B, O)` is left to one kernel of our own."""
    return B * I * O <= FUSED_WORK and max(B, O) <= SIDE * TILES


def blocks_of_product(
    rows: int, columns: int, inner: int, itemsize: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Grid and block of a kernel made of `product`: sums of `inner` terms, `(rows, columns)`."""
    grid = (max(-(-columns // SIDE), 1), max(-(-rows // SIDE), 1))
    slices = max(min(-(-inner // SIDE), 32 // itemsize), 1)
    return grid, (SIDE // 2, SIDE // 2, slices)


class LinearDriver:
    """Launches of `linear_forward`, `linear_backward` and `linear_innovation`.

    Attributes:
        drivers: by the name of the kernel.
    """

    def __init__(self, kernels: Kernels, products: Products) -> None:
        self._kernels = kernels
        self._products = products
        self.drivers: dict[str, Driver] = {
            "linear_forward": self._forward,
            "linear_backward": self._backward,
            "linear_innovation": self._innovation,
        }

    def _fused(
        self, name: str, rows: int, columns: int, inner: int, *arguments: Any
    ) -> list[Launch]:
        """The pass as one kernel, a block for each tile of its results: sums of `inner` terms."""
        blocks = blocks_of_product(rows, columns, inner, arguments[0].itemsize)
        return [self._kernels.start(name, *blocks, *arguments)]

    def _forward(self, *call: Any) -> list[Launch]:
        mu_z, var_z, mu_a, var_a, mu_w, var_w, mu_b, var_b, scratch, *sizes = call
        B, I, O = map(int, sizes)
        if is_small(B, I, O):
            return self._fused("linear_forward", B, O, I, *call)
        product = self._products.launch
        mean, variance = mu_z.reshape(B, O), var_z.reshape(B, O)
        second, squared = part(scratch, 0, B, I), part(scratch, B * I, O, I)
        launches = [
            *product(mean, mu_a.reshape(B, I), mu_w.reshape(O, I), B_transposed=True),
            second_moment(self._kernels, second, mu_a, var_a),
            *product(variance, second, var_w.reshape(O, I), B_transposed=True, is_variance=True),
        ]
        if var_a is not None:
            var_a = var_a.reshape(B, I)
            launches += [
                second_moment(self._kernels, squared, mu_w),
                *product(variance, var_a, squared, B_transposed=True, add=1, is_variance=True),
            ]
        if mu_b is not None:
            launches.append(self._kernels.launch("add_bias", mean, variance, mu_b, var_b, O, B * O))
        return launches

    def _backward(self, *call: Any) -> list[Launch]:
        d_mu_a, d_var_a, d_mu_z, d_var_z, mu_w, scratch, *sizes = call
        B, I, O, accumulate = map(int, sizes)
        if is_small(B, I, O):
            return self._fused("linear_backward", B, I, O, *call)
        product, squared = self._products.launch, part(scratch, 0, O, I)
        d_mu_z, d_var_z = d_mu_z.reshape(B, O), d_var_z.reshape(B, O)
        return [
            *product(d_mu_a.reshape(B, I), d_mu_z, mu_w.reshape(O, I), add=accumulate),
            second_moment(self._kernels, squared, mu_w),
            *product(d_var_a.reshape(B, I), d_var_z, squared, add=accumulate, is_variance=True),
        ]

    def _innovation(self, *call: Any) -> list[Launch]:
        G_w, L_w, G_b, L_b, mu_a, d_mu_z, d_var_z, scratch, *sizes = call
        B, I, O, accumulate = map(int, sizes)
        if is_small(B, I, O):
            return self._fused("linear_innovation", O, I, B, *call)
        product, second = self._products.launch, part(scratch, 0, B, I)
        G_w, L_w, mu_a = G_w.reshape(O, I), L_w.reshape(O, I), mu_a.reshape(B, I)
        d_mu_z, d_var_z = d_mu_z.reshape(B, O), d_var_z.reshape(B, O)
        launches = [
            *product(G_w, d_mu_z, mu_a, A_transposed=True, add=accumulate),
            second_moment(self._kernels, second, mu_a),
            *product(L_w, d_var_z, second, A_transposed=True, add=accumulate, is_variance=True),
        ]
        if G_b is not None:
            launches.append(
                bias_sums(self._kernels, G_b, L_b, d_mu_z, d_var_z, (B, O, 1), accumulate)
            )
        return launches


def second_moment(kernels: Kernels, out: Array, mu: Array, var: Array | None = None) -> Launch:
    """Write `mu^2 + var`, without `var` the square, to `out`; all of the same size."""
    return kernels.launch("second_moment", out, mu, var, 1, out.size, out.size)


def bias_sums(
    kernels: Kernels,
    G: Array,
    L: Array,
    d_mu: Array,
    d_var: Array,
    sizes: tuple[int, int, int],
    accumulate: int,
) -> Launch:
    """Sums of innovations over rows and places, per unit or channel: `sizes` are `(B, C, places)`.

    A bias is an offset, whose sums are those of a scale without the means of its input.
    """
    return kernels.launch("scale_innovation", G, L, None, d_mu, d_var, *sizes, accumulate)
