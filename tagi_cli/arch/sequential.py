"""A chain of layers given one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tagi_cli import nn
from tagi_cli.arch.registry import registry
from tagi_cli.errors import UserError
from tagi_cli.options import option


@dataclass(frozen=True)
class SequentialOptions:
    """Layers one after the other, each with its own options."""

    layers: tuple[Any, ...] = option(
        doc="Layers from input to output, each `{kind: ..., <options>}`. Input sizes are inferred.",
        kinds=nn.registry,
    )


def build(options: SequentialOptions, input_shape: tuple[int, ...], outputs: int) -> nn.Layer:
    """The chain; its last layer must give `outputs` units.

    Raises:
        UserError: the layers do not fit together, or end in another number of units.
    """
    if not options.layers:
        raise UserError("arch.layers: the list is empty; give at least one layer")
    layer = nn.Sequential(*(nn.build_layer(item) for item in options.layers))
    try:
        shape = nn.output_shape(layer, input_shape)
    except nn.ShapeError as error:
        raise UserError(f"arch.layers: {error}") from None
    units = nn.flat_size(shape)
    if units != outputs:
        raise UserError(
            f"arch.layers: the last layer gives {units} units, the task needs {outputs} "
            "(one per target; two per target with noise: heteroscedastic)"
        )
    return nn.Sequential(*(nn.build_layer(item) for item in options.layers))


registry.register("sequential", SequentialOptions, build)
