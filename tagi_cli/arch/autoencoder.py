"""An encoder and a decoder, joined: what the code has to tell the decoder trains the encoder."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

from tagi_cli import nn
from tagi_cli.arch.images import (
    NORMS,
    ConvBlockOptions,
    ImageOptions,
    activation,
    blocks,
    conv_block,
    hidden,
    in_turn,
    normalisation,
)
from tagi_cli.arch.registry import registry
from tagi_cli.errors import UserError
from tagi_cli.options import option


@dataclass(frozen=True)
class _Hidden:
    """The hidden layers."""

    code: int = option(16, "Units of the code between encoder and decoder.", minimum=1)
    units: tuple[int, ...] = option(
        (256, 128),
        "Units of the fully connected layers of the encoder; the decoder has them in turn.",
        minimum=1,
    )
    blocks: tuple[Any, ...] = option(
        (),
        "Convolutions of the encoder before its fully connected layers, as those of `arch: cnn` "
        "without pooling and shortcuts, with same padding; the decoder has their transposes.",
        kinds=blocks,
    )
    norm: str | None = option(
        None, "What normalises the convolutions, as in `arch: cnn`.", choices=NORMS
    )


@dataclass(frozen=True)
class AutoencoderOptions(ImageOptions, _Hidden):
    """Autoencoder: an encoder to a short code, and a decoder back to the input."""

    # Variances add up on the way to the code and back; wide priors would drown the data for long.
    gain_weight: float = option(
        0.3, "Factor on the prior standard deviation of the weights, not on their means.", above=0
    )

    def faults(self) -> list[str]:
        """Blocks that have no transpose."""
        return [
            f".blocks.{place}.{name}: found '{getattr(block, name)}', which has no way back in a "
            f"decoder. Allowed: {shown}"
            for place, block in enumerate(self.blocks)
            for name, allowed, shown in (
                ("pool", None, "null, and a stride instead"),
                ("residual", False, "false"),
                ("padding", "same", "same"),
            )
            if getattr(block, name) != allowed
        ]


def build(options: AutoencoderOptions, input_shape: tuple[int, ...], outputs: int) -> nn.Layer:
    """Encoder and decoder as the two nodes of a graph.

    Raises:
        UserError: the outputs are not those of the input, or its sides are no multiples of strides.
    """
    units = math.prod(input_shape)
    if outputs != units:
        raise UserError(
            f"arch: an autoencoder gives back its input, {units} units, and the task needs "
            f"{outputs}. Set task=reconstruction, and a noise other than heteroscedastic"
        )
    if options.blocks and len(input_shape) != 3:
        raise UserError(
            f"arch.blocks: convolutions take images, and the rows of the data are {input_shape}. "
            "Allowed: []"
        )
    shapes, encoder = [tuple(input_shape)], list[nn.Layer]()
    for place, block in enumerate(options.blocks):
        where = f"arch.blocks.{place}"
        parts = [(where, partial(conv_block, block, options, options.norm))]
        layers, shape = in_turn(parts, shapes[-1])
        if any(size % block.stride for size in shapes[-1][1:]):
            raise UserError(
                f"{where}.stride: found {block.stride}, but its images are "
                f"{shapes[-1][1]} x {shapes[-1][2]}, which the decoder could not give back. "
                "Allowed: a divisor of both"
            )
        encoder += layers
        shapes.append(shape)
    encoder += [*hidden(options, options.units), nn.Linear(0, options.code, **options.prior())]
    return nn.Graph(
        [
            nn.Node("encoder", nn.Sequential(*encoder)),
            nn.Node("decoder", nn.Sequential(*_decoder(options, shapes)), ("encoder",)),
        ]
    )


def _decoder(options: AutoencoderOptions, shapes: list[tuple[int, ...]]) -> list[nn.Layer]:
    """From the code to the units of the input, through `shapes` backwards."""
    layers = hidden(options, options.units[::-1])
    count = math.prod(shapes[-1])
    if not options.blocks:
        return [*layers, nn.Linear(0, count, **options.prior()), *options.ending()]
    layers += [*hidden(options, (count,)), nn.Reshape(shapes[-1])]
    for place in reversed(range(len(options.blocks))):
        block: ConvBlockOptions = options.blocks[place]
        norm = options.norm if block.norm == "network" else block.norm
        norm = norm if place else None
        prior = options.prior()
        if norm is not None:
            prior["bias"] = False
        layers.append(
            nn.ConvTranspose2d(
                0, shapes[place][0], block.kernel, stride=block.stride, padding="same", **prior
            )
        )
        if place:
            layers += normalisation(norm, shapes[place])
            layers.append(activation(block.activation or options.activation))
    return [*layers, nn.Flatten(), *options.ending()]


registry.register("autoencoder", AutoencoderOptions, build)
