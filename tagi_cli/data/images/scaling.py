"""Centre and scale of pixels, fitted on training images without turning them all into numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.images.images import Images
from tagi_cli.data.scaling import Moments, fit

Floats = NDArray[np.float64]

LEAST_SHARE = 0.1
"""A pixel's scale is at least this share of its channel's."""

# Bytes looked at together.
_BLOCK = 1 << 24


class PixelMoments(NamedTuple):
    """Moments of bytes, `(C, h, w)` each; over the images."""

    mean: Floats
    square: Floats
    minimum: Floats
    maximum: Floats
    images: int

    def of_channels(self) -> list[Moments]:
        """Those of each channel, over its pixels too."""
        axes = (1, 2)
        mean = self.mean.mean(axis=axes)
        var = np.maximum(self.square.mean(axis=axes) - mean**2, 0)
        values = self.images * self.mean[0].size
        low, high = self.minimum.min(axis=axes), self.maximum.max(axis=axes)
        sds = np.sqrt(var)
        return [
            Moments(float(mean[c]), float(sds[c]), float(low[c]), float(high[c]), values)
            for c in range(len(mean))
        ]


def moments(images: Images) -> PixelMoments:
    """Moments of the bytes of the middle of each image; sums are exact."""
    shape = (images.whole[0], *images.size)
    total, square = np.zeros((2, *shape), np.int64)
    low, high = np.full(shape, 255), np.zeros(shape, np.int64)
    step = max(1, _BLOCK // int(np.prod(shape)))
    for begin in range(0, len(images), step):
        block = images[begin : begin + step].raw()
        total += block.sum(axis=0, dtype=np.int64)
        square += np.einsum("nchw,nchw->chw", *[block.astype(np.uint16)] * 2, dtype=np.int64)
        low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
    n = max(len(images), 1)
    return PixelMoments(total / n, square / n, low.astype(float), high.astype(float), len(images))


def fit_pixels(found: PixelMoments, method: str, by: str) -> tuple[Floats, Floats]:
    """Centre and scale: `(C,)` by channel, `(C, h, w)` by pixel.

    Args:
        found: moments of the training images.
        method: `z-norm`, `zero-one` or `none`.
        by: `channel` or `pixel`.
    """
    channels = [fit(one, method) for one in found.of_channels()]
    center = np.array([one.center for one in channels])
    scale = np.array([one.scale for one in channels])
    if by == "channel" or method == "none":
        return center, scale
    least = LEAST_SHARE * scale[:, None, None]
    if method == "zero-one":
        return found.minimum, np.maximum(found.maximum - found.minimum, least)
    sd = np.sqrt(np.maximum(found.square - found.mean**2, 0))
    return found.mean, np.maximum(sd, least)
