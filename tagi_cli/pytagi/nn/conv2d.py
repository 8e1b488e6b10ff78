"""Convolution."""

from __future__ import annotations

from tagi_cli import nn
from tagi_cli.pytagi.nn.base_layer import BaseLayer


class Conv2d(BaseLayer):
    """Convolution of images `(in_channels, in_height, in_width)`.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: height and width of the kernel.
        bias: whether there is a bias per output channel.
        stride: steps between placements of the kernel.
        padding: zeros round the image.
        padding_type: 1 pads all sides, 2 the bottom and the right only.
        in_width: width of the image; needed in the first layer.
        in_height: height of the image; needed in the first layer.
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
        self._layer = nn.Conv2d(
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


def image_of(layer: BaseLayer) -> tuple[int, ...] | None:
    """The image that a layer's own options describe, if they do."""
    core = layer.layer
    shape: tuple[int, ...] = tuple(
        int(getattr(core, name)) for name in ("in_channels", "in_height", "in_width")
    )
    return shape if all(shape) else None
