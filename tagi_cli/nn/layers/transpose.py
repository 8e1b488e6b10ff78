"""Axes of a row in another order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tagi_cli.nn.layer import Layer, Shape, ShapeError
from tagi_cli.nn.parameters import Host, Parameters, flat_size
from tagi_cli.nn.plan import Plan, Value

_MOST = 4
"""Axes that one call moves, besides the batch; neighbours that stay together count as one."""


class Transpose(Layer):
    """The row with its axes in another order, so that axis `k` is what axis `axes[k]` was.

    Args:
        axes: each axis of a row once, from 0; the batch is none of them.
    """

    kind = "transpose"

    def __init__(self, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.axes = tuple(axes)
        if sorted(self.axes) != list(range(len(self.axes))) or not self.axes:
            raise ValueError(f"{self.describe()}: give each axis of a row once, counted from 0")

    def describe(self) -> str:
        """Name and axes."""
        return f"Transpose({','.join(map(str, self.axes))})"

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        if len(shape) != len(self.axes):
            raise ShapeError(
                f"{self.describe()} takes rows of {len(self.axes)} axes but gets {len(shape)} "
                f"{shape}"
            )
        if len(_steps(shape, self.axes)) > _MOST:
            raise ShapeError(
                f"{self.describe()} moves more than {_MOST} axes; use several, one after the other"
            )
        return tuple(shape[axis] for axis in self.axes)

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        assert self.output_shape is not None
        z = plan.value(self.output_shape, certain=x.var is None, wanted=x.wanted)
        plan.call("transpose", z.mu, z.var, x.mu, x.var, *_sizes(plan.batch, x.shape, self.axes), 0)

        def backward() -> None:
            if not (x.wanted and z.reached):
                return
            d_mu, d_var = z.innovation()
            d_mu_x, d_var_x, add = x.send()
            inverse = tuple(int(axis) for axis in np.argsort(self.axes))
            sizes = _sizes(plan.batch, z.shape, inverse)
            plan.call("transpose", d_mu_x, d_var_x, d_mu, d_var, *sizes, add)

        plan.on_backward(backward)
        return z

    def moved(self) -> Callable[[Host], list[Host]]:
        """The axes in their new order."""
        shape, axes = self.input_shape, [0, *(axis + 1 for axis in self.axes)]
        assert shape is not None
        return lambda x: [x.reshape(-1, *shape).transpose(axes)]


def _steps(shape: Shape, axes: Sequence[int]) -> list[tuple[int, int]]:
    """Size and distance in the input of each axis of the output; what moves together is one."""
    steps: list[tuple[int, int]] = []
    for axis in axes:
        size, step = shape[axis], flat_size(shape[axis + 1 :])
        if size == 1:
            continue
        if steps and steps[-1][1] == size * step:
            size *= steps.pop()[0]
        steps.append((size, step))
    return steps


def _sizes(batch: int, shape: Shape, axes: Sequence[int]) -> tuple[int, ...]:
    """What the kernel takes: five sizes, the batch first, and five distances."""
    steps = _steps(shape, axes)
    steps = [(batch, flat_size(shape)), *[(1, 0)] * (_MOST - len(steps)), *steps]
    sizes, distances = zip(*steps, strict=True)
    return (*sizes, *distances)
