"""The residual block."""

from __future__ import annotations

import numpy as np

from tagi_cli import nn
from tagi_cli.nn.graph import INPUT
from tagi_cli.pytagi.nn.base_layer import BaseLayer
from tagi_cli.pytagi.nn.data_struct import (
    BaseDeltaStates,
    BaseHiddenStates,
    InnovationView,
    StateView,
)


class ResNetBlock(BaseLayer):
    """`main_block(x) + shortcut(x)`, or `main_block(x) + x`.

    Its buffers are views of the network's latest call.

    Args:
        main_block: the branch that transforms, one layer or a `LayerBlock`.
        shortcut: the branch that brings the input to the same shape; None passes it on as it is.
    """

    def __init__(self, main_block: BaseLayer, shortcut: BaseLayer | None = None) -> None:
        super().__init__()
        self._assemble(main_block, shortcut)

    def _assemble(self, main_block: BaseLayer, shortcut: BaseLayer | None) -> None:
        if self._owner is not None:
            raise ValueError(f"{self.get_layer_info()}: its network is built, its layers stay")
        self._main, self._shortcut = main_block, shortcut
        self._layer = nn.ResNetBlock(main_block.layer, None if shortcut is None else shortcut.layer)

    @property
    def main_block(self) -> BaseLayer:
        """The branch that transforms; it can be replaced until the block is part of a network."""
        return self._main

    @main_block.setter
    def main_block(self, value: BaseLayer) -> None:
        self._assemble(value, self._shortcut)

    @property
    def shortcut(self) -> BaseLayer | None:
        """The other branch, None for the identity; it can be replaced like the main block."""
        return self._shortcut

    @shortcut.setter
    def shortcut(self, value: BaseLayer | None) -> None:
        self._assemble(self._main, value)

    def init_weight_bias(self) -> None:
        """Draw the priors of all layers inside."""
        for layer in self._inner():
            layer.init_weight_bias()

    def init_shortcut_state(self) -> None:
        """Set the moments of the shortcut's output to zero."""
        _clear(self.shortcut_output_z)

    def init_shortcut_delta_state(self) -> None:
        """Set the innovations of the shortcut's output to zero."""
        self.shortcut_output_delta_z.reset_zeros()

    def init_input_buffer(self) -> None:
        """Set the moments of the block's input to zero."""
        _clear(self.input_z)

    @property
    def input_z(self) -> BaseHiddenStates:
        """Moments of the block's input."""
        return self._moments(INPUT)

    @input_z.setter
    def input_z(self, value: BaseHiddenStates) -> None:
        _copy_moments(self.input_z, value)

    @property
    def input_delta_z(self) -> BaseDeltaStates:
        """Innovations of the block's input."""
        return self._innovations(INPUT)

    @input_delta_z.setter
    def input_delta_z(self, value: BaseDeltaStates) -> None:
        self.input_delta_z.copy_from(value)

    @property
    def shortcut_output_z(self) -> BaseHiddenStates:
        """Moments that the shortcut adds: those of the input where it is the identity."""
        return self._moments(INPUT if self._shortcut is None else "shortcut")

    @shortcut_output_z.setter
    def shortcut_output_z(self, value: BaseHiddenStates) -> None:
        _copy_moments(self.shortcut_output_z, value)

    @property
    def shortcut_output_delta_z(self) -> BaseDeltaStates:
        """Innovations of the shortcut's output: those of the sum."""
        return self._innovations("add" if self._shortcut is None else "shortcut")

    @shortcut_output_delta_z.setter
    def shortcut_output_delta_z(self, value: BaseDeltaStates) -> None:
        self.shortcut_output_delta_z.copy_from(value)

    def _moments(self, node: str) -> StateView:
        return StateView(self._network(), lambda passes: passes.plan.nodes[self.layer][node][0])

    def _innovations(self, node: str) -> InnovationView:
        return InnovationView(
            self._network(), lambda passes: passes.plan.nodes[self.layer][node][0]
        )

    def _inner(self) -> list[BaseLayer]:
        return [self._main, *([] if self._shortcut is None else [self._shortcut])]

    def _input_shape(self) -> tuple[int, ...] | None:
        return self._main._input_shape()


def _copy_moments(buffer: BaseHiddenStates, value: BaseHiddenStates) -> None:
    buffer.mu_a, buffer.var_a = value.mu_a, value.var_a


def _clear(buffer: BaseHiddenStates) -> None:
    buffer.mu_a = buffer.var_a = np.zeros(buffer.size)
