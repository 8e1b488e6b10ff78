"""Pooling layers."""

from __future__ import annotations

from tagi_cli import nn
from tagi_cli.pytagi.nn.base_layer import BaseLayer


class AvgPool2d(BaseLayer):
    """Average of each window, channel by channel.

    Args:
        kernel_size: height and width of the window.
        stride: steps between windows; -1 takes the size of the kernel.
        padding: zeros round the image; they count in the average.
        padding_type: 0 or 1 pads all sides, 2 the bottom and the right only.
    """

    def __init__(
        self, kernel_size: int, stride: int = -1, padding: int = 0, padding_type: int = 0
    ) -> None:
        super().__init__()
        self._layer = nn.AvgPool2d(kernel_size, stride, padding, padding_type)
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.padding_type = padding_type


class MaxPool2d(BaseLayer):
    """Moments of that pixel of each window whose mean is largest.

    Args:
        kernel_size: height and width of the window.
        stride: steps between windows.
        padding: round the image; padding is never chosen.
        padding_type: 0 or 1 pads all sides, 2 the bottom and the right only.
    """

    def __init__(
        self, kernel_size: int, stride: int = 1, padding: int = 0, padding_type: int = 0
    ) -> None:
        super().__init__()
        self._layer = nn.MaxPool2d(kernel_size, stride, padding, padding_type)
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.padding_type = padding_type
