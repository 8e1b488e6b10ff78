"""Sizes under sliding windows, and what is said when they do not fit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import correlate2d

from tagi_cli import nn
from tagi_cli.backend import select
from tagi_cli.config.convert import convert
from tagi_cli.nn.layers.geometry import Padding, Sliding

small = st.integers(1, 4)


def sliding(kernel: int, stride: int, dilation: int, padding: Padding, **options: Any) -> Sliding:
    return Sliding.of(kernel, stride, dilation, padding, 1, **options)


@given(st.integers(1, 12), small, small, small, st.integers(0, 3), st.integers(0, 3))
def test_placements_are_those_that_fit(
    size: int, kernel: int, stride: int, dilation: int, before: int, after: int
) -> None:
    window = sliding(kernel, stride, dilation, ((before, after), (0, 0)))
    extent = (kernel - 1) * dilation + 1
    count = len(range(0, size + before + after - extent + 1, stride))
    if not count:
        with pytest.raises(nn.ShapeError):
            window.placements((size, extent))
    else:
        assert window.placements((size, extent)) == ((count, 1), (before, 0))


@given(st.integers(1, 12), small, small, small)
def test_same_gives_the_size_over_the_stride_and_its_transpose_the_product(
    size: int, kernel: int, stride: int, dilation: int
) -> None:
    window = sliding(kernel, stride, dilation, "same")
    (count, _), (before, _) = window.placements((size, size))
    assert count == math.ceil(size / stride)
    extent = (kernel - 1) * dilation + 1
    zeros = max((count - 1) * stride + extent - size, 0)
    assert before == zeros // 2, "the odd zero lies below or right"
    (painted, _), _ = window.painted((size, size))
    assert painted == size * stride


@given(st.integers(1, 12), small, small, small)
def test_valid(size: int, kernel: int, stride: int, dilation: int) -> None:
    window = sliding(kernel, stride, dilation, "valid")
    extent = (kernel - 1) * dilation + 1
    if extent <= size:
        count = (size - extent) // stride + 1
        assert window.placements((size, size)) == ((count, count), (0, 0))
    painted = (size - 1) * stride + max(extent, stride)
    assert window.painted((size, size)) == ((painted, painted), (0, 0))


@given(st.integers(1, 8), small, small, st.integers(0, 2))
def test_an_image_painted_by_placements_has_as_many_placements(
    count: int, kernel: int, stride: int, cut: int
) -> None:
    window = sliding(kernel, stride, 1, cut)
    if (count - 1) * stride + kernel <= 2 * cut:
        with pytest.raises(nn.ShapeError, match="cuts"):
            window.painted((count, count))
    else:
        (size, _), _ = window.painted((count, count))
        assert window.placements((size, size)) == ((count, count), (cut, cut))


ROWS_AND_COLUMNS = [((0, 0), (0, 0)), ((1, 0), (0, 2)), ((2, 3), (1, 0)), ((4, 1), (0, 3))]


@pytest.mark.parametrize("padding", ROWS_AND_COLUMNS)
def test_padding_goes_to_the_sides_it_names(padding: tuple[tuple[int, int], ...]) -> None:
    layer = nn.Conv2d(1, 1, (3, 2), padding=padding, bias=False)
    net = nn.Network(layer, (1, 4, 5), backend=select(kernels="numpy", precision="float64"))
    x = np.random.default_rng(0).normal(size=(4, 5))
    want = correlate2d(np.pad(x, padding), layer.weight.mu[0, 0], mode="valid")
    np.testing.assert_allclose(net(x[None]).mu[0, 0], want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("padding", ROWS_AND_COLUMNS)
def test_padding_of_the_spread_out_input_is_less_cut_off_the_output(
    padding: tuple[tuple[int, int], ...],
) -> None:
    """Some libraries pad the input of a transposed convolution after putting zeros between its
    pixels; that is cutting `extent - 1 - padding` off the output, which may be negative."""
    kernel, stride = 3, 2
    cut = tuple((kernel - 1 - low, kernel - 1 - high) for low, high in padding)
    layer = nn.ConvTranspose2d(1, 1, kernel, stride=stride, padding=cut, bias=False)
    net = nn.Network(layer, (1, 4, 4), backend=select(kernels="numpy", precision="float64"))
    x = np.random.default_rng(0).normal(size=(4, 4))
    spread = np.zeros((7, 7))
    spread[::stride, ::stride] = x
    flipped = layer.weight.mu[0, 0, ::-1, ::-1]
    want = correlate2d(np.pad(spread, padding), flipped, mode="valid")
    np.testing.assert_allclose(net(x[None]).mu[0, 0], want, rtol=1e-12, atol=1e-12)


def test_a_flat_row_is_read_as_the_image_of_the_given_size() -> None:
    backend = select(kernels="numpy", precision="float64")
    x = np.random.default_rng(0).normal(size=(2, 2, 3, 4))
    results = []
    for shape, options in (((2, 3, 4), {}), ((24,), {"in_width": 4, "in_height": 3})):
        layer = nn.Conv2d(0, 3, 2, **options)
        net = nn.Network(layer, shape, backend=backend, rng=np.random.default_rng(1))
        assert layer.in_channels == 2
        results.append(net(x.reshape(2, *shape)).mu)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (nn.Conv2d(3, 4, 3), (1, 8, 9), "Conv2d(3,4,3) takes 3 channels but gets 1 (1, 8, 9)"),
        (
            nn.Conv2d(1, 4, 3, in_width=9),
            (1, 9, 8),
            "Conv2d(1,4,3) takes 9 columns but gets 8 (1, 9, 8)",
        ),
        (
            nn.Conv2d(1, 4, 3),
            (784,),
            "Conv2d(1,4,3) takes images, as reshape makes them, or rows of units with in_height "
            "and in_width given, but "
            "gets 784 units",
        ),
        (
            nn.ConvTranspose2d(2, 4, 3, in_width=9, in_height=8),
            (100,),
            "ConvTranspose2d(2,4,3) takes 2 x 8 x 9 = 144 units but gets 100",
        ),
        (
            nn.Conv2d(0, 4, 3, in_width=9, in_height=8),
            (100,),
            "Conv2d(0,4,3) takes 1 x 8 x 9 = 72 units but gets 100",
        ),
        (
            nn.Conv2d(0, 4, (3, 5)),
            (2, 8),
            "Conv2d(0,4,3x5) takes images (channels, height, width) but gets (2, 8)",
        ),
        (
            nn.Conv2d(0, 4, 3, groups=2),
            (3, 8, 8),
            "Conv2d(0,4,3) has 2 groups but gets 3 channels (3, 8, 8)",
        ),
        (
            nn.Conv2d(1, 4, 5, dilation=2, padding=1),
            (1, 6, 9),
            "Conv2d(1,4,5) needs 9 x 9 pixels but its padded image has 8 x 11, and gets (1, 6, 9)",
        ),
        (
            nn.ConvTranspose2d(1, 4, 2, padding=1),
            (1, 1, 3),
            "ConvTranspose2d(1,4,2) cuts 2 x 2 off 2 x 4, and gets (1, 1, 3)",
        ),
        (
            nn.AvgPool2d(3, 2),
            (12,),
            "AvgPool2d(3,2) takes images (channels, height, width) but gets (12,)",
        ),
        (
            nn.MaxPool2d(4),
            (1, 3, 5),
            "MaxPool2d(4,1) needs 4 x 4 pixels but its padded image has 3 x 5, and gets (1, 3, 5)",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_named(
    layer: nn.Layer, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(nn.ShapeError) as error:
        nn.output_shape(layer, shape)
    assert str(error.value) == message


def test_the_layer_before_is_named_too() -> None:
    chain = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(3, 2, 3))
    with pytest.raises(
        nn.ShapeError, match=r"layer 2: Conv2d\(3,2,3\) takes 3 channels but gets 4"
    ):
        nn.output_shape(chain, (1, 8, 8))


WORDS = "allowed are a whole number, 'same', 'valid', or \\[\\[top, bottom\\], \\[left, right\\]\\]"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": "sam"}, f"padding sam: {WORDS}"),
        ({"padding": (1, 2)}, f"padding \\(1, 2\\): {WORDS}"),
        ({"padding": ((1, 2), (3,))}, WORDS),
        ({"padding": -1}, "padding -1: give numbers of at least 0"),
        ({"padding": ((0, 0), (0, -2))}, "give numbers of at least 0"),
        ({"padding_type": 3}, "padding_type 3: allowed are 0, 1, 2"),
        ({"stride": 0}, "stride 0: give a whole number of at least 1, or two"),
        ({"stride": (1, 2, 3)}, "stride \\(1, 2, 3\\): give a whole number"),
        ({"dilation": 0}, "dilation 0: give a whole number"),
        ({"groups": 2}, "groups 2: must divide 3 and 4 channels"),
        ({"in_width": -1}, "sizes must be positive"),
    ],
)
def test_options_that_are_not_allowed_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"Conv2d\(3,4\): .*{message}"):
        nn.Conv2d(3, 4, 3, **options)


def test_channels_that_are_not_known_yet_are_not_blamed() -> None:
    with pytest.raises(ValueError, match=r"Conv2d\(0,4\): groups 3: must divide 4 channels"):
        nn.Conv2d(0, 4, 3, groups=3)


@pytest.mark.parametrize("padding", [3, ((0, 0), (3, 0))])
def test_pools_have_no_empty_windows(padding: Any) -> None:
    with pytest.raises(ValueError, match="must be smaller than the kernel"):
        nn.AvgPool2d(3, padding=padding)


@pytest.mark.parametrize(
    ("padding", "shape"),
    [
        (1, (4, 6, 6)),
        ("same", (4, 6, 6)),
        ("valid", (4, 4, 4)),
        ([[1, 0], [0, 2]], (4, 5, 6)),
    ],
)
def test_the_options_of_a_config_reach_the_layer(padding: Any, shape: tuple[int, ...]) -> None:
    kind = nn.registry["conv2d"]
    types = {field.name: field.type for field in kind.options.__dataclass_fields__.values()}
    options = kind.options(
        out_channels=4, kernel_size=3, padding=convert(types["padding"], padding)
    )
    assert nn.output_shape(nn.build_layer(options), (2, 6, 6)) == shape
