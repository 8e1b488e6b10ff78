"""Layers that move values without changing them: shapes, sums, joins and parts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tagi_cli.nn.graph import Junction
from tagi_cli.nn.layer import Cost, Layer, Shape, ShapeError
from tagi_cli.nn.parameters import Host, Parameters, flat_size
from tagi_cli.nn.plan import Plan, Value


class Flatten(Layer):
    """The row as a vector, `(C, H, W)` to `(C H W,)`."""

    kind = "flatten"

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        return (flat_size(shape),)

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        return x.reshape((flat_size(x.shape),))

    def moved(self) -> Callable[[Host], list[Host]]:
        """All values stay."""
        return lambda x: [x]


class Reshape(Layer):
    """The row with another shape, row-major.

    Args:
        shape: the new shape of a row; one size may be -1, to be inferred.
    """

    kind = "reshape"

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = tuple(shape)
        if not self.shape or self.shape.count(-1) > 1 or any(n < -1 or n == 0 for n in self.shape):
            raise ValueError(f"{self.describe()}: sizes must be positive, one of them may be -1")

    def describe(self) -> str:
        """Name and shape."""
        return f"Reshape({','.join(map(str, self.shape))})"

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        size = flat_size(shape)
        known = math.prod(n for n in self.shape if n != -1)
        if size % known or (-1 not in self.shape and size != known):
            raise ShapeError(f"{self.describe()} cannot hold {size} units {shape}")
        return tuple(size // known if n == -1 else n for n in self.shape)

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        assert self.output_shape is not None
        return x.reshape(self.output_shape)

    def moved(self) -> Callable[[Host], list[Host]]:
        """All values stay."""
        return lambda x: [x]


class Add(Junction):
    """Sum of its inputs, which count as independent: means add, and so do variances."""

    kind = "add"
    independent = True

    def join_shapes(self, shapes: Sequence[Shape]) -> list[Shape]:
        """All inputs have the same shape."""
        if len(shapes) < 2:
            raise ShapeError("Add() takes at least two inputs but gets one")
        if len(set(shapes)) > 1:
            raise ShapeError(f"Add() takes inputs of one shape but gets {_listed(shapes)}")
        return [shapes[0]]

    def join(self, plan: Plan, values: Sequence[Value]) -> list[Value]:
        """Innovations pass on to every input unchanged."""
        n = plan.batch * flat_size(values[0].shape)
        certain = all(x.var is None for x in values)
        wanted = any(x.wanted for x in values)
        z = plan.value(values[0].shape, certain=certain, wanted=wanted)
        mu, var = values[0].mu, values[0].var
        for x in values[1:]:
            z_var = None if var is None and x.var is None else z.var
            plan.call("add_forward", z.mu, z_var, mu, var, x.mu, x.var, n)
            mu, var = z.mu, z_var

        def backward() -> None:
            if not z.reached:
                return
            d_mu, d_var = z.innovation()
            for x in values:
                if x.wanted:
                    d_mu_x, d_var_x, add = x.send()
                    plan.call("pass_backward", d_mu_x, d_var_x, d_mu, d_var, n, add)

        plan.on_backward(backward)
        return [z]

    def costs(self) -> list[Cost]:
        """Two sums forward, two moves for each of two inputs backward."""
        assert self.output_shape is not None
        return [Cost(self.describe(), self.output_shape, 0, 6 * flat_size(self.output_shape))]


def _listed(shapes: Sequence[Shape]) -> str:
    return ", ".join(map(str, shapes))


def _axis(layer: Layer, axis: int, shape: Shape) -> int:
    """A valid axis of a row of `shape`, counted from the front."""
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(f"{layer.describe()} works along axis {axis} but gets a row {shape}")
    return axis % len(shape)


class Concat(Junction):
    """Its inputs one after the other.

    Args:
        axis: axis of a row along which they are joined; 0 joins vectors, or channels.
    """

    kind = "concat"

    def __init__(self, axis: int = 0) -> None:
        super().__init__()
        self.axis = axis

    def join_shapes(self, shapes: Sequence[Shape]) -> list[Shape]:
        """All sizes but the one along the axis agree."""
        first = shapes[0]
        axis = _axis(self, self.axis, first)
        rest = {(len(s), *s[:axis], *s[axis + 1 :]) for s in shapes}
        if len(rest) > 1:
            raise ShapeError(f"Concat({self.axis}) cannot join {_listed(shapes)}")
        return [(*first[:axis], sum(s[axis] for s in shapes), *first[axis + 1 :])]

    def join(self, plan: Plan, values: Sequence[Value]) -> list[Value]:
        """Innovations are cut as the values were joined."""
        (shape,) = self.join_shapes([x.shape for x in values])
        axis = self.axis % len(shape)
        rows, width = plan.batch * flat_size(shape[:axis]), flat_size(shape[axis:])
        z = plan.value(
            shape, certain=all(x.var is None for x in values), wanted=any(x.wanted for x in values)
        )
        starts, start = [], 0
        for x in values:
            n = flat_size(x.shape[axis:])
            plan.call("copy_columns", z.mu, z.var, x.mu, x.var, rows, width, n, start, 0, n, 0)
            starts.append((start, n))
            start += n

        def backward() -> None:
            if not z.reached:
                return
            d_mu, d_var = z.innovation()
            for x, (start, n) in zip(values, starts, strict=True):
                if x.wanted:
                    d_mu_x, d_var_x, add = x.send()
                    plan.call(
                        "copy_columns", d_mu_x, d_var_x, d_mu, d_var, rows, n, width, 0, start, n,
                        add,
                    )  # fmt: skip

        plan.on_backward(backward)
        return [z]


class Split(Junction):
    """Its input cut into parts; in a graph the k-th part of a node is called `<name>.<k>`.

    Args:
        sizes: sizes of the parts along the axis, in order.
        axis: axis of a row along which it is cut; 0 cuts vectors, or channels.
    """

    kind = "split"

    def __init__(self, sizes: tuple[int, ...], axis: int = 0) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.axis = axis
        if not self.sizes or min(self.sizes) < 1:
            raise ValueError(f"{self.describe()}: sizes must be positive")

    def describe(self) -> str:
        """Name and sizes."""
        return f"Split({','.join(map(str, self.sizes))})"

    def join_shapes(self, shapes: Sequence[Shape]) -> list[Shape]:
        """The sizes make up the input."""
        if len(shapes) != 1:
            raise ShapeError(f"{self.describe()} takes one input but gets {len(shapes)}")
        shape = shapes[0]
        axis = _axis(self, self.axis, shape)
        if sum(self.sizes) != shape[axis]:
            raise ShapeError(
                f"{self.describe()} takes {sum(self.sizes)} units along axis {self.axis} but gets "
                f"{shape[axis]} {shape}"
            )
        return [(*shape[:axis], n, *shape[axis + 1 :]) for n in self.sizes]

    def join(self, plan: Plan, values: Sequence[Value]) -> list[Value]:
        """Innovations of the parts are joined; a part that nothing uses sends zeros."""
        (x,) = values
        axis = self.axis % len(x.shape)
        rows, width = plan.batch * flat_size(x.shape[:axis]), flat_size(x.shape[axis:])
        parts, start = [], 0
        for shape in self.join_shapes([x.shape]):
            n = flat_size(shape[axis:])
            part = plan.value(shape, certain=x.var is None, wanted=x.wanted)
            plan.call(
                "copy_columns", part.mu, part.var, x.mu, x.var, rows, n, width, 0, start, n, 0
            )
            parts.append((part, start, n))
            start += n

        def backward() -> None:
            if not (x.wanted and any(part.reached for part, _, _ in parts)):
                return
            d_mu_x, d_var_x, add = x.send()
            for part, start, n in parts:
                d_mu, d_var = part.innovation() if part.reached else (None, None)
                plan.call(
                    "copy_columns", d_mu_x, d_var_x, d_mu, d_var, rows, width, n, start, 0, n, add
                )

        plan.on_backward(backward)
        return [part for part, _, _ in parts]

    def moved(self) -> Callable[[Host], list[Host]]:
        """The parts."""
        shape, ends = self.input_shape, np.cumsum(self.sizes)[:-1]
        assert shape is not None
        axis = 1 + self.axis % len(shape)
        return lambda x: np.split(x.reshape(-1, *shape), ends, axis)
