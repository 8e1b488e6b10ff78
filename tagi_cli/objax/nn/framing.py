"""What stands between a module that knows the shape of its input and a layer that infers it."""

from __future__ import annotations

import numpy as np

from tagi_cli.nn import Layer, Parameters, Plan, ShapeError, Value
from tagi_cli.nn.layer import Shape


class Expect(Layer):
    """Passes rows of a certain shape on, and refuses others.

    Args:
        who: the module that expects them, for the error.
        sizes: of a row; None for any.
        single: whether rows get an axis of size 1 in front.
    """

    kind = "expect"

    def __init__(self, who: str, sizes: tuple[int | None, ...], single: bool = False) -> None:
        super().__init__()
        self.who = who
        self.sizes = sizes
        self.single = single

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        if len(shape) != len(self.sizes) or any(
            size not in (None, found) for size, found in zip(self.sizes, shape, strict=True)
        ):
            wanted = ", ".join("any" if size is None else str(size) for size in self.sizes)
            raise ShapeError(f"{self.who} takes rows ({wanted}) but gets {shape}")
        return (1, *shape) if self.single else shape

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        assert self.output_shape is not None
        return x.reshape(self.output_shape)


class DropAxis(Layer):
    """Takes the first axis, of size 1, off a row."""

    kind = "drop_axis"

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        return shape[1:]

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        return x.reshape(x.shape[1:])
