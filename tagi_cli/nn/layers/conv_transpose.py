"""Transposed convolution."""

from __future__ import annotations

from tagi_cli.backend.sliding_window import Window
from tagi_cli.nn.layer import Shape
from tagi_cli.nn.layers.conv import Convolution


class ConvTranspose2d(Convolution):
    """Transposed convolution: each input pixel paints the kernel, times its value, on the output.

    The adjoint of a `Conv2d` from the output to the input. Images are `(C, H, W)`, weights
    `(in_channels, out_channels / groups, height, width)`. An axis of `n` pixels gives
    `(n - 1) stride + (k - 1) dilation + 1` less the padding.

    Args:
        in_channels: channels of the input; 0 takes them from the layer before.
        out_channels: channels of the output.
        kernel_size: size of the kernel, or height and width.
        bias: whether there is a bias per output channel.
        stride: output pixels between the kernels of neighbouring input pixels.
        padding: what is cut off the output: one number, `same` (the output has `n stride` pixels),
            `valid` (nothing is cut, and there are at least `n stride` pixels), or
            `[[top, bottom], [left, right]]`, where a negative number adds pixels.
        padding_type: for one number: 1 (or 0) cuts all sides, 2 the bottom and the right only.
        in_width: width of the image; needed where the input is a flat row.
        in_height: height of the image; needed where the input is a flat row.
        gain_weight: factor on the prior standard deviation of the weights (not on their means).
        gain_bias: the same for the biases.
        init_method: `He` or `Xavier`.
        dilation: steps between taps of the kernel.
        groups: parts that channels are cut into; each input part paints one output part.
        gain_mean: factor on the spread of the prior means.
        init: what the prior is drawn from, where it is not the normal of `init_method`.

    Raises:
        ValueError: a size is not allowed, or `groups` does not divide the channels.
    """

    kind = "conv_transpose2d"
    transposed = True

    def _window(self, image: Shape) -> Window:
        (O, P, Q), sliding = image, self.sliding
        (H, W), (top, left) = sliding.painted((P, Q))
        return Window(
            self.out_channels, H, W, O, P, Q, *sliding.kernel, *sliding.stride, *sliding.dilation,
            top, left, self.groups,
        )  # fmt: skip
