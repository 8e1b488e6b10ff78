"""What networks of convolutions along time have in common."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tagi_cli import nn
from tagi_cli.arch.mlp import ACTIVATIONS
from tagi_cli.arch.output import StepOutputOptions, window
from tagi_cli.nn.layers.geometry import Padding
from tagi_cli.options import option

NORMALIZATIONS = ("batch", "layer")

Pads = Callable[[int], Padding]
"""Padding of a window for the steps between the first and the last tap of a kernel."""


@dataclass(frozen=True)
class _Hidden:
    """The convolutions."""

    num_filters: int = option(32, "Channels of each convolution.", minimum=1)
    kernel_size: int = option(3, "Steps that a kernel sees.", minimum=1)
    depth: int | None = option(
        None,
        "Number of convolutions. null: as many as it takes for an output to see a whole window.",
        minimum=1,
    )
    dilation_base: int = option(
        2,
        "The taps of the kernel of layer i, from 0, are `dilation_base**i` steps apart.",
        minimum=1,
    )
    activation: str = option("mixture_relu", "Activation of the hidden units.", choices=ACTIVATIONS)
    normalization: str | None = option(
        None,
        "What follows each convolution. batch: normalises each channel over rows and steps; layer: "
        "each step over its channels; null: nothing.",
        choices=NORMALIZATIONS,
    )
    dropout: float = option(
        0.0,
        "Probability that a hidden unit is dropped, as moments. 0, as the uncertainty of the "
        "weights regularises already.",
        minimum=0,
        below=1,
    )
    residual_connect: bool = option(
        True, "Whether what goes into a layer is added to what comes out of it."
    )


@dataclass(frozen=True)
class ConvolutionOptions(StepOutputOptions, _Hidden):
    """Convolutions along time."""

    def layers(self, steps: int) -> int:
        """Number of convolutions for windows of so many steps."""
        if self.depth is not None:
            return self.depth
        reach, base = self.kernel_size - 1, self.dilation_base
        if steps == 1 or not reach:
            return 1
        if base == 1:
            return math.ceil((steps - 1) / reach)
        layers, seen = 0, 1
        while seen < steps:
            seen += reach * base**layers
            layers += 1
        return layers

    def step_faults(self) -> list[str]:
        """Statistics over all steps of a batch count the padding."""
        found = super().step_faults()
        if self.normalization == "batch":
            found.append(
                "arch.normalization: found 'batch', which would count the steps that pad windows "
                "of several lengths. Allowed: null, layer"
            )
        return found


def build(
    options: ConvolutionOptions, input_shape: tuple[int, ...], outputs: int, kind: str, pads: Pads
) -> nn.Layer:
    """The network for `outputs` output units.

    Args:
        options: of the architecture.
        input_shape: `(steps, columns)`, or `(columns,)`.
        outputs: units of the output, step by step where `options.head` is `step`.
        kind: its name, for the error.
        pads: how windows are padded, so that they keep their steps.

    Raises:
        UserError: the input is no window, or its steps do not share the outputs evenly.
    """
    steps, columns = window(input_shape, kind)
    # Convolutions take images (channels, 1, steps); all else takes (steps, units).
    layers: list[nn.Layer] = [nn.Reshape((steps, columns)), *_to_image(steps, columns)]
    channels = columns
    for place in range(options.layers(steps)):
        layers.append(_layer(options, channels, steps, options.dilation_base**place, pads))
        channels = options.num_filters
    layers += _to_steps(steps, channels)
    if options.head == "last":
        first = (steps - 1) * channels
        layers.append(nn.Select(tuple(range(first, first + channels))))
    return nn.Sequential(*layers, *options.output(steps, outputs))


def _layer(
    options: ConvolutionOptions, channels: int, steps: int, dilation: int, pads: Pads
) -> nn.Layer:
    """One convolution and what follows it, from images of `channels` channels."""
    filters, activation = options.num_filters, nn.registry[options.activation]
    main: list[nn.Layer] = [
        nn.Conv2d(
            channels,
            filters,
            (1, options.kernel_size),
            padding=pads((options.kernel_size - 1) * dilation),
            dilation=(1, dilation),
            **options.prior(),
        )
    ]
    if options.normalization == "batch":
        main.append(nn.BatchNorm2d(filters))
    if options.normalization == "layer":
        norm = nn.LayerNorm((filters,))
        main += [*_to_steps(steps, filters), norm, *_to_image(steps, filters)]
    main.append(activation.build(activation.options()))
    if options.dropout:
        main.append(nn.Dropout(1 - options.dropout))
    if not options.residual_connect:
        return nn.Sequential(*main)
    shortcut = None
    if channels != filters:
        shortcut = nn.Conv2d(channels, filters, 1, **options.prior())
    return nn.ResNetBlock(nn.Sequential(*main), shortcut)


def _to_image(steps: int, channels: int) -> list[nn.Layer]:
    return [nn.Transpose((1, 0)), nn.Reshape((channels, 1, steps))]


def _to_steps(steps: int, channels: int) -> list[nn.Layer]:
    return [nn.Reshape((channels, steps)), nn.Transpose((1, 0))]
