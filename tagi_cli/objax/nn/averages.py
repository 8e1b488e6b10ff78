"""Running averages of values.

On data a call is given one value, of the average's shape, or several with an axis for the steps in
front. Inside another module rows count as consecutive steps, and one row has the average's shape.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.objax.module import Module
from tagi_cli.objax.nn.framing import Expect
from tagi_cli.objax.tracing import Leaf, Slot, Tensor, parts
from tagi_cli.objax.variable import StateVar


class _Average(Module, Leaf):
    """The average so far is part of a variable."""

    def __init__(self, shape: tuple[int, ...], init_value: float) -> None:
        self.shape = tuple(shape)
        self.init_value = init_value

    @abstractmethod
    def _state(self) -> StateVar:
        """The variable that holds it."""

    def _is_row(self, x: Any) -> bool:
        return tuple(np.shape(parts(x)[0])) == self.shape

    def slots(self, tensors: Mapping[str, Tensor]) -> list[Slot]:
        """See `Leaf.slots`."""
        return [Slot(self._state(), ("average_mu", "average_var"))]


class MovingAverage(_Average):
    """Mean of the last `buffer_size` values, which count as independent.

    Attributes:
        buffer: the values `(buffer_size, *shape)`, the oldest first.

    Args:
        shape: of a value.
        buffer_size: number of values averaged.
        init_value: what the values before the first one were.

    Raises:
        ValueError: less than one value is averaged.
    """

    def __init__(self, shape: tuple[int, ...], buffer_size: int, init_value: float = 0) -> None:
        super().__init__(shape, init_value)
        nn.MovingAverage(buffer_size)  # complains of what is out of range
        self.buffer = StateVar(np.full((buffer_size, *self.shape), float(init_value)), 0.0)

    def _state(self) -> StateVar:
        return self.buffer

    def __call__(self, x: Any) -> Any:
        """Moments of the mean of this value and those before it."""
        x = x.record(Expect, who=type(self).__name__, sizes=self.shape)
        return x.record(nn.MovingAverage, self, buffer_size=self.buffer.shape[0])


class ExponentialMovingAverage(_Average):
    """`average = momentum average + (1 - momentum) value`, values counting as independent.

    For an average of a model's posterior see `optimizer.ExponentialMovingAverage`.

    Attributes:
        avg: the average, of the given shape.

    Args:
        shape: of a value.
        momentum: weight of the average so far.
        init_value: the average before the first value.

    Raises:
        ValueError: momentum outside 0 to 1.
    """

    def __init__(
        self, shape: tuple[int, ...], momentum: float = 0.999, init_value: float = 0
    ) -> None:
        super().__init__(shape, init_value)
        nn.ExponentialMovingAverage(momentum)  # complains of what is out of range
        self.momentum = momentum
        self.avg = StateVar(np.full(self.shape, float(init_value)), 0.0)

    def _state(self) -> StateVar:
        return self.avg

    def __call__(self, x: Any) -> Any:
        """Moments of the average with this value taken in."""
        x = x.record(Expect, who=type(self).__name__, sizes=self.shape)
        return x.record(nn.ExponentialMovingAverage, self, momentum=self.momentum)
