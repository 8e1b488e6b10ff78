"""Convolutions of images, block by block."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from tagi_cli import nn
from tagi_cli.arch.images import (
    NORMS,
    ConvBlockOptions,
    ImageOptions,
    blocks,
    conv_block,
    hidden,
    image,
    in_turn,
)
from tagi_cli.arch.registry import registry
from tagi_cli.options import option

_USUAL = tuple(ConvBlockOptions(channels, pool="average") for channels in (32, 64))


@dataclass(frozen=True)
class _Hidden:
    """The hidden layers."""

    blocks: tuple[Any, ...] = option(
        (),
        "Convolutions from the image on, each `{kind: conv, channels: 32, <options>}`. Empty: 32 "
        "and 64 channels, kernels of 3 x 3, each followed by average pooling.",
        kinds=blocks,
    )
    units: tuple[int, ...] = option(
        (128,), "Units of the fully connected layers between the blocks and the output.", minimum=1
    )
    norm: str | None = option(
        "batch",
        "What normalises each convolution. batch: each channel over rows and pixels; layer: each "
        "row over channels and pixels; null: nothing.",
        choices=NORMS,
    )


@dataclass(frozen=True)
class CNNOptions(ImageOptions, _Hidden):
    """Convolutional network for images, block by block."""


def build(options: CNNOptions, input_shape: tuple[int, ...], outputs: int) -> nn.Layer:
    """The network for `outputs` output units.

    Raises:
        UserError: the input is no image, or a block does not fit what comes before.
    """
    shape = image(input_shape, "cnn")
    parts = [
        (f"arch.blocks.{place}", partial(conv_block, block, options, options.norm))
        for place, block in enumerate(options.blocks or _USUAL)
    ]
    layers, _ = in_turn(parts, shape)
    output = nn.Linear(0, outputs, **options.prior())
    return nn.Sequential(*layers, *hidden(options, options.units), output, *options.ending())


registry.register("cnn", CNNOptions, build)
