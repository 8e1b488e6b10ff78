"""The layer: options and Gaussian parameters, and how it traces itself into a plan."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tagi_cli.nn.parameters import Host, Parameters
from tagi_cli.nn.plan import Plan, Value

Shape = tuple[int, ...]


class ShapeError(ValueError):
    """A layer cannot take what the layer before it gives; the text names both with their sizes."""


def not_taken(layer: str, error: ShapeError, source: str) -> ShapeError:
    """The error of a layer inside others, with its place and what it is given.

    Args:
        layer: the layer's place.
        error: what the layer says.
        source: what comes before it.
    """
    joint = " from" if " gets " in str(error) else "; it comes after"
    return ShapeError(f"{layer}: {error}{joint} {source}")


class Cost(NamedTuple):
    """What a layer does per row of a training step, for `tagi show`.

    `depth` counts equal layers that it has one on top of the other.
    """

    name: str
    output: Shape
    parameters: int
    flops: int
    depth: int = 1


class Layer(ABC):
    """One step of a network. It holds nothing about a batch: that lives in the plan.

    Attributes:
        kind: its name in configs.
        training: None follows the network; else whether this layer behaves as in training.
    """

    kind: str
    training: bool | None = None

    def __init__(self) -> None:
        self.input_shape: Shape | None = None
        self.output_shape: Shape | None = None
        self._store: Parameters | None = None

    @property
    def name(self) -> str:
        """Class name, as in listings and parameter names."""
        return type(self).__name__

    def describe(self) -> str:
        """Name and sizes, for listings and error messages."""
        return f"{self.name}()"

    def __repr__(self) -> str:
        return self.describe()

    def build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        """Infer sizes from the input shape and register parameters, once.

        Args:
            shape: shape of one row of input.
            parameters: the store of the network that the layer joins.
            rng: draws the prior means.

        Returns:
            Shape of one row of output.

        Raises:
            ShapeError: the layer does not accept this input.
        """
        if self._store is not None:
            if self._store is not parameters:
                raise ValueError(f"{self.describe()} already belongs to another network")
            if shape != self.input_shape:
                raise ShapeError(
                    f"{self.describe()} is used twice, with inputs {self.input_shape} and {shape}"
                )
        else:
            self.input_shape = shape
            self.output_shape = self._build(shape, parameters, rng)
            self._store = parameters
        assert self.output_shape is not None
        return self.output_shape

    @abstractmethod
    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        """The work of `build`: return the output shape."""

    @abstractmethod
    def trace(self, plan: Plan, x: Value) -> Value:
        """Emit the forward calls for `x`, hand over the backward, and return the result."""

    def input_check(self) -> Callable[[Host], None] | None:
        """A check of the host data that a network feeds to this layer; None where all will do.

        It raises ValueError where the layer cannot take a value, as opposed to a shape.
        """
        return None

    def moved(self) -> Callable[[Host], list[Host]] | None:
        """Where the layer only moves values: what it makes of host data, output by output.

        So the check of a layer behind it can be brought to the data. None where it computes.
        """
        return None

    def trace_in_mode(self, plan: Plan, x: Value) -> Value:
        """`trace`, in the layer's own `training` mode where it has one."""
        if self.training is None:
            return self.trace(plan, x)
        outer, plan.training = plan.training, self.training
        try:
            return self.trace(plan, x)
        finally:
            plan.training = outer

    def children(self) -> list[tuple[str, Layer]]:
        """The layers inside, with the names that their parameters carry; none in a leaf."""
        return []

    def costs(self) -> list[Cost]:
        """One entry per leaf layer; floating-point operations of a training step per row."""
        assert self.output_shape is not None
        return [Cost(self.describe(), self.output_shape, 0, 0)]
