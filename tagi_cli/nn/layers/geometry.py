"""Sizes of images under sliding windows: kernels, strides, dilation, padding.

All of it works along each axis by itself. Where a stride does not divide what is left of an image,
the last pixels see no window (floor division, as in PyTorch); sizes need not be square.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tagi_cli.nn.layer import Shape, ShapeError

Size = int | tuple[int, int]
"""One number for both axes, or height and width."""

Padding = int | Literal["same", "valid"] | tuple[tuple[int, int], tuple[int, int]]
"""See `Sliding`."""

Pair = tuple[int, int]


def pair(what: str, value: Size | Sequence[int], minimum: int = 1) -> Pair:
    """Height and width.

    Args:
        what: name of the option, for the error.
        value: one number for both, or two.
        minimum: the least that is allowed.

    Raises:
        ValueError: something else.
    """
    both = (value, value) if isinstance(value, int) else tuple(value)
    if len(both) != 2 or not all(isinstance(v, int) and v >= minimum for v in both):
        raise ValueError(
            f"{what} {value}: give a whole number of at least {minimum}, or two (height, width)"
        )
    return both[0], both[1]


def _sides(padding: Padding, padding_type: int, minimum: int | None) -> tuple[Pair, Pair] | str:
    """The word in lower case, or the numbers (top, bottom), (left, right)."""
    match padding:
        case int(after):
            before = 0 if padding_type == 2 else after
            sides = ((before, after), (before, after))
        case ((int(top), int(bottom)), (int(left), int(right))):
            sides = ((top, bottom), (left, right))
        case str() if padding.lower() in ("same", "valid"):
            return padding.lower()
        case _:
            raise ValueError(
                f"padding {padding}: allowed are a whole number, 'same', 'valid', or "
                "[[top, bottom], [left, right]]"
            )
    if minimum is not None and min(*sides[0], *sides[1]) < minimum:
        raise ValueError(f"padding {padding}: give numbers of at least {minimum}")
    return sides


@dataclass(frozen=True)
class Sliding:
    """A kernel sliding over an image.

    Attributes:
        kernel, stride, dilation: height and width.
        padding: `same`, `valid`, or numbers `(top, bottom), (left, right)`. Towards the placements
            of a kernel, zeros added round the image: `same` gives `ceil(size / stride)` placements
            and puts the odd zero below or right, `valid` adds none. From placements to the image
            that they paint, pixels cut off it, or added where negative: `same` gives
            `size * stride` pixels, `valid` at least the stride for each placement.
    """

    kernel: Pair
    stride: Pair
    dilation: Pair
    padding: tuple[Pair, Pair] | str

    @classmethod
    def of(
        cls,
        kernel_size: Size,
        stride: Size,
        dilation: Size,
        padding: Padding,
        padding_type: int,
        *,
        cut: bool = False,
    ) -> Sliding:
        """Check what a user gives.

        Args:
            kernel_size: height and width of the kernel.
            stride: steps between placements.
            dilation: steps between taps of the kernel.
            padding: one number for all sides, or as the attribute.
            padding_type: for one number: 2 pads the bottom and the right only, 0 and 1 all sides.
            cut: whether the padding is cut off, so that it may be negative.

        Raises:
            ValueError: a value that is not allowed.
        """
        if padding_type not in (0, 1, 2):
            raise ValueError(f"padding_type {padding_type}: allowed are 0, 1, 2")
        return cls(
            pair("kernel_size", kernel_size),
            pair("stride", stride),
            pair("dilation", dilation),
            _sides(padding, padding_type, None if cut else 0),
        )

    @property
    def extent(self) -> Pair:
        """Pixels from the first to the last tap of the kernel."""
        (kh, kw), (dh, dw) = self.kernel, self.dilation
        return (kh - 1) * dh + 1, (kw - 1) * dw + 1

    def _zeros(self, size: int, axis: int) -> Pair:
        if isinstance(self.padding, tuple):
            return self.padding[axis]
        if self.padding == "valid":
            return 0, 0
        stride, extent = self.stride[axis], self.extent[axis]
        total = max((math.ceil(size / stride) - 1) * stride + extent - size, 0)
        return total // 2, total - total // 2

    def _cut(self, axis: int) -> Pair:
        if isinstance(self.padding, tuple):
            return self.padding[axis]
        stride, extent = self.stride[axis], self.extent[axis]
        if self.padding == "valid":
            return 0, min(extent - stride, 0)
        first = 0 if stride > extent - 1 else extent - 1 - math.ceil((extent + stride - 2) / 2)
        return first, extent - stride - first

    def placements(self, image: Pair) -> tuple[Pair, Pair]:
        """Rows and columns of placements on an image, and the zeros above and left of it.

        Raises:
            ShapeError: the kernel is larger than the padded image; starts with "needs".
        """
        zeros = [self._zeros(size, axis) for axis, size in enumerate(image)]
        padded = [size + sum(z) for size, z in zip(image, zeros, strict=True)]
        if any(p < e for p, e in zip(padded, self.extent, strict=True)):
            (height, width), (h, w) = self.extent, padded
            raise ShapeError(f"needs {height} x {width} pixels but its padded image has {h} x {w}")
        count = [(p - e) // s + 1 for p, e, s in zip(padded, self.extent, self.stride, strict=True)]
        return (count[0], count[1]), (zeros[0][0], zeros[1][0])

    def painted(self, placements: Pair) -> tuple[Pair, Pair]:
        """Height and width of the image that placements paint, and what is cut above and left.

        Raises:
            ShapeError: the padding cuts all of it off; starts with "cuts".
        """
        cuts = [self._cut(axis) for axis in range(2)]
        full = [
            (n - 1) * s + e for n, s, e in zip(placements, self.stride, self.extent, strict=True)
        ]
        size = [f - sum(c) for f, c in zip(full, cuts, strict=True)]
        if min(size) < 1:
            raise ShapeError(f"cuts {sum(cuts[0])} x {sum(cuts[1])} off {full[0]} x {full[1]}")
        return (size[0], size[1]), (cuts[0][0], cuts[1][0])


def image_shape(what: str, shape: Shape, channels: int, height: int, width: int) -> Shape:
    """The image `(C, H, W)` that a layer sees in its input.

    Args:
        what: the layer, for the error.
        shape: shape of one row; a flat one is read as an image of the sizes that follow.
        channels: expected channels; 0 takes what comes.
        height: expected height; 0 takes what comes.
        width: expected width; 0 takes what comes.

    Raises:
        ShapeError: the input is no such image.
    """
    if len(shape) == 3:
        for name, found, wanted in zip(
            ("channels", "rows", "columns"), shape, (channels, height, width), strict=True
        ):
            if wanted not in (0, found):
                raise ShapeError(f"{what} takes {wanted} {name} but gets {found} {shape}")
        return shape
    if len(shape) != 1:
        raise ShapeError(f"{what} takes images (channels, height, width) but gets {shape}")
    if not (height and width):
        raise ShapeError(
            f"{what} takes images, as reshape makes them, or rows of units with in_height and "
            f"in_width given, but gets {shape[0]} units"
        )
    channels = channels or shape[0] // (height * width)
    if channels * height * width != shape[0]:
        raise ShapeError(
            f"{what} takes {channels} x {height} x {width} = {channels * height * width} units "
            f"but gets {shape[0]}"
        )
    return channels, height, width


def shown(size: Pair) -> str:
    """`3` for a square, else `3x5`."""
    return str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"
