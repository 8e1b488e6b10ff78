"""A chain of layers used as one layer."""

from __future__ import annotations

from tagi_cli import nn
from tagi_cli.pytagi.nn.base_layer import BaseLayer, check_device


class LayerBlock(BaseLayer):
    """Layers applied one after the other, inside a network or a `ResNetBlock`.

    Args:
        layers: the layers.
    """

    def __init__(self, *layers: BaseLayer) -> None:
        super().__init__()
        self.layers = list(layers)

    @property
    def layers(self) -> list[BaseLayer]:
        """The layers; they can be replaced until the block is part of a network."""
        return list(self._layers)

    @layers.setter
    def layers(self, value: list[BaseLayer]) -> None:
        if self._owner is not None:
            raise ValueError(f"{self.get_layer_info()}: its network is built, its layers stay")
        self._layers = list(value)
        self._layer = nn.Sequential(*(layer.layer for layer in self._layers))

    def switch_to_cuda(self) -> None:
        """Check that there is a GPU to run on; the network's `to_device` moves the block.

        Raises:
            RuntimeError: there is none.
        """
        check_device("cuda")

    def init_weight_bias(self) -> None:
        """Draw the priors of all layers inside."""
        for layer in self._layers:
            layer.init_weight_bias()

    def _inner(self) -> list[BaseLayer]:
        return self.layers

    def _input_shape(self) -> tuple[int, ...] | None:
        return next((s for layer in self._layers if (s := layer._input_shape())), None)
