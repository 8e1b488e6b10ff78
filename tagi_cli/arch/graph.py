"""A graph of layers given one by one."""

from __future__ import annotations

from tagi_cli import nn
from tagi_cli.arch.fitting import fitting
from tagi_cli.arch.registry import registry


def build(options: nn.GraphOptions, input_shape: tuple[int, ...], outputs: int) -> nn.Layer:
    """The graph; its last node must give `outputs` units.

    Raises:
        UserError: the layers do not fit together, or end in another number of units.
    """
    return fitting(lambda: nn.build_graph(options), input_shape, outputs, "arch.nodes")


registry.register("graph", nn.GraphOptions, build)
