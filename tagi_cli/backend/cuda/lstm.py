"""LSTM on the GPU: the steps of a window one after the other, each a few products and a kernel.

The arrangement, and the names of buffers, are those of the NumPy reference.
"""

from __future__ import annotations

from typing import Any

from tagi_cli.backend.base import Array
from tagi_cli.backend.cuda.kernels import Kernels, Launch, part
from tagi_cli.backend.cuda.linear import Driver
from tagi_cli.backend.cuda.products import Products


class LstmDriver:
    """Launches of `lstm_forward` and `lstm_backward`.

    Attributes:
        drivers: by the name of the kernel.
    """

    def __init__(self, kernels: Kernels, products: Products) -> None:
        self._kernels = kernels
        self._product = products.launch
        self.drivers: dict[str, Driver] = {
            "lstm_forward": self._forward,
            "lstm_backward": self._backward,
        }

    def _products_of_gates(self, memory: Array, mu_w: Array, I: int, H: int, output: int) -> Launch:
        sizes = (I, H, I + H, output)
        return self._kernels.launch("lstm_gate_products", memory, mu_w, *sizes)

    def _forward(self, *call: Any) -> list[Launch]:
        (mu_h, var_h, states, jac, mu_u, var_u, mu_x, var_x, initial, mu_w, var_w, mu_b, var_b,
         scratch, *sizes) = call  # fmt: skip
        B, T, I, H, width, column, last, reverse, full = map(int, sizes)
        K, kernel, product = I + H, self._kernels.launch, self._product
        products = part(scratch, 0, 10 * H, K)
        sums = part(scratch, products.size, B, 14 * H)
        second = part(scratch, products.size + sums.size, B, K)
        means, variances = mu_u.reshape(B, T, K), var_u.reshape(B, T, K)
        mu_w, var_w = mu_w.reshape(4 * H, K), var_w.reshape(4 * H, K)
        launches = [
            self._products_of_gates(products, mu_w, I, H, full),
            kernel("lstm_input", mu_u, var_u, mu_x, var_x, initial, B, T, I, H, reverse),
        ]
        for step in range(T):
            t = T - 1 - step if reverse else step
            m, v = (u.reshape(B * T * K)[t * K :] for u in (means, variances))
            launches += [
                *product(sums[:, : 4 * H], means[:, t], mu_w, B_transposed=True),
                *product(
                    sums[:, 4 * H :], variances[:, t], products, B_transposed=True, is_variance=True
                ),
                self._kernels.launch_over(B * K, "second_moment", second, m, v, B, K, T * K),
                *product(
                    sums[:, 4 * H : 8 * H], second, var_w, B_transposed=True, add=1,
                    is_variance=True,
                ),
                kernel(
                    "lstm_cell_forward", mu_h, var_h, states, jac, mu_u, var_u, sums, initial,
                    mu_b, var_b, B, T, I, H, step, width, column, last, reverse, full,
                ),
            ]  # fmt: skip
        return launches

    def _backward(self, *call: Any) -> list[Launch]:
        (d_mu_z, d_var_z, d_states, d_mu_x, d_var_x, d_mu_h, d_var_h, jac, mu_w, scratch,
         *sizes) = call  # fmt: skip
        B, T, I, H, width, column, last, reverse, accumulate = map(int, sizes)
        K, kernel, product = I + H, self._kernels.launch, self._product
        products = part(scratch, 0, 10 * H, K)
        factors = part(scratch, products.size, B, 10 * H)
        cross = part(scratch, products.size + factors.size, B, H)
        before = part(scratch, products.size + factors.size + cross.size, B, 2 * H)
        z, mu_w = d_mu_z.reshape(B, T, 4 * H), mu_w.reshape(4 * H, K)
        launches = [self._products_of_gates(products, mu_w, I, H, 1)]
        for step in reversed(range(T)):
            t = T - 1 - step if reverse else step
            launches += [
                kernel(
                    "lstm_cell_backward", d_mu_z, d_var_z, d_states, cross, d_mu_h, d_var_h, before,
                    jac, B, T, H, step, width, column, last, reverse,
                ),
                kernel("lstm_gate_factors", factors, jac, cross, d_states, d_var_z, B, T, H, t),
            ]  # fmt: skip
            if step:
                launches += product(before[:, :H], z[:, t], mu_w[:, I:])
                launches += product(before[:, H:], factors, products[:, I:], is_variance=True)
            if d_mu_x is None:
                continue
            d, e = (x.reshape(B, T, I)[:, t] for x in (d_mu_x, d_var_x))
            launches += product(d, z[:, t], mu_w[:, :I], add=accumulate)
            launches += product(e, factors, products[:, :I], add=accumulate, is_variance=True)
        return launches
