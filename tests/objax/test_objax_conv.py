"""Convolutions: geometry against scipy, gradients' algebra and dense sums; layouts; paddings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from certain import certain
from scipy.signal import correlate2d

from tagi_cli import nn, objax
from tagi_cli.backend import select
from tagi_cli.objax.constants import ConvPadding

Host = np.ndarray[Any, Any]
Sides = tuple[tuple[int, int], tuple[int, int]]


def spread(kernel: Host, d: tuple[int, int]) -> Host:
    """A kernel `(h, w)` with zeros between its taps."""
    h, w = ((n - 1) * s + 1 for n, s in zip(kernel.shape, d, strict=True))
    out = np.zeros((h, w))
    out[:: d[0], :: d[1]] = kernel
    return out


def convolved(
    x: Host, w: Host, b: Host, s: tuple[int, int], d: tuple[int, int], groups: int, sides: Sides
) -> Host:
    """Images `(N, C, H, W)`, kernel `(h, w, C / groups, O)`, by scipy, channel by channel."""
    x = np.pad(x, ((0, 0), (0, 0), *sides))
    depth, nout = w.shape[2:]
    images = [
        [
            sum(
                correlate2d(image[o // (nout // groups) * depth + t], spread(w[:, :, t, o], d),
                            "valid")
                for t in range(depth)
            )[:: s[0], :: s[1]]
            for o in range(nout)
        ]
        for image in x
    ]  # fmt: skip
    return np.array(images) + b


def same(n: int, k: int, s: int, d: int) -> tuple[int, int]:
    """`ceil(n / s)` placements, the odd zero behind."""
    total = max((math.ceil(n / s) - 1) * s + (k - 1) * d + 1 - n, 0)
    return total // 2, total - total // 2


SHAPES = [
    # image, kernel, strides, dilations, groups, padding
    ((5, 5), 3, 1, 1, 1, "VALID"),
    ((5, 6), 2, 1, 1, 1, "SAME"),
    ((5, 5), 3, 1, 1, 1, ConvPadding.SAME),
    ((7, 4), (3, 2), 1, 1, 1, "same"),
    ((7, 7), 3, 2, 1, 1, "SAME"),
    ((8, 7), 4, (3, 2), 1, 1, "SAME"),
    ((9, 8), 3, 1, 2, 1, "SAME"),
    ((9, 8), 3, 2, (2, 1), 1, ConvPadding.VALID),
    ((4, 4), 2, 1, 1, 1, 1),
    ((4, 4), 2, 1, 1, 1, (0, 1)),
    ((4, 5), 2, 1, 1, 1, ((1, 0), (0, 2))),
    ((6, 6), 3, 2, 1, 2, ((1, 0), (0, 2))),
    ((3, 3), 1, 3, 1, 4, "VALID"),
]


def explicit(
    image: tuple[int, int], k: Any, s: Any, d: Any, padding: Any
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], Sides]:
    """Kernel, strides and dilations as pairs, and the zeros on each side."""
    k, s, d = ((a, a) if isinstance(a, int) else a for a in (k, s, d))
    word = padding.value if isinstance(padding, ConvPadding) else padding
    if isinstance(word, str):
        word = word.upper()
        axes = [same(*a) if word == "SAME" else (0, 0) for a in zip(image, k, s, d, strict=True)]
        return k, s, d, (axes[0], axes[1])
    if isinstance(padding, int):
        return k, s, d, ((padding,) * 2,) * 2
    return k, s, d, padding if isinstance(padding[0], tuple) else (padding, padding)


@pytest.mark.parametrize("row", SHAPES, ids=str)
def test_a_convolution_is_scipys(row: Any) -> None:
    image, k, s, d, groups, padding = row
    layer = certain(objax.nn.Conv2D(4, 8, k, s, d, groups, padding))
    x = np.random.default_rng(0).normal(size=(2, 4, *image))
    layer.b.assign(np.random.default_rng(1).normal(size=(8, 1, 1)))
    _, strides, dilations, sides = explicit(image, k, s, d, padding)
    want = convolved(x, layer.w.value, layer.b.value, strides, dilations, groups, sides)
    mu, var = layer(x)
    np.testing.assert_allclose(mu, want, rtol=1e-10, atol=1e-12)
    assert not var.any()


def test_variances_are_convolutions_of_variances() -> None:
    """Independent kernels: squares of means with variances, variances with second moments."""
    layer = objax.nn.Conv2D(4, 6, 3, 2, groups=2, padding=((1, 0), (0, 2)))
    rng = np.random.default_rng(2)
    x, v = rng.normal(size=(2, 4, 7, 6)), rng.random((2, 4, 7, 6))
    w, b = layer.w, layer.b
    _, var = layer(objax.Moments(x, v))

    def convolve(a: Host, kernel: Host, bias: Any = 0.0) -> Host:
        return convolved(a, kernel, bias, (2, 2), (1, 1), 2, ((1, 0), (0, 2)))

    want = convolve(v, w.value**2 + w.variance, b.variance) + convolve(x**2, w.variance)
    np.testing.assert_allclose(var, want, rtol=1e-10)


def transposed(x: Host, w: Host, s: int, d: int, sides: tuple[int, int]) -> Host:
    """Zeros between pixels, zeros round them, then the flipped kernel with its sides exchanged."""
    N, C, H, W = x.shape
    apart = np.zeros((N, C, (H - 1) * s + 1, (W - 1) * s + 1))
    apart[:, :, ::s, ::s] = x
    flipped = w[::-1, ::-1].swapaxes(2, 3)
    return convolved(apart, flipped, np.zeros(1), (1, 1), (d, d), 1, (sides, sides))


def named(word: str, k: int, s: int, d: int) -> tuple[int, int]:
    """Zeros before and behind that a padding by name means for a transposed convolution."""
    extent = (k - 1) * d + 1
    if word == "VALID":
        total = extent + s - 2 + max(extent - s, 0)
        return extent - 1, total - extent + 1
    total = extent + s - 2
    before = extent - 1 if s > extent - 1 else math.ceil(total / 2)
    return before, total - before


@pytest.mark.parametrize("padding", ["SAME", "VALID", 0, 1, (1, 0), (0, 3), ((2, 1), (2, 1))])
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("s", [1, 2, 3])
def test_a_transposed_convolution_is_one_of_an_image_spread_out(
    s: int, k: int, d: int, padding: Any
) -> None:
    layer = certain(objax.nn.ConvTranspose2D(2, 3, k, s, d, padding))
    assert layer.w.shape == (k, k, 3, 2)
    x = np.random.default_rng(0).normal(size=(2, 2, 5, 6))
    if isinstance(padding, str):
        sides = named(padding, k, s, d)
    else:
        sides = (padding,) * 2 if isinstance(padding, int) else padding
        sides = sides[0] if isinstance(sides[0], tuple) else sides
    want = transposed(x, layer.w.value, s, d, sides)
    np.testing.assert_allclose(layer(x).mu, want, rtol=1e-10, atol=1e-12)
    if padding == "SAME":
        assert want.shape[2:] == (5 * s, 6 * s)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("k", [2, 3, 4])
@pytest.mark.parametrize("s", [1, 2, 3])
def test_it_is_the_adjoint_of_the_convolution(s: int, k: int, padding: str) -> None:
    """`<convT(x, w), g> = <x, conv(g, w)>`, where sizes come out even."""
    down = certain(objax.nn.Conv2D(3, 2, k, s, padding=padding, use_bias=False))
    up = certain(objax.nn.ConvTranspose2D(2, 3, k, s, padding=padding, use_bias=False))
    up.w.assign(down.w.value)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 2, 4, 5))
    painted = up(x).mu
    g = rng.normal(size=painted.shape)
    np.testing.assert_allclose((painted * g).sum(), (x * down(g).mu).sum(), rtol=1e-9)


def test_overlapping_kernels_give_periodic_variances() -> None:
    layer = objax.nn.ConvTranspose2D(1, 1, 3, 2, padding="VALID", use_bias=False)
    _, var = layer(np.ones((1, 1, 4, 4)))
    unit = layer.w.variance.ravel()[0]
    count = np.array([1, 1, 2, 1, 2, 1, 2, 1, 1])
    np.testing.assert_allclose(var[0, 0], unit * np.outer(count, count), rtol=1e-12)


@pytest.mark.parametrize("transposed", [False, True])
def test_kernels_are_the_weights_of_tagi_cli_nn_with_axes_in_another_order(
    transposed: bool,
) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2, 4, 6, 6))
    ours: Any
    theirs: Any
    if transposed:
        ours, theirs = (
            objax.nn.ConvTranspose2D(4, 2, 3, 2),
            nn.ConvTranspose2d(4, 2, 3, stride=2, padding="same"),
        )
    else:
        ours, theirs = objax.nn.Conv2D(4, 2, 3, 2), nn.Conv2d(4, 2, 3, stride=2, padding="same")
    net = nn.Network(theirs, (4, 6, 6), backend=select(kernels="numpy", precision="float64"))
    theirs.weight.assign(*(part.transpose(3, 2, 0, 1) for part in ours.w.moments))
    theirs.bias.assign(*ours.b.moments)
    np.testing.assert_allclose(ours(x), net(x), rtol=1e-12)


def test_images_may_change_size_between_calls() -> None:
    layer = certain(objax.nn.Conv2D(1, 1, 3))
    rng = np.random.default_rng(4)
    for shape in ((1, 1, 5, 5), (2, 1, 8, 3), (1, 1, 5, 5)):
        x = rng.normal(size=shape)
        want = convolved(x, layer.w.value, layer.b.value, (1, 1), (1, 1), 1, ((1, 1), (1, 1)))
        np.testing.assert_allclose(layer(x).mu, want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("padding", ["FULL", (1, 2, 3), ((1, 2),), 1.5, None])
def test_other_paddings_are_refused(padding: Any) -> None:
    with pytest.raises(ValueError, match="allowed are SAME, VALID, one number"):
        objax.nn.Conv2D(1, 1, 3, padding=padding)


def test_sizes_are_checked() -> None:
    with pytest.raises(ValueError, match="groups 2: must divide 3 and 4 channels"):
        objax.nn.Conv2D(3, 4, 3, groups=2)
    with pytest.raises(ValueError, match="strides 0"):
        objax.nn.Conv2D(3, 4, 3, strides=0)
    with pytest.raises(ValueError, match="padding"):
        objax.nn.Conv2D(3, 4, 3, padding=-1)(np.zeros((1, 3, 5, 5)))
    with pytest.raises(nn.ShapeError, match="takes 3 channels but gets 2"):
        objax.nn.Conv2D(3, 4, 3)(np.zeros((1, 2, 5, 5)))
