"""Images picked from bytes in the order of an epoch: varied, cropped and scaled on their way."""

from __future__ import annotations

import numpy as np

from tagi_cli.backend.base import Array
from tagi_cli.backend.reference.random_bits import random_bits_of


def gather_images(
    out: Array,
    pixels: Array,
    starts: Array | None,
    order: Array,
    cursor: Array,
    draws: Array,
    center: Array,
    scale: Array,
    by_pixel: int,
    interleaved: int,
    shift: int,
    flip: int,
    crop: int,
    H: int,
    W: int,
    h: int,
    w: int,
    B: int,
    C: int,
) -> None:
    """`out[b]` are the `(C, h, w)` values of image `starts[i]` with `i = order[cursor + b]`.

    `pixels` are bytes, `(N, H, W, C)` where `interleaved`, else `(N, C, H, W)`; without `starts`
    they lie in the order of the epoch already, and row `b` is image `cursor + b`. A crop of `h x w`
    pixels lies in the middle, or with `crop` at a place that is drawn; the image under it is moved
    by up to `shift` pixels each way, zeros coming in, and with `flip` the result is mirrored left
    to right in half of the cases. What is drawn for image i is a function of `draws` and i. A
    value is `(byte - center) / scale`, of each channel, or of each pixel of the crop.
    """
    first = int(cursor[0])
    which = order[first : first + B]
    rows = np.arange(first, first + B) if starts is None else starts[which]
    images = pixels.reshape(-1, H, W, C) if interleaved else pixels.reshape(-1, C, H, W)
    if interleaved:
        images = images.transpose(0, 3, 1, 2)

    def drawn(place: int, choices: int) -> Array:
        bits = random_bits_of(draws, which.astype(np.uint32) * np.uint32(8) + np.uint32(place))
        return bits.astype(np.int64) * choices >> 24

    top, left = np.full((2, B), [[(H - h) // 2], [(W - w) // 2]], np.int64)
    if crop:
        top, left = drawn(0, H - h + 1), drawn(1, W - w + 1)
    if shift:
        top, left = (a + drawn(k, 2 * shift + 1) - shift for a, k in ((top, 2), (left, 3)))
    y, x = top[:, None] + np.arange(h), left[:, None] + np.arange(w)
    if flip:
        x = np.where(drawn(4, 2)[:, None] == 1, x[:, ::-1], x)
    inside = ((y >= 0) & (y < H))[:, None, :, None] & ((x >= 0) & (x < W))[:, None, None]
    taken = images[
        rows[:, None, None, None],
        np.arange(C)[:, None, None],
        np.clip(y, 0, H - 1)[:, None, :, None],
        np.clip(x, 0, W - 1)[:, None, None],
    ]
    values = np.where(inside, taken, 0).astype(out.dtype)
    scalers = (C, h, w) if by_pixel else (C, 1, 1)
    out.reshape(B, C, h, w)[...] = (values - center.reshape(scalers)) / scale.reshape(scalers)
