"""Sinusoidal encoding of positions in a sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

from tagi_cli.nn.layer import Layer, Shape, ShapeError
from tagi_cli.nn.parameters import Parameters, flat_size
from tagi_cli.nn.plan import Plan, Value


def sinusoids(length: int, width: int, base: float) -> np.ndarray[Any, Any]:
    """The table `(length, width)` of Vaswani et al. (2017), section 3.5.

    Columns `2 i` and `2 i + 1` hold the sine and cosine of `position / base^(2 i / width)`.
    """
    column = np.arange(width)
    angle = np.arange(length)[:, None] / base ** (2 * (column // 2) / width)
    return np.where(column % 2 == 0, np.sin(angle), np.cos(angle))


class PositionalEncoding(Layer):
    """Adds sines and cosines of the position to a sequence `(T, features)`; nothing is learnt.

    A learnt encoding is an `Offset`.

    Args:
        base: ratio of the longest wavelength to the shortest.
    """

    kind = "positional_encoding"

    def __init__(self, base: float = 10000.0) -> None:
        super().__init__()
        self.base = base

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        if len(shape) != 2:
            raise ShapeError(f"PositionalEncoding() takes rows (steps, features) but gets {shape}")
        return shape

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        length, width = x.shape
        n = flat_size(x.shape)
        table = plan.backend.asarray(sinusoids(length, width, self.base))
        z = plan.value(x.shape, certain=x.var is None, wanted=x.wanted)
        plan.call("offset_forward", z.mu, z.var, x.mu, x.var, table, None, plan.batch, n, 1)

        def backward() -> None:
            if x.wanted and z.reached:
                d_mu, d_var = z.innovation()
                d_mu_x, d_var_x, add = x.send()
                plan.call("pass_backward", d_mu_x, d_var_x, d_mu, d_var, plan.batch * n, add)

        plan.on_backward(backward)
        return z
