"""Layer normalisation."""

from __future__ import annotations

import numpy as np

from tagi_cli.nn.layer import Shape, ShapeError
from tagi_cli.nn.layers.normalisation import Normalisation
from tagi_cli.nn.parameters import Parameters, flat_size
from tagi_cli.nn.plan import Plan, Value


class RowNormalisation(Normalisation):
    """Normalisation of each row, or of each slice of it, by its own statistics."""

    centred: int

    def __init__(
        self,
        normalized_shape: tuple[int, ...],
        eps: float,
        bias: bool,
        gain_weight: float,
        gain_bias: float,
        statistics: str,
    ) -> None:
        super().__init__(eps, bias, gain_weight, gain_bias, statistics)
        if any(n < 1 for n in normalized_shape):
            raise ValueError(f"{self.name}({list(normalized_shape)}): sizes must be positive")
        self.normalized_shape = tuple(normalized_shape)
        self.slices = 1
        self._measure()

    def _measure(self) -> None:
        if self.normalized_shape:
            self.features = self.normalized_shape[0]
            self.positions = flat_size(self.normalized_shape[1:])

    def describe(self) -> str:
        """Name and shape."""
        return f"{self.name}({list(self.normalized_shape)})"

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        wanted = self.normalized_shape = self.normalized_shape or shape
        if shape[-len(wanted) :] == wanted:
            self.slices = flat_size(shape[: len(shape) - len(wanted)])
        elif flat_size(shape) != flat_size(wanted):
            raise ShapeError(
                f"{self.describe()} takes {flat_size(wanted)} units, or rows of them, but gets "
                f"{flat_size(shape)} {shape}"
            )
        self._measure()
        self._adopt(parameters, rng)
        return shape

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        rows, n = plan.batch * self.slices, self.features * self.positions
        mean, var, scale = (plan.empty((rows,)) for _ in range(3))
        plan.call(
            "row_statistics", mean, var, scale, x.mu, x.var, rows, n, self.centred,
            self.unbiased, self.eps,
        )  # fmt: skip
        plan.statistics[self] = mean, var
        return self._normalise(plan, x, mean, scale, rows, True)


class LayerNorm(RowNormalisation):
    """Normalises each row by its own mean and variance, in training and prediction alike.

    The statistics are treated as constants: innovations pass through the scale alone. Gain and bias
    are per unit for `[n]` and per channel for `[C, ...]`. Where the last axes of the input have
    this shape, each slice along the axes before them is normalised by itself.

    Args:
        normalized_shape: shape of what is normalised together; empty takes the whole row.
        eps: added to the variance.
        bias: whether there is a bias.
        gain_weight: factor on the prior standard deviation of the gains (not on their means, 1).
        gain_bias: the same for the biases.
        statistics: `peer` divides the variance by one less than the count, `mixture` by the count.
    """

    kind = "layer_norm"
    centred = 0

    def __init__(
        self,
        normalized_shape: tuple[int, ...] = (),
        eps: float = 1e-4,
        bias: bool = True,
        gain_weight: float = 1.0,
        gain_bias: float = 1.0,
        statistics: str = "peer",
    ) -> None:
        super().__init__(normalized_shape, eps, bias, gain_weight, gain_bias, statistics)
