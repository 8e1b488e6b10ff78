"""Moments and innovations of convolutions with Gaussian weights, by unfolding images into matrices.

Each placement of the kernel is a row of a fully connected layer whose inputs are the pixels under
it, so all formulas are those of `linear`; pixels outside the image are certain zeros. Shapes, with
`*window` the fields of `tagi_cli.backend.sliding_window.Window`: images `(B, C, H, W)`, maps
`(B, O, P, Q)`, weights `(O, C / groups, kh, kw)` for both directions, and `scratch` as
`Window.scratch` says.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tagi_cli.backend.base import Array
from tagi_cli.backend.sliding_window import Window


def _overlap(size: int, offset: int, padded: int) -> tuple[slice, slice]:
    """The pixels of an axis that placements cover, and where those lie on the padded axis."""
    first, at = max(-offset, 0), max(offset, 0)
    count = max(min(size - first, padded - at), 0)
    return slice(first, first + count), slice(at, at + count)


class _Tile:
    """Some rows of the maps of some images, and their parts of the scratch memory.

    `unfolded` and `more` are `(groups, taps, positions)`, `maps` and `product`
    `(groups, maps, positions)`, `squared` is as the weights `(groups, maps, taps)`.
    """

    def __init__(self, window: Window, scratch: Array, images: slice, rows: slice) -> None:
        w = self.window = window
        self.images, self.rows = images, rows
        n, r, g = images.stop - images.start, rows.stop - rows.start, w.groups
        self.grid, positions = (n, r, w.Q), n * r * w.Q
        shapes = (
            (n, w.C, *w.padded),
            *(((g, w.depth, positions),) * 2),
            *(((g, w.O // g, positions),) * 2),
            (g, w.O // g, w.depth),
        )
        parts, at = [], 0
        for shape in shapes:
            size = int(np.prod(shape))
            parts.append(scratch[at : at + size].reshape(shape))
            at += size
        self.padded, self.unfolded, self.more, self.maps, self.product, self.squared = parts
        height, width = w.padded
        y, y_padded = _overlap(w.H, w.top, height)
        x, x_padded = _overlap(w.W, w.left, width)
        self.inside, self.inner = (y, x), (y_padded, x_padded)

    def _placements(self) -> Array:
        """The padded images as seen by each tap: a view `(C, kh, kw, n, r, Q)`."""
        w, (n, r, q) = self.window, self.grid
        image, channel, row, column = self.padded.strides
        return as_strided(
            self.padded[:, :, self.rows.start * w.sh :],
            (w.C, w.kh, w.kw, n, r, q),
            (channel, w.dh * row, w.dw * column, image, w.sh * row, w.sw * column),
        )

    def unfold(self, image: Array, out: Array) -> Array:
        """Write the pixels under each tap and placement to `out`."""
        self.padded.fill(0)
        self.padded[:, :, *self.inner] = image[self.images, :, *self.inside]
        placements = self._placements()
        np.copyto(out.reshape(placements.shape), placements)
        return out

    def fold(self, unfolded: Array, image: Array) -> None:
        """Add to each pixel what is there for it in `unfolded`: the adjoint of `unfold`."""
        w = self.window
        self.padded.fill(0)
        placements = self._placements()
        for tap, part in zip(
            (placements[:, i, j] for i in range(w.kh) for j in range(w.kw)),
            np.moveaxis(unfolded.reshape(w.C, w.kh * w.kw, *self.grid), 1, 0),
            strict=True,
        ):
            tap += part
        image[self.images, :, *self.inside] += self.padded[:, :, *self.inner]

    def load(self, source: Array, out: Array) -> Array:
        """Write this part of a map to `out`."""
        part = np.moveaxis(source[self.images, :, self.rows], 0, 1)
        np.copyto(out.reshape(part.shape), part)
        return out

    def store(
        self, values: Array, target: Array, bias: Array | None = None, accumulate: int = 0
    ) -> None:
        """Write values to this part of a map, plus a number per map, or plus what is there."""
        part = np.moveaxis(target[self.images, :, self.rows], 0, 1)
        values = values.reshape(part.shape)
        if accumulate:
            np.add(part, values, out=part)
        elif bias is not None:
            np.add(values, bias[:, None, None, None], out=part)
        else:
            np.copyto(part, values)


def _tiles(window: Window, B: int, scratch: Array) -> Iterator[_Tile]:
    images, rows = window.tile(B)
    for b in range(0, B, images):
        for p in range(0, window.P, rows):
            some, part = slice(b, min(b + images, B)), slice(p, min(p + rows, window.P))
            yield _Tile(window, scratch, some, part)


def _grouped(weights: Array, window: Window) -> Array:
    """Weights as one matrix `(maps, taps)` per group."""
    return weights.reshape(window.groups, window.O // window.groups, window.depth)


def _second(mu: Array, var: Array | None) -> None:
    """Turn means into `mu^2 + var`, in place."""
    np.multiply(mu, mu, out=mu)
    if var is not None:
        np.add(mu, var, out=mu)


def _transposed(a: Array) -> Array:
    return np.swapaxes(a, 1, 2)


def _clear(accumulate: int, *arrays: Array | None) -> None:
    for array in arrays:
        if array is not None and not accumulate:
            array.fill(0)


def conv2d_forward(
    mu_z: Array,
    var_z: Array,
    mu_a: Array,
    var_a: Array | None,
    mu_w: Array,
    var_w: Array,
    mu_b: Array | None,
    var_b: Array | None,
    scratch: Array,
    B: int,
    *window: int,
) -> None:
    """Moments of the map `z = w * a + b` of an image `a`; `mu_b, var_b (O,)` or None.

    `mu_z = w * mu_a`, `var_z = w^2 * var_a + var_w * (var_a + mu_a^2)`, with `w` the mean weights
    and `*` the cross-correlation; `var_a` None for a certain image.
    """
    w = Window(*map(int, window))
    mean, variance = _grouped(mu_w, w), _grouped(var_w, w)
    for tile in _tiles(w, B, scratch):
        tile.unfold(mu_a, tile.unfolded)
        tile.store(np.matmul(mean, tile.unfolded, out=tile.maps), mu_z, mu_b)
        if var_a is None:
            _second(tile.unfolded, None)
            np.matmul(variance, tile.unfolded, out=tile.maps)
        else:
            _second(tile.unfolded, tile.unfold(var_a, tile.more))
            np.matmul(variance, tile.unfolded, out=tile.maps)
            np.multiply(mean, mean, out=tile.squared)
            np.add(tile.maps, np.matmul(tile.squared, tile.more, out=tile.product), out=tile.maps)
        tile.store(tile.maps, var_z, var_b)


def conv2d_backward(
    d_mu_a: Array,
    d_var_a: Array,
    d_mu_z: Array,
    d_var_z: Array,
    mu_w: Array,
    scratch: Array,
    B: int,
    *window_and_accumulate: int,
) -> None:
    """Innovations of the image: the adjoint of the correlation with `w`, and with `w^2`."""
    *window, accumulate = map(int, window_and_accumulate)
    w = Window(*window)
    weights = _grouped(mu_w, w)
    _clear(accumulate, d_mu_a, d_var_a)
    for tile in _tiles(w, B, scratch):
        np.multiply(weights, weights, out=tile.squared)
        for factor, d_z, d_a in ((weights, d_mu_z, d_mu_a), (tile.squared, d_var_z, d_var_a)):
            np.matmul(_transposed(factor), tile.load(d_z, tile.maps), out=tile.unfolded)
            tile.fold(tile.unfolded, d_a)


def conv2d_innovation(
    G_w: Array,
    L_w: Array,
    G_b: Array | None,
    L_b: Array | None,
    mu_a: Array,
    d_mu_z: Array,
    d_var_z: Array,
    scratch: Array,
    B: int,
    *window_and_accumulate: int,
) -> None:
    """Sums over images and placements for the parameters.

    `G_w = sum mu_a d_mu_z` and `L_w = sum mu_a^2 d_var_z` over the pixel under each tap; `G_b, L_b`
    are plain sums.
    """
    *window, accumulate = map(int, window_and_accumulate)
    w = Window(*window)
    _clear(accumulate, G_w, L_w, G_b, L_b)
    for tile in _tiles(w, B, scratch):
        tile.unfold(mu_a, tile.unfolded)
        for d_z, sums in ((d_mu_z, G_w), (d_var_z, L_w)):
            np.matmul(tile.load(d_z, tile.maps), _transposed(tile.unfolded), out=tile.squared)
            _grouped(sums, w)[...] += tile.squared
            _second(tile.unfolded, None)
    if G_b is not None and L_b is not None:
        G_b += d_mu_z.sum(axis=(0, 2, 3))
        L_b += d_var_z.sum(axis=(0, 2, 3))


def conv_transpose2d_forward(
    mu_z: Array,
    var_z: Array,
    mu_a: Array,
    var_a: Array | None,
    mu_w: Array,
    var_w: Array,
    mu_b: Array | None,
    var_b: Array | None,
    scratch: Array,
    B: int,
    *window: int,
) -> None:
    """Moments of the image `z` that the map `a` paints: the adjoint of `conv2d_forward`.

    `mu_z, var_z (B, C, H, W)`; `mu_a, var_a (B, O, P, Q)`; `mu_b, var_b (C,)` or None.
    """
    w = Window(*map(int, window))
    mean, variance = _transposed(_grouped(mu_w, w)), _transposed(_grouped(var_w, w))
    for image, bias in ((mu_z, mu_b), (var_z, var_b)):
        image[...] = 0 if bias is None else bias[:, None, None]
    for tile in _tiles(w, B, scratch):
        tile.load(mu_a, tile.maps)
        tile.fold(np.matmul(mean, tile.maps, out=tile.unfolded), mu_z)
        if var_a is None:
            _second(tile.maps, None)
            np.matmul(variance, tile.maps, out=tile.unfolded)
        else:
            _second(tile.maps, tile.load(var_a, tile.product))
            np.matmul(variance, tile.maps, out=tile.unfolded)
            squared = np.multiply(_grouped(mu_w, w), _grouped(mu_w, w), out=tile.squared)
            np.matmul(_transposed(squared), tile.product, out=tile.more)
            np.add(tile.unfolded, tile.more, out=tile.unfolded)
        tile.fold(tile.unfolded, var_z)


def conv_transpose2d_backward(
    d_mu_a: Array,
    d_var_a: Array,
    d_mu_z: Array,
    d_var_z: Array,
    mu_w: Array,
    scratch: Array,
    B: int,
    *window_and_accumulate: int,
) -> None:
    """Innovations of the map: `d_mu_a = w * d_mu_z`, `d_var_a = w^2 * d_var_z`."""
    *window, accumulate = map(int, window_and_accumulate)
    w = Window(*window)
    weights = _grouped(mu_w, w)
    for tile in _tiles(w, B, scratch):
        np.multiply(weights, weights, out=tile.squared)
        for factor, d_z, d_a in ((weights, d_mu_z, d_mu_a), (tile.squared, d_var_z, d_var_a)):
            np.matmul(factor, tile.unfold(d_z, tile.unfolded), out=tile.maps)
            tile.store(tile.maps, d_a, accumulate=accumulate)


def conv_transpose2d_innovation(
    G_w: Array,
    L_w: Array,
    G_b: Array | None,
    L_b: Array | None,
    mu_a: Array,
    d_mu_z: Array,
    d_var_z: Array,
    scratch: Array,
    B: int,
    *window_and_accumulate: int,
) -> None:
    """Sums for the parameters, as in `conv2d_innovation` with map and image exchanged."""
    *window, accumulate = map(int, window_and_accumulate)
    w = Window(*window)
    _clear(accumulate, G_w, L_w, G_b, L_b)
    for tile in _tiles(w, B, scratch):
        tile.load(mu_a, tile.maps)
        for d_z, sums in ((d_mu_z, G_w), (d_var_z, L_w)):
            tile.unfold(d_z, tile.unfolded)
            np.matmul(tile.maps, _transposed(tile.unfolded), out=tile.squared)
            _grouped(sums, w)[...] += tile.squared
            _second(tile.maps, None)
    if G_b is not None and L_b is not None:
        G_b += d_mu_z.sum(axis=(0, 2, 3))
        L_b += d_var_z.sum(axis=(0, 2, 3))
