"""Temporal convolutional network: convolutions along time that never look ahead."""

from __future__ import annotations

from dataclasses import dataclass

from tagi_cli import nn
from tagi_cli.arch import convolution
from tagi_cli.arch.convolution import ConvolutionOptions
from tagi_cli.arch.registry import registry
from tagi_cli.nn.layers.geometry import Padding


@dataclass(frozen=True)
class TCNOptions(ConvolutionOptions):
    """Temporal convolutional network: dilated convolutions of each step and those before it.

    After Bai, Kolter & Koltun (2018, arXiv:1803.01271), with one convolution to a residual block.
    """


def build(options: TCNOptions, input_shape: tuple[int, ...], outputs: int) -> nn.Layer:
    """See `convolution.build`; zeros in front alone."""
    return convolution.build(options, input_shape, outputs, "tcn", _in_front)


def _in_front(span: int) -> Padding:
    return ((0, 0), (span, 0))


registry.register("tcn", TCNOptions, build)
