"""Elementwise activation functions."""

from __future__ import annotations

import numpy as np

from tagi_cli.nn.layer import Cost, Layer, Shape, ShapeError
from tagi_cli.nn.parameters import Parameters, flat_size
from tagi_cli.nn.plan import Plan, Value


class Activation(Layer):
    """An activation of each element, or each row, by itself; its kernel is `<kind>_forward`."""

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        return shape

    def constants(self) -> tuple[float, ...]:
        """Scalars that the kernel takes before the size."""
        return ()

    def sizes(self, batch: int, shape: Shape) -> tuple[int, ...]:
        """Sizes that the kernel takes last: here the number of elements."""
        return (batch * flat_size(shape),)

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        a = plan.value(x.shape, certain=x.var is None, wanted=x.wanted)
        jac = plan.empty(x.mu.shape)
        a.jac, a.source = jac, x
        plan.call(
            f"{self.kind}_forward", a.mu, a.var, jac, x.mu, x.var, *self.constants(),
            *self.sizes(plan.batch, x.shape),
        )  # fmt: skip
        plan.on_backward_through(a, x, jac)
        return a

    def costs(self) -> list[Cost]:
        """A handful of operations per unit."""
        assert self.output_shape is not None
        return [Cost(self.describe(), self.output_shape, 0, 10 * flat_size(self.output_shape))]


class ReLU(Activation):
    """Rectifier, linearised at the mean: `(mu, var)` where `mu > 0`, else `(0, 0)`."""

    kind = "relu"


class LeakyReLU(Activation):
    """Leaky rectifier, linearised at the mean.

    Args:
        negative_slope: slope below zero.
    """

    kind = "leaky_relu"

    def __init__(self, negative_slope: float = 0.1) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def describe(self) -> str:
        """Name and slope."""
        return f"{self.name}({self.negative_slope:g})"

    def constants(self) -> tuple[float, ...]:
        """The slope."""
        return (float(self.negative_slope),)


class MixtureReLU(Activation):
    """Rectifier with the exact mean, variance and covariance of a rectified Gaussian."""

    kind = "mixture_relu"


class Sigmoid(Activation):
    """Logistic sigmoid, linearised at the mean."""

    kind = "sigmoid"


class Tanh(Activation):
    """Hyperbolic tangent, linearised at the mean."""

    kind = "tanh"


class Softplus(Activation):
    """Smooth rectifier `log(1 + exp(z))`, linearised at the mean."""

    kind = "softplus"


class EvenExp(Activation):
    """Identity on even units, exponential (exact log-normal moments) on odd ones.

    The head of heteroscedastic regression: units alternate between a prediction and the logarithm
    of its error variance.
    """

    kind = "even_exp"

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        if flat_size(shape) % 2:
            raise ShapeError(
                f"EvenExp() takes an even number of units but gets {flat_size(shape)} {shape}"
            )
        return shape
