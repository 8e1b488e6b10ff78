"""Fully connected layer."""

from __future__ import annotations

from tagi_cli import nn
from tagi_cli.pytagi.nn.base_layer import BaseLayer
from tagi_cli.pytagi.randomness import generator


class Linear(BaseLayer):
    """Affine map with Gaussian weights `(output_size, input_size)` and biases.

    Args:
        input_size: number of input units.
        output_size: number of output units.
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
        self._layer = layer = nn.Linear(
            input_size, output_size, bias, gain_weight, gain_bias, init_method
        )
        if input_size:
            layer.draw(generator())

    def _drawable(self) -> bool:
        return self.input_size > 0

    def _input_shape(self) -> tuple[int, ...] | None:
        size = getattr(self._layer, "input_size", 0)
        return (size,) if size else None
