"""Transposed convolution."""

from __future__ import annotations

from tagi_cli import nn
from tagi_cli.pytagi.nn.base_layer import BaseLayer
from tagi_cli.pytagi.nn.conv2d import image_of


class ConvTranspose2d(BaseLayer):
    """Transposed convolution of images `(in_channels, in_height, in_width)`.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: height and width of the kernel.
        bias: whether there is a bias per output channel.
        stride: output pixels between the kernels of neighbouring input pixels.
        padding: pixels cut off the output.
        padding_type: 1 cuts all sides, 2 the bottom and the right only.
        in_width: width of the image; needed behind a flat layer.
        in_height: height of the image; needed behind a flat layer.
        gain_weight: factor on the prior standard deviation of the weights (not on their means).
        gain_bias: the same for the biases.
        init_method: `He` or `Xavier`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        bias: bool = True,
        stride: int = 1,
        padding: int = 0,
        padding_type: int = 1,
        in_width: int = 0,
        in_height: int = 0,
        gain_weight: float = 1.0,
        gain_bias: float = 1.0,
        init_method: str = "He",
    ) -> None:
        super().__init__()
        self._layer = nn.ConvTranspose2d(
            in_channels, out_channels, kernel_size, bias, stride, padding, padding_type, in_width,
            in_height, gain_weight, gain_bias, init_method,
        )  # fmt: skip
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.padding_type = padding_type
        self.gain_weight = gain_weight
        self.gain_bias = gain_bias
        self.init_method = init_method

    def _drawable(self) -> bool:
        return self.in_channels > 0

    def _input_shape(self) -> tuple[int, ...] | None:
        return image_of(self)
