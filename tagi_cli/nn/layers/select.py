"""Units picked from a row, in any order and any number of times."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tagi_cli.nn.layer import Layer, Shape, ShapeError
from tagi_cli.nn.parameters import Host, Parameters, flat_size
from tagi_cli.nn.plan import Plan, Value


class Select(Layer):
    """The units of its input that are listed, in that order.

    Copies of one unit count as independent where they meet again.

    Args:
        indices: units of the flattened row, from 0; one may be listed several times.
    """

    kind = "select"

    def __init__(self, indices: tuple[int, ...]) -> None:
        super().__init__()
        self.indices = tuple(int(i) for i in indices)
        if not self.indices or min(self.indices) < 0:
            raise ValueError(f"{self.describe()}: give at least one index, from 0")

    def describe(self) -> str:
        """Name and number of units."""
        return f"Select({len(self.indices)})"

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        if max(self.indices) >= flat_size(shape):
            raise ShapeError(
                f"{self.describe()} takes unit {max(self.indices)}, counted from 0, but gets "
                f"{flat_size(shape)} units {shape}"
            )
        return (len(self.indices),)

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        B, n, width = plan.batch, len(self.indices), flat_size(x.shape)
        z = plan.value((n,), certain=x.var is None, wanted=x.wanted)
        runs = _runs(self.indices)
        for to, start, count in runs:
            plan.call("copy_columns", z.mu, z.var, x.mu, x.var, B, n, width, to, start, count, 0)

        def backward() -> None:
            if not (x.wanted and z.reached):
                return
            d_mu, d_var = z.innovation()
            d_mu_x, d_var_x, add = x.send()
            if not add:
                plan.call("fill", d_mu_x, 0.0, B * width)
                plan.call("fill", d_var_x, 0.0, B * width)
            for to, start, count in runs:
                plan.call(
                    "copy_columns", d_mu_x, d_var_x, d_mu, d_var, B, width, n, start, to, count, 1
                )

        plan.on_backward(backward)
        return z

    def moved(self) -> Callable[[Host], list[Host]]:
        """The units that are listed."""
        assert self.input_shape is not None
        width, indices = flat_size(self.input_shape), list(self.indices)
        return lambda x: [x.reshape(-1, width)[:, indices]]


def _runs(indices: Sequence[int]) -> list[tuple[int, int, int]]:
    """Stretches of consecutive indices: place in the output, first index, length."""
    runs: list[tuple[int, int, int]] = []
    for place, index in enumerate(indices):
        if runs and index == runs[-1][1] + runs[-1][2]:
            to, start, count = runs[-1]
            runs[-1] = (to, start, count + 1)
        else:
            runs.append((place, index, 1))
    return runs
