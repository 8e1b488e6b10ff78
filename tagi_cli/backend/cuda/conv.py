"""Convolutions on the GPU: products with unfolded images, some images at a time.

The arrangement is that of the NumPy reference: an image as the matrix `(C kh kw, placements)`, a
map as `(O, placements)`, in groups of channels, so that each of the six passes is a product or two.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from tagi_cli.backend.base import Array
from tagi_cli.backend.cuda.kernels import Kernels, Launch, part
from tagi_cli.backend.cuda.linear import Driver, bias_sums, second_moment
from tagi_cli.backend.cuda.products import Products
from tagi_cli.backend.sliding_window import Window

WORKSPACE = 1 << 25
"""Elements of unfolded images and maps at a time (128 MiB in float32): enough for a large GPU."""


class _Way(NamedTuple):
    """Which of a tile's matrices a pass reads and which it writes: images to maps, or back.

    Attributes:
        read: writes arrays to the matrices `source`.
        write: writes one of the matrices `target` to its array.
        source: matrices of what is read.
        target: matrices of what is written.
        turned: whether weights, as `(maps, taps)`, are transposed between the two.
    """

    read: Callable[..., Launch]
    write: Callable[..., Launch]
    source: list[Array]
    target: list[Array]
    turned: bool


class _Tile:
    """Some images of a batch, and matrices in the workspace for them and their maps.

    Attributes:
        unfolded: up to three matrices `(groups, taps, placements)`.
        maps: up to three matrices `(groups, maps, placements)`.
    """

    def __init__(
        self, kernels: Kernels, window: Window, memory: Array, first: int, count: int
    ) -> None:
        self._kernels, self._window, self._images = kernels, window, (first, count)
        w, placements = window, count * window.P * window.Q
        unfolded, maps = (w.groups, w.depth, placements), (w.groups, w.O // w.groups, placements)
        size = w.C * w.kh * w.kw * placements
        self.unfolded = [part(memory, k * size, *unfolded) for k in range(3)]
        rest = 3 * size
        self.maps = [part(memory, rest + k * w.O * placements, *maps) for k in range(3)]

    def way(self, to_maps: bool) -> _Way:
        """From images to maps, as a convolution goes forward, or from maps to images."""
        if to_maps:
            return _Way(self.unfold, self.store, self.unfolded, self.maps, False)
        return _Way(self.load, self.fold, self.maps, self.unfolded, True)

    def unfold(self, which: tuple[Array | None, ...], mu: Array, var: Array | None) -> Launch:
        """Write mean, second moment and variance under each tap to matrices; None for unwanted."""
        return self._matrix("unfold", which, mu, var, *self._window)

    def load(self, which: tuple[Array | None, ...], mu: Array, var: Array | None) -> Launch:
        """The same of maps."""
        w = self._window
        return self._matrix("load_maps", which, mu, var, w.O, w.P * w.Q)

    def _matrix(self, kernel: str, which: tuple[Array | None, ...], *arguments: Any) -> Launch:
        mu, var, *sizes = arguments
        size = max(matrix.size for matrix in which if matrix is not None)
        return self._kernels.launch_over(size, kernel, *which, mu, var, *self._images, *sizes)

    def fold(self, image: Array, matrix: Array, bias: Array | None, accumulate: int) -> Launch:
        """Add a matrix to the pixels that it belongs to."""
        w, (_, count) = self._window, self._images
        return self._kernels.launch_over(
            count * w.C * w.H * w.W, "fold", image, matrix, bias, *self._images, *w, accumulate
        )

    def store(self, target: Array, matrix: Array, bias: Array | None, accumulate: int) -> Launch:
        """Write a matrix to the maps that it belongs to."""
        w = self._window
        return self._kernels.launch_over(
            matrix.size, "store_maps", target, matrix, bias, *self._images, w.O, w.P * w.Q,
            accumulate,
        )  # fmt: skip


class ConvDriver:
    """Launches of the kernels `conv2d_*` and `conv_transpose2d_*`.

    Args:
        kernels: compiled functions.
        products: matrix products.
        workspace: gives an array of at least so many elements, free between launches.

    Attributes:
        drivers: by the name of the kernel.
    """

    def __init__(
        self, kernels: Kernels, products: Products, workspace: Callable[[int], Array]
    ) -> None:
        self._kernels = kernels
        self._product = products.launch
        self._workspace = workspace
        self.drivers: dict[str, Driver] = {
            f"{layer}_{name}": partial(drive, transposed)
            for layer, transposed in (("conv2d", False), ("conv_transpose2d", True))
            for name, drive in (
                ("forward", self._forward),
                ("backward", self._backward),
                ("innovation", self._innovation),
            )
        }

    def _tiles(self, w: Window, B: int) -> tuple[list[_Tile], Array]:
        """Parts of the batch that fit the workspace, and room for squared weights."""
        weights = w.O * w.depth
        each = 3 * (w.C * w.kh * w.kw + w.O) * w.P * w.Q
        count = max(1, min(B, WORKSPACE // each))
        memory = self._workspace(weights + count * each)
        tiles = [
            _Tile(self._kernels, w, memory[weights:], first, min(count, B - first))
            for first in range(0, B, count)
        ]
        return tiles, part(memory, 0, w.groups, w.O // w.groups, w.depth)

    def _zeros(self, *arrays: Array) -> list[Launch]:
        return [self._kernels.launch("fill", a, a.dtype.type(0), a.size) for a in arrays]

    def _forward(self, transposed: bool, *call: Any) -> list[Launch]:
        mu_z, var_z, mu_a, var_a, mu_w, var_w, mu_b, var_b, _, B, *window = call
        w = Window(*map(int, window))
        tiles, squared = self._tiles(w, int(B))
        launches = [] if var_a is None else [second_moment(self._kernels, squared, mu_w)]
        mean, variance = _grouped(mu_w, w), _grouped(var_w, w)
        for tile in tiles:
            way = tile.way(not transposed)
            (a, second, more), (z, s, _), turned = way.source, way.target, way.turned
            launches += [
                way.read((a, second, None if var_a is None else more), mu_a, var_a),
                *self._product(z, mean, a, A_transposed=turned),
                way.write(mu_z, z, mu_b, 0),
                *self._product(s, variance, second, A_transposed=turned, is_variance=True),
            ]
            if var_a is not None:
                launches += self._product(
                    s, squared, more, A_transposed=turned, add=1, is_variance=True
                )
            launches.append(way.write(var_z, s, var_b, 0))
        return launches

    def _backward(self, transposed: bool, *call: Any) -> list[Launch]:
        d_mu_a, d_var_a, d_mu_z, d_var_z, mu_w, _, B, *window, accumulate = call
        w = Window(*map(int, window))
        tiles, squared = self._tiles(w, int(B))
        launches = [second_moment(self._kernels, squared, mu_w)]
        for tile in tiles:
            way = tile.way(transposed)
            (d, e, _), (a, s, _), turned = way.source, way.target, way.turned
            launches += [
                way.read((d, None, None), d_mu_z, None),
                way.read((e, None, None), d_var_z, None),
                *self._product(a, _grouped(mu_w, w), d, A_transposed=turned),
                *self._product(s, squared, e, A_transposed=turned, is_variance=True),
                way.write(d_mu_a, a, None, int(accumulate)),
                way.write(d_var_a, s, None, int(accumulate)),
            ]
        return launches

    def _innovation(self, transposed: bool, *call: Any) -> list[Launch]:
        G_w, L_w, G_b, L_b, mu_a, d_mu_z, d_var_z, _, B, *window, accumulate = call
        w = Window(*map(int, window))
        tiles, _ = self._tiles(w, int(B))
        launches = [] if accumulate or tiles else self._zeros(G_w, L_w)
        for number, tile in enumerate(tiles):
            add = int(accumulate or number > 0)
            forward, back = tile.way(not transposed), tile.way(transposed)
            (a, second, _), (d, e, _) = forward.source, back.source
            pairs = ((a, d), (second, e)) if transposed else ((d, a), (e, second))
            launches += [
                forward.read((a, second, None), mu_a, None),
                back.read((d, None, None), d_mu_z, None),
                back.read((e, None, None), d_var_z, None),
                *self._product(_grouped(G_w, w), *pairs[0], B_transposed=True, add=add),
                *self._product(
                    _grouped(L_w, w), *pairs[1], B_transposed=True, add=add, is_variance=True
                ),
            ]
        if G_b is not None:
            sizes = (int(B), w.C, w.H * w.W) if transposed else (int(B), w.O, w.P * w.Q)
            launches.append(
                bias_sums(self._kernels, G_b, L_b, d_mu_z, d_var_z, sizes, int(accumulate))
            )
        return launches


def _grouped(weights: Array, w: Window) -> Array:
    """Weights, or sums for them, as one matrix `(maps, taps)` per group."""
    return weights.reshape(w.groups, w.O // w.groups, w.depth)
