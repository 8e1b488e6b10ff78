"""A chain of layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tagi_cli.nn.layer import Cost, Layer, Shape, ShapeError, not_taken
from tagi_cli.nn.parameters import Host, Parameters
from tagi_cli.nn.plan import Plan, Value


class Sequential(Layer):
    """Layers applied one after the other.

    Args:
        layers: at least one layer.

    Raises:
        TypeError: something that is no layer.
    """

    kind = "sequential"

    def __init__(self, *layers: Layer) -> None:
        super().__init__()
        self.layers = list(layers)
        for i, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                raise TypeError(
                    f"layer {i}: found a {type(layer).__name__}. Allowed: layers, one by one as in "
                    "Sequential(Linear(0, 50), ReLU())"
                )

    def describe(self) -> str:
        """Name and number of layers."""
        return f"{self.name}({len(self.layers)})"

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: int) -> Layer:
        return self.layers[index]

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        before = f"the input {shape}"
        for i, (name, layer) in enumerate(self.children()):
            with parameters.scope(name):
                try:
                    shape = layer.build(shape, parameters, rng)
                except ShapeError as error:
                    raise not_taken(f"layer {i}", error, before) from None
            before = f"layer {i}, {layer.describe()}"
        return shape

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        for name, layer in self.children():
            with plan.inside(name):
                x = layer.trace_in_mode(plan, x)
        return x

    def input_check(self) -> Callable[[Host], None] | None:
        """That of the first layer that does more than move values."""
        views: list[Callable[[Host], list[Host]]] = []
        for layer in self.layers:
            check, moved = layer.input_check(), layer.moved()
            if check is not None:
                return _behind(views, check)
            if moved is None:
                break
            views.append(moved)
        return None

    def children(self) -> list[tuple[str, Layer]]:
        """The layers, each named by its kind and position."""
        return [(f"{layer.kind}_{i}", layer) for i, layer in enumerate(self.layers)]

    def costs(self) -> list[Cost]:
        """Entries of all layers."""
        return [cost for layer in self.layers for cost in layer.costs()]


def _behind(
    views: Sequence[Callable[[Host], list[Host]]], check: Callable[[Host], None]
) -> Callable[[Host], None]:
    """The check of what layers before have moved."""

    def checked(x: Host) -> None:
        for view in views:
            (x,) = view(x)
        check(x)

    return checked
