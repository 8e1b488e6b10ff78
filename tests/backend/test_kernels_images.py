"""The compiled kernel that brings images to a step, against NumPy and against plain slicing."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_harness import Exact, assert_agrees, needs_compiler

from tagi_cli.backend.reference.images import gather_images

pytestmark = needs_compiler

SIZES = [(1, 1, 1, 1), (3, 3, 5, 4), (16, 1, 28, 28), (5, 4, 17, 33)]  # batch, channels, h, w


def images(B: int, C: int, H: int, W: int, interleaved: bool) -> tuple[np.ndarray, ...]:
    """Bytes, and starts, order and cursor of some of them, the last one among these."""
    rng = np.random.default_rng(B)
    N, n = 2 * B + 5, 2 * B + 3
    pixels = rng.integers(256, size=(N, H, W, C) if interleaved else (N, C, H, W))
    starts = rng.permutation(N)[:n]
    starts[0] = N - 1
    order = rng.permutation(n)
    return pixels.astype(np.uint8), starts, order, np.array([B])


def variants() -> list[tuple[int, int, bool, bool, bool, bool]]:
    """Shift, rows cut off, flip, drawn crop, by pixel, interleaved."""
    return [
        (0, 0, False, False, False, False),
        (0, 2, False, False, False, False),
        (0, 2, False, True, False, True),
        (3, 0, True, False, False, False),
        (2, 1, True, True, True, False),
        (1, 0, True, False, True, True),
    ]


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("variant", variants())
@pytest.mark.parametrize(("B", "C", "H", "W"), SIZES)
@pytest.mark.parametrize("staged", [False, True])
def test_images(
    B: int, C: int, H: int, W: int, staged: bool, variant: tuple[int, ...], precision: str
) -> None:
    shift, cut, flip, crop, by_pixel, interleaved = variant
    pixels, starts, order, cursor = images(B, C, H, W, bool(interleaved))
    h, w = max(H - cut, 1), max(W - 2 * cut, 1)
    rng = np.random.default_rng(1)
    shape = (C, h, w) if by_pixel else (C,)
    center, scale = rng.uniform(0, 255, size=shape), rng.uniform(1, 90, size=shape)
    assert_agrees(
        "gather_images", np.zeros((B, C, h, w)), Exact(pixels), None if staged else starts, order,
        cursor, np.array([7, 3]), center, scale, int(by_pixel), int(interleaved), shift, int(flip),
        int(crop), H, W, h, w, B, C, precision=precision,
    )  # fmt: skip


def gathered(pixels: np.ndarray, draws: tuple[int, int], **varied: int) -> np.ndarray:
    """What the reference makes of images `(n, 1, H, W)` in their order, unscaled."""
    n, C, H, W = pixels.shape
    h, w = varied.pop("size", (H, W))  # type: ignore[call-overload]
    out = np.zeros((n, C, h, w))
    given = {"shift": 0, "flip": 0, "crop": 0} | varied
    gather_images(
        out, pixels, np.arange(n), np.arange(n), np.array([0]), np.array(draws, np.int32),
        np.zeros(C), np.ones(C), 0, 0, given["shift"], given["flip"], given["crop"], H, W, h, w, n,
        C,
    )  # fmt: skip
    return out


def test_each_variation_is_one_of_those_allowed_and_all_occur() -> None:
    """Every result is a slice of the padded image, or its mirror image, and all come equally."""
    rng = np.random.default_rng(0)
    one = rng.integers(1, 256, size=(1, 1, 4, 5)).astype(np.uint8)
    n = 4000
    many = np.repeat(one, n, axis=0)
    padded = np.pad(one[0, 0], 1)
    allowed = [padded[y : y + 4, x : x + 5] for y in range(3) for x in range(3)]
    allowed += [image[:, ::-1] for image in allowed]
    found = gathered(many, (5, 0), shift=1, flip=1)[:, 0]
    counts = [int((found == image).all(axis=(1, 2)).sum()) for image in allowed]
    assert sum(counts) == n
    expected = n / len(allowed)
    assert abs(np.array(counts) - expected).max() < 5 * np.sqrt(expected)
    crops = [one[0, 0, y : y + 3, x : x + 3] for y in range(2) for x in range(3)]
    found = gathered(many, (5, 0), crop=1, size=(3, 3))[:, 0]  # type: ignore[arg-type]
    counts = [int((found == image).all(axis=(1, 2)).sum()) for image in crops]
    assert sum(counts) == n
    assert abs(np.array(counts) - n / 6).max() < 5 * np.sqrt(n / 6)


def test_epochs_and_seeds_draw_anew() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(256, size=(50, 1, 6, 6)).astype(np.uint8)
    first = gathered(pixels, (1, 0), shift=2)
    np.testing.assert_array_equal(first, gathered(pixels, (1, 0), shift=2))
    assert (first != gathered(pixels, (1, 1), shift=2)).any()
    assert (first != gathered(pixels, (2, 0), shift=2)).any()
