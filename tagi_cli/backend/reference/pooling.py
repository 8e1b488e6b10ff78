"""Pooling over windows of image planes: `N` planes of `(H, W)` pixels to `(P, Q)` entries.

Entry `(p, q)` sees the pixels `(p sh + i - top, q sw + j - left)`, `i < kh` and `j < kw`; pixels
outside the image do not exist, and every window holds at least one. `*sizes` are
`H, W, P, Q, kh, kw, sh, sw, top, left`, and `accumulate` where the result may be added.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tagi_cli.backend.base import Array


def _pixels(a: Array, N: int, sizes: tuple[int, ...]) -> Array:
    return a.reshape(int(N), int(sizes[0]), int(sizes[1]))


def _entries(z: Array, N: int, sizes: tuple[int, ...]) -> Array:
    return z.reshape(int(N), int(sizes[2]), int(sizes[3]))


def _axis(tap: int, stride: int, padding: int, size: int, count: int) -> tuple[slice, slice]:
    """Along one axis: the windows whose tap lies inside the image, and the pixels it meets."""
    offset = tap - padding
    first = max(-(offset // stride), 0)
    last = min((size - 1 - offset) // stride, count - 1)
    if last < first:
        return slice(0), slice(0)
    meets = slice(first * stride + offset, last * stride + offset + 1, stride)
    return slice(first, last + 1), meets


def _taps(sizes: tuple[int, ...]) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """For each tap of the window, the entries and the pixels that it connects."""
    H, W, P, Q, kh, kw, sh, sw, top, left = map(int, sizes[:10])
    every = slice(None)
    for i in range(kh):
        p, y = _axis(i, sh, top, H, P)
        for j in range(kw):
            q, x = _axis(j, sw, left, W, Q)
            yield (every, p, q), (every, y, x)


def avg_pool2d_forward(
    mu_z: Array, var_z: Array | None, mu_a: Array, var_a: Array | None, N: int, *sizes: int
) -> None:
    """Sum over the window over its full size: `mu_z = sum mu / k`, `var_z = sum var / k^2`.

    `k = kh kw` also where a part of the window lies outside the image. `var_a` and `var_z` are
    None together for a certain input.
    """
    share = 1 / (int(sizes[4]) * int(sizes[5]))
    for to, source, factor in ((mu_z, mu_a, share), (var_z, var_a, share * share)):
        if to is None or source is None:
            continue
        z, a = _entries(to, N, sizes), _pixels(source, N, sizes)
        z.fill(0)
        for entries, pixels in _taps(sizes):
            z[entries] += a[pixels]
        z *= factor


def avg_pool2d_backward(
    d_mu_a: Array, d_var_a: Array, d_mu_z: Array, d_var_z: Array, N: int, *sizes: int
) -> None:
    """Innovations of a pixel: sums over the windows that hold it, times `1/k` and `1/k^2`."""
    share = 1 / (int(sizes[4]) * int(sizes[5]))
    for to, source, factor in ((d_mu_a, d_mu_z, share), (d_var_a, d_var_z, share * share)):
        a, z = _pixels(to, N, sizes), _entries(source, N, sizes)
        if not sizes[-1]:
            a.fill(0)
        for entries, pixels in _taps(sizes):
            a[pixels] += factor * z[entries]


def max_pool2d_forward(
    mu_z: Array,
    var_z: Array | None,
    winner: Array,
    mu_a: Array,
    var_a: Array | None,
    N: int,
    *sizes: int,
) -> None:
    """Moments of the pixel with the largest mean; the first in reading order among equals.

    `winner`, int32 and as large as `mu_z`, receives the number `y W + x` of the pixel.
    """
    W = int(sizes[1])
    z, chosen, a = _entries(mu_z, N, sizes), _entries(winner, N, sizes), _pixels(mu_a, N, sizes)
    numbers = np.arange(int(sizes[0]) * W, dtype=np.int32).reshape(1, -1, W)
    chosen.fill(-1)
    for entries, pixels in _taps(sizes):
        better = (chosen[entries] < 0) | (a[pixels] > z[entries])
        np.copyto(z[entries], a[pixels], where=better)
        np.copyto(chosen[entries], numbers[pixels], where=better)
    if var_z is not None and var_a is not None:
        planes = np.arange(int(N))[:, None, None]
        np.copyto(_entries(var_z, N, sizes), _pixels(var_a, N, sizes)[planes, *divmod(chosen, W)])


def max_pool2d_backward(
    d_mu_a: Array,
    d_var_a: Array,
    d_mu_z: Array,
    d_var_z: Array,
    winner: Array,
    N: int,
    *sizes: int,
) -> None:
    """Innovations go to the pixel that was chosen, and add up where several windows chose it."""
    planes = np.arange(int(N))[:, None, None]
    places = divmod(_entries(winner, N, sizes), int(sizes[1]))
    for d_a, d_z in ((d_mu_a, d_mu_z), (d_var_a, d_var_z)):
        if not sizes[-1]:
            d_a.fill(0)
        np.add.at(_pixels(d_a, N, sizes), (planes, *places), _entries(d_z, N, sizes))
