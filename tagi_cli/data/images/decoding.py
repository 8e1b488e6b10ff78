"""Image files, decoded by Pillow; none takes more memory than a file of its size may."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tagi_cli.compression import ALWAYS, RATIO, refuse_bomb
from tagi_cli.data.archive import first_line
from tagi_cli.data.images.image_set import Bytes, as_bytes, size_words
from tagi_cli.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp")

Size = tuple[int, int]

# By what is in a file, whatever it is called: Pillow would start programs for others.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
_GREY = ("1", "L", "LA", "La", "I", "F")
# 16 bits of these become numbers of 32 bits, in Pillow's older versions at least.
_SIXTEEN_BITS = ("PNG", "PPM")
# Bytes that each of many files may stand for, however small it is.
_EACH = 1 << 20


class _Head(NamedTuple):
    """What the head of a file says."""

    grey: bool
    size: Size
    """Height and width."""


def read_files(files: Sequence[Path], size: Size | None, channels: int | None) -> Bytes:
    """The pixels of image files `(n, H, W, C)`.

    Of 16 bits the upper eight are kept; transparency is left out, and of several images in one file
    all but the first.

    Args:
        files: where they are, one at least.
        size: height and width to which they are resized; None wants them all of one size.
        channels: 1 for grey, 3 for red, green and blue; None takes grey where all images are.

    Raises:
        UserError: Pillow is missing; a file is damaged, or would take far more memory than a file
            of its size may; images of several sizes.
    """
    pillow = _pillow(files[0])
    with warnings.catch_warnings():
        # They are of sizes, which have a limit of our own, and of what can be read nevertheless.
        warnings.simplefilter("ignore")
        heads = [_head(pillow, file) for file in files]
        if channels is None:
            channels = 1 if all(head.grey for head in heads) else 3
        if size is None:
            _check_sizes(files, heads, channels)
        shape = (*(size or heads[0].size), channels)
        pixels = np.empty((len(files), *shape), np.uint8)
        for row, file in enumerate(files):
            pixels[row] = _decoded(pillow, file, size, channels)
    return pixels


def _pillow(file: Path) -> Any:
    try:
        import PIL.Image
    except ImportError:
        raise UserError(
            f"{file.parent}: reading image files needs Pillow; install it with pip install "
            "'tagi-cli[images]'"
        ) from None
    return PIL.Image


def _check_sizes(files: Sequence[Path], heads: Sequence[_Head], channels: int) -> None:
    """Make sure that images are of one size, and that files like these may hold so much together.

    Raises:
        UserError: they are not.
    """
    first = heads[0].size
    for file, head in zip(files, heads, strict=True):
        if head.size != first:
            raise UserError(
                f"{file}: {size_words(head.size)} pixels (height x width), and {files[0].name} has "
                f"{size_words(first)}; all must have one size. Set data.image.size to [height, "
                "width] to resize them"
            )
    needed = len(files) * channels * first[0] * first[1]
    if needed > ALWAYS + sum(max(RATIO * file.stat().st_size, _EACH) for file in files):
        raise UserError(
            f"{files[0].parent}: {len(files)} images of {size_words(first)} pixels take {needed} "
            "bytes, far more than such small files should. Set data.image.size to a smaller "
            "[height, width] to resize them as they are read"
        )


def _head(pillow: Any, file: Path) -> _Head:
    with _damage(file), pillow.open(file, formats=_FORMATS) as image:
        width, height = image.size
        head = _Head(image.mode in _GREY or image.mode.startswith("I;16"), (height, width))
        # Grey or palette, or else four bytes for each pixel.
        bands = 1 if image.mode in ("1", "L", "P") else 4
        refuse_bomb(file, width * height * bands, "save it as a smaller image")
    return head


def _decoded(pillow: Any, file: Path, size: Size | None, channels: int) -> Bytes:
    """`(H, W, C)`."""
    with _damage(file), pillow.open(file, formats=_FORMATS) as image:
        shown = image
        if image.mode.startswith("I;16") or (image.mode == "I" and image.format in _SIXTEEN_BITS):
            # Conversion would cut 16 bits off at 255.
            upper = np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255)
            shown = pillow.fromarray(upper.astype(np.uint8))
        elif image.mode in "IF":
            shown = pillow.fromarray(as_bytes(np.asarray(image), str(file)))
        shown = shown.convert("L" if channels == 1 else "RGB")
        if size is not None and shown.size != size[::-1]:
            shown = shown.resize(size[::-1], pillow.Resampling.BILINEAR)
        found: Bytes = np.asarray(shown, np.uint8)
    return found.reshape(*found.shape[:2], channels)


@contextmanager
def _damage(file: Path) -> Iterator[None]:
    """Tell that a file is damaged, in whatever way Pillow stumbles over it."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{file}: the image cannot be read ({first_line(error)})") from None
