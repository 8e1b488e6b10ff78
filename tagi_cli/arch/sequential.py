"""A chain of layers given one by one."""

from __future__ import annotations

from tagi_cli import nn
from tagi_cli.arch.fitting import fitting
from tagi_cli.arch.registry import registry


def build(options: nn.SequentialOptions, input_shape: tuple[int, ...], outputs: int) -> nn.Layer:
    """The chain; its last layer must give `outputs` units.

    Raises:
        UserError: the layers do not fit together, or end in another number of units.
    """
    return fitting(lambda: nn.build_sequential(options), input_shape, outputs, "arch.layers")


registry.register("sequential", nn.SequentialOptions, build)
