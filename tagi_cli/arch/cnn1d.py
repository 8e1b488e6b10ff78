"""Convolutions along time that look both ways."""

from __future__ import annotations

from dataclasses import dataclass

from tagi_cli import nn
from tagi_cli.arch import convolution
from tagi_cli.arch.convolution import ConvolutionOptions
from tagi_cli.arch.registry import registry
from tagi_cli.nn.layers.geometry import Padding


@dataclass(frozen=True)
class CNN1dOptions(ConvolutionOptions):
    """Dilated convolutions along time, centred on each step."""

    def step_faults(self) -> list[str]:
        """The last steps of a window look into the padding behind it."""
        return [
            "arch: 'cnn1d' looks ahead, into the padding behind windows of several lengths, but "
            "the task gives an output per step. Allowed: lstm, slstm, tcn"
        ]


def build(options: CNN1dOptions, input_shape: tuple[int, ...], outputs: int) -> nn.Layer:
    """See `convolution.build`; zeros on both sides, the odd one behind."""
    return convolution.build(options, input_shape, outputs, "cnn1d", _both_sides)


def _both_sides(span: int) -> Padding:
    return ((0, 0), (span // 2, span - span // 2))


registry.register("cnn1d", CNN1dOptions, build)
