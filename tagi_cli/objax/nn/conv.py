"""Convolutions of images `(N, C, H, W)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.nn.layers.geometry import pair
from tagi_cli.objax.constants import ConvPadding
from tagi_cli.objax.module import Module
from tagi_cli.objax.nn.init import Initialiser, drawn, kaiming_normal, kaiming_normal_gain
from tagi_cli.objax.tracing import Leaf, Slot, Tensor
from tagi_cli.objax.variable import TrainVar

Size = int | tuple[int, int]
Padding = ConvPadding | str | int | Sequence[Any]
Sides = str | tuple[tuple[int, int], tuple[int, int]]

_KERNEL_AXES = (2, 3, 1, 0)
"""Axes of a kernel (height, width, in, out) as those of a layer's weights (out, in, ...)."""


def sides(padding: Padding) -> Sides:
    """`same` or `valid`, or the zeros (top, bottom), (left, right).

    Args:
        padding: a word; one number for all sides; `(before, after)` for both axes alike; or a pair
            for each axis.

    Raises:
        ValueError: something else.
    """
    match padding:
        case ConvPadding():
            return padding.value.lower()
        case str() if padding.upper() in ConvPadding.__members__:
            return padding.lower()
        case int():
            return (padding, padding), (padding, padding)
        case (int(before), int(after)):
            return (before, after), (before, after)
        case ((int(top), int(bottom)), (int(left), int(right))):
            return (top, bottom), (left, right)
    raise ValueError(
        f"padding {padding}: allowed are SAME, VALID, one number, (before, after) for both axes "
        "alike, or ((top, bottom), (left, right))"
    )


class _Convolution(Module, Leaf):
    """What both directions share: a kernel and a bias."""

    def __init__(
        self,
        kernel: tuple[int, int, int, int],
        nout: int,
        strides: Size,
        dilations: Size,
        padding: Padding,
        use_bias: bool,
        w_init: Initialiser,
    ) -> None:
        weights = drawn(w_init, kernel, kaiming_normal_gain)
        self.b = TrainVar(np.zeros((nout, 1, 1)), weights.var.mean()) if use_bias else None
        self.w = TrainVar(*weights)
        self.padding = sides(padding)
        self.strides = pair("strides", strides)
        self.dilations = pair("dilations", dilations)

    def _options(self) -> dict[str, Any]:
        return {
            "kernel_size": self.w.shape[:2],
            "bias": self.b is not None,
            "stride": self.strides,
            "dilation": self.dilations,
        }

    def slots(self, tensors: Mapping[str, Tensor]) -> list[Slot]:
        """See `Leaf.slots`."""
        weights = Slot(self.w, ("weight",), _KERNEL_AXES)
        return [weights] if self.b is None else [weights, Slot(self.b, ("bias",))]


class Conv2D(_Convolution):
    """Convolution, `out[n, c, h, w] = b[c] + sum in[n, t, h s + i d, w s + j d] w[i, j, t, c]`.

    The kernel is not flipped. With groups, each part of the outputs sees one part of the inputs.

    Attributes:
        b: biases `(nout, 1, 1)` with mean 0 and the variance of the weights, or None.
        w: kernel `(height, width, nin / groups, nout)`.

    Args:
        nin: channels of the input.
        nout: channels of the output.
        k: size of the kernel, or height and width.
        strides: steps between placements of the kernel.
        dilations: steps between taps of the kernel.
        groups: parts that channels are cut into.
        padding: zeros round the image: `SAME` (`ceil(size / stride)` pixels come out; an odd zero
            goes below or right), `VALID`, a number, `(before, after)` for both axes, or
            `((top, bottom), (left, right))`.
        use_bias: whether there is a bias.
        w_init: given the shape of the kernel, gives its prior.

    Raises:
        ValueError: a size or padding is not allowed, or `groups` does not divide the channels.
    """

    def __init__(
        self,
        nin: int,
        nout: int,
        k: Size,
        strides: Size = 1,
        dilations: Size = 1,
        groups: int = 1,
        padding: Padding = ConvPadding.SAME,
        use_bias: bool = True,
        w_init: Initialiser = kaiming_normal,
    ) -> None:
        if groups < 1 or nin % groups or nout % groups:
            raise ValueError(f"groups {groups}: must divide {nin} and {nout} channels")
        kernel = (*pair("k", k), nin // groups, nout)
        super().__init__(kernel, nout, strides, dilations, padding, use_bias, w_init)
        self.groups = groups

    def __call__(self, x: Any) -> Any:
        """Moments of the convolution of images `(N, nin, H, W)`."""
        _, _, depth, nout = self.w.shape
        return x.record(
            nn.Conv2d,
            self,
            in_channels=depth * self.groups,
            out_channels=nout,
            padding=self.padding,
            groups=self.groups,
            **self._options(),
        )


class ConvTranspose2D(_Convolution):
    """Transposed convolution: the adjoint of a `Conv2D` from `nout` to `nin` channels.

    Attributes:
        b: biases `(nout, 1, 1)` with mean 0 and the variance of the weights, or None.
        w: kernel `(height, width, nout, nin)`.

    Args:
        nin: channels of the input.
        nout: channels of the output.
        k: size of the kernel, or height and width.
        strides: output pixels between the kernels of neighbouring input pixels.
        dilations: steps between taps of the kernel.
        padding: `SAME` (`size strides` pixels come out), `VALID` (all that kernels reach, and at
            least that many), or zeros round the input spread out by the strides: a number,
            `(before, after)` for both axes, or `((top, bottom), (left, right))`. So a larger
            number gives a larger image.
        use_bias: whether there is a bias.
        w_init: given the shape of the kernel, gives its prior.

    Raises:
        ValueError: a size or padding is not allowed.
    """

    def __init__(
        self,
        nin: int,
        nout: int,
        k: Size,
        strides: Size = 1,
        dilations: Size = 1,
        padding: Padding = ConvPadding.SAME,
        use_bias: bool = True,
        w_init: Initialiser = kaiming_normal,
    ) -> None:
        kernel = (*pair("k", k), nout, nin)
        super().__init__(kernel, nout, strides, dilations, padding, use_bias, w_init)

    def _cut(self) -> Sides:
        """The pixels cut off the image that all kernels paint."""
        if isinstance(self.padding, str):
            return self.padding
        (top, bottom), (left, right) = self.padding
        y, x = ((k - 1) * d for k, d in zip(self.w.shape, self.dilations, strict=False))
        return (y - top, y - bottom), (x - left, x - right)

    def __call__(self, x: Any) -> Any:
        """Moments of the transposed convolution of images `(N, nin, H, W)`."""
        _, _, nout, nin = self.w.shape
        return x.record(
            nn.ConvTranspose2d,
            self,
            in_channels=nin,
            out_channels=nout,
            padding=self._cut(),
            **self._options(),
        )
