"""What networks of images have in common: blocks of a convolution and what follows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tagi_cli import nn
from tagi_cli.arch.mlp import ACTIVATIONS
from tagi_cli.arch.output import OutputOptions
from tagi_cli.errors import UserError
from tagi_cli.options import Registry, option

NORMS = ("batch", "layer")
POOLS = ("average", "max")

Image = tuple[int, int, int]
"""Channels, height and width."""

blocks = Registry("block")
"""Kinds of blocks; an item of `arch.blocks` is one."""


@dataclass(frozen=True)
class ConvBlockOptions:
    """A convolution, then normalisation, activation and pooling."""

    channels: int = option(doc="Channels of its output.", minimum=1)
    kernel: int = option(3, "Height and width of the kernel.", minimum=1)
    stride: int = option(1, "Pixels from one place of the kernel to the next.", minimum=1)
    padding: int | Literal["same"] = option(
        "same",
        "Zeros round the image. same: so many that stride 1 keeps its size.",
        minimum=0,
    )
    norm: str | None = option(
        "network",
        "What normalises the convolution. network: what `arch.norm` says; batch: each channel over "
        "rows and pixels; layer: each row over channels and pixels; null: nothing.",
        choices=("network", *NORMS),
    )
    activation: str | None = option(
        None, "Activation; null is that of the network.", choices=ACTIVATIONS
    )
    residual: bool = option(
        False,
        "Whether what goes in is added to what comes out before pooling, through a convolution of "
        "one pixel where the shapes differ.",
    )
    pool: str | None = option(None, "Pooling at the end.", choices=POOLS)
    pool_kernel: int = option(2, "Height and width of what is pooled.", minimum=1)
    pool_stride: int | None = option(
        None, "Pixels from one pool to the next; null is `pool_kernel`.", minimum=1
    )


blocks.register("conv", ConvBlockOptions, ConvBlockOptions)


@dataclass(frozen=True)
class ImageOptions(OutputOptions):
    """A network that takes images."""

    activation: str = option("mixture_relu", "Activation of the hidden units.", choices=ACTIVATIONS)

    def step_faults(self) -> list[str]:
        """Images have no steps."""
        return [
            "arch: takes images, but the task gives an output per step of windows. Allowed: lstm, "
            "slstm, tcn"
        ]


def image(input_shape: tuple[int, ...], kind: str) -> Image:
    """The shape of an image.

    Raises:
        UserError: the input is none.
    """
    if len(input_shape) != 3:
        raise UserError(
            f"arch: {kind} takes images (channels, height, width), and the rows of the data are "
            f"{input_shape}. Allowed for tables: mlp; for windows: lstm, cnn1d, tcn"
        )
    return input_shape[0], input_shape[1], input_shape[2]


def activation(name: str) -> nn.Layer:
    """An activation layer."""
    kind = nn.registry[name]
    layer: nn.Layer = kind.build(kind.options())
    return layer


def normalisation(norm: str | None, shape: tuple[int, ...]) -> list[nn.Layer]:
    """The layer that normalises images of a shape; none where `norm` is None."""
    if norm is None:
        return []
    return [nn.BatchNorm2d(projected=True) if norm == "batch" else nn.LayerNorm(shape)]


def convolution(
    options: ImageOptions,
    channels: int,
    kernel: int,
    norm: str | None,
    *,
    stride: int = 1,
    padding: int | Literal["same"] = "same",
) -> nn.Layer:
    """A convolution; one that is normalised has no bias, which would have no effect."""
    prior = options.prior()
    if norm is not None:
        prior["bias"] = False
    return nn.Conv2d(0, channels, kernel, stride=stride, padding=padding, **prior)


def _pool(block: ConvBlockOptions) -> list[nn.Layer]:
    if block.pool is None:
        return []
    stride = block.pool_stride or block.pool_kernel
    kind = nn.AvgPool2d if block.pool == "average" else nn.MaxPool2d
    return [kind(block.pool_kernel, stride)]


def conv_block(
    block: ConvBlockOptions, options: ImageOptions, norm: str | None, shape: tuple[int, ...]
) -> list[nn.Layer]:
    """The layers of a block, made anew.

    Args:
        block: what to make.
        options: of the network.
        norm: normalisation of the network.
        shape: of the images that the block gets.

    Raises:
        ValueError: the block cannot take them.
    """
    norm = norm if block.norm == "network" else block.norm
    size = {"stride": block.stride, "padding": block.padding}

    def conv() -> nn.Layer:
        return convolution(options, block.channels, block.kernel, norm, **size)  # type: ignore[arg-type]

    made = nn.output_shape(conv(), shape)
    main = [conv(), *normalisation(norm, made), activation(block.activation or options.activation)]
    if not block.residual:
        return [*main, *_pool(block)]
    shortcut = None
    if made != shape:
        shortcut = convolution(options, block.channels, 1, None, stride=block.stride)
    return [nn.ResNetBlock(nn.Sequential(*main), shortcut), *_pool(block)]


Part = tuple[str, Callable[[tuple[int, ...]], list[nn.Layer]]]
"""A config path, and a function that makes layers, anew each time, for the shape before them."""


def in_turn(
    parts: Sequence[Part], shape: tuple[int, ...]
) -> tuple[list[nn.Layer], tuple[int, ...]]:
    """Layers that follow each other, and the shape that they give.

    Args:
        parts: what makes them.
        shape: of the input.

    Raises:
        UserError: a part cannot take what comes before.
    """
    layers: list[nn.Layer] = []
    for where, make in parts:
        try:
            tried = make(shape)
            after = nn.output_shape(nn.Sequential(*tried), shape) if tried else shape
            layers += make(shape)
        except ValueError as error:
            raise UserError(f"{where}: {error}") from None
        shape = after
    return layers, shape


def hidden(options: ImageOptions, units: Sequence[int], norm: str | None = None) -> list[nn.Layer]:
    """Fully connected layers of these units, each with its activation."""
    prior = options.prior()
    if norm is not None:
        prior["bias"] = False
    made: list[nn.Layer] = []
    for size in units:
        made += [nn.Linear(0, size, **prior), *normalisation(norm, (size,))]
        made.append(activation(options.activation))
    return made
