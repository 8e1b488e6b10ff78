"""Fully connected layer behind layers whose states can be smoothed."""

from __future__ import annotations

from tagi_cli import nn
from tagi_cli.pytagi.nn.base_layer import BaseLayer
from tagi_cli.pytagi.randomness import generator


class SLinear(BaseLayer):
    """A `Linear` map of each step of a window by itself; with any number of outputs.

    Args:
        input_size: number of input units of a step.
        output_size: number of output units of a step.
        bias: whether there is a bias.
        gain_weight: factor on the prior standard deviation of the weights (not on their means).
        gain_bias: the same for the biases.
        init_method: `He` or `Xavier`.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        bias: bool = True,
        gain_weight: float = 1.0,
        gain_bias: float = 1.0,
        init_method: str = "He",
    ) -> None:
        super().__init__()
        self._layer = self._linear = nn.SLinear(
            input_size, output_size, bias, gain_weight, gain_bias, init_method
        )
        if input_size:
            self._linear.draw(generator())

    def _sizes(self) -> dict[str, int]:
        """Sizes of a step."""
        own = {"input_size": self._linear.input_size, "output_size": self._linear.output_size}
        return super()._sizes() | own

    def _drawable(self) -> bool:
        return self._linear.input_size > 0

    def _input_shape(self) -> tuple[int, ...] | None:
        return (self._linear.input_size,) if self._linear.input_size else None
