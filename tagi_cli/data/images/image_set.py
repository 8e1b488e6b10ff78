"""Images as they were read: bytes, and what is known of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.errors import UserError

Bytes = NDArray[np.uint8]
Rows = NDArray[np.int64]

CHANNELS = (1, 3, 4)
"""Sizes of a last axis that can be nothing but channels."""


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of n images.

    Attributes:
        codes: `(n,)` place of each label in `names`.
        names: all labels that there are.
        source: where they were read, for messages.
        ordered: whether the order of `names` means something, as in a list of classes.
    """

    codes: Rows
    names: tuple[str, ...]
    source: str
    ordered: bool = False

    @classmethod
    def of(cls, values: NDArray[Any], source: str) -> Labels:
        """Labels from an array `(n,)` of whole numbers or text.

        Raises:
            UserError: another shape or type.
        """
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if values.ndim != 1 or values.dtype.kind not in "iubUS":
            raise UserError(
                f"{source}: labels of shape {values.shape} and type {values.dtype}. Allowed: "
                "(images,), whole numbers or text"
            )
        if values.dtype.kind == "S":
            values = np.char.decode(values, "utf-8", "replace")
        elif values.dtype.kind == "b":
            values = values.astype(np.uint8)
        found, codes = np.unique(values, return_inverse=True)
        names = tuple(str(value) for value in found.tolist())
        return cls(codes.astype(np.int64), names, source)

    def followed_by(self, other: Labels) -> Labels:
        """These labels and then `other`."""
        names = tuple(dict.fromkeys((*self.names, *other.names)))
        place = np.array([names.index(name) for name in other.names], np.int64)
        codes = np.concatenate([self.codes, place[other.codes]])
        return Labels(codes, names, self.source, self.ordered)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of one size.

    Attributes:
        source: file or folder, for messages.
        pixels: `(n, H, W, C)` where `interleaved`, else `(n, C, H, W)`; may be mapped from a file.
        interleaved: whether the channels of a pixel lie side by side.
        labels: None where there are none.
        files: `(n,)` names of the files, where each image is one.
        pieces: of sets that were joined, for messages: the first image of each, and where it was.
    """

    source: str
    pixels: Bytes
    interleaved: bool
    labels: Labels | None = None
    files: tuple[str, ...] | None = None
    pieces: tuple[tuple[int, str], ...] = ()

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        if self.interleaved:
            H, W, C = self.pixels.shape[1:]
        else:
            C, H, W = self.pixels.shape[1:]
        return C, H, W

    def labelled(self, labels: Labels | None) -> ImageSet:
        """The same with these labels.

        Raises:
            UserError: as many labels as images there are not.
        """
        if labels is not None and len(labels.codes) != len(self):
            raise UserError(
                f"{labels.source}: {len(labels.codes)} labels for the {len(self)} images of "
                f"{self.source}"
            )
        return replace(self, labels=labels)

    def followed_by(self, other: ImageSet) -> ImageSet:
        """These images and then `other`, of the same size, in memory.

        Raises:
            UserError: the sizes differ, or only one of them has labels.
        """
        check_alike(self, other)
        if (self.labels is None) != (other.labels is None):
            bare, known = (self, other) if self.labels is None else (other, self)
            raise UserError(
                f"{bare.source}: {len(bare)} images have no labels, and the "
                f"{len(known)} of another part have some"
            )
        labels = None
        if self.labels is not None and other.labels is not None:
            labels = self.labels.followed_by(other.labels)
        files = None
        if self.files is not None and other.files is not None:
            files = self.files + other.files
        pixels = np.concatenate([self.pixels, _laid_as(other, self.interleaved)])
        more = tuple((len(self) + begin, source) for begin, source in other._pieces())
        pieces = (*self._pieces(), *more)
        return ImageSet(self.source, pixels, self.interleaved, labels, files, pieces)

    def where(self, row: int) -> str:
        """The label of an image in words, for messages."""
        begin, source = [piece for piece in self._pieces() if piece[0] <= row][-1]
        if self.files is not None:
            return f"{source}, {self.files[row]}"
        return f"{source}, image {row - begin} (from 0)"

    def _pieces(self) -> tuple[tuple[int, str], ...]:
        if self.pieces:
            return self.pieces
        known = self.labels if self.files is None else None
        return ((0, self.source if known is None else known.source),)


def check_alike(one: ImageSet, two: ImageSet) -> None:
    """Make sure that images of two sources can be parts of one data set.

    Raises:
        UserError: their sizes differ.
    """
    if one.shape != two.shape:
        raise UserError(
            f"{two.source}: images of {size_words(two.shape)}, and those of {one.source} are "
            f"{size_words(one.shape)}; all must have one size"
        )


def of_array(array: NDArray[Any], source: str, where: str = "") -> ImageSet:
    """Images from an array `(n, H, W)`, `(n, H, W, C)` or `(n, C, H, W)`.

    Channels are the last axis where that has 1, 3 or 4 elements, else the first behind the images.
    An array of bytes is not copied; other numbers must be whole ones between 0 and 255.

    Args:
        array: the values.
        source: file or folder.
        where: the part of it, such as the name of the array.

    Raises:
        UserError: another shape, or values that are no bytes.
    """
    place = f"{source}, {where}" if where else source
    if array.ndim not in (3, 4) or 0 in array.shape[1:]:
        raise UserError(
            f"{place}: shape {array.shape} holds no images. Allowed: (images, height, width), "
            "(images, height, width, channels) or (images, channels, height, width)"
        )
    pixels = as_bytes(array, place)
    if pixels.ndim == 3:
        return ImageSet(source, pixels[:, None], False)
    return ImageSet(source, pixels, pixels.shape[-1] in CHANNELS)


def as_bytes(array: NDArray[Any], place: str) -> Bytes:
    """Pixel values as bytes, without a copy where they are.

    Raises:
        UserError: some are no whole numbers between 0 and 255.
    """
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array) if not array.flags.c_contiguous else array
    if array.dtype.kind not in "iufb":
        raise UserError(f"{place}: values of type {array.dtype}. Allowed: whole numbers, 0 to 255")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UserError(f"{place}: a pixel is NaN or infinite. Allowed: whole numbers, 0 to 255")
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    whole = array.dtype.kind != "f" or bool((array == np.round(array)).all())
    if not (whole and 0 <= low <= high <= 255):
        hint = ""
        if 0 <= low <= high <= 1:
            hint = " Multiply them by 255, round, and save them as uint8."
        raise UserError(
            f"{place}: pixel values between {low:g} and {high:g} of type {array.dtype}. Allowed: "
            f"whole numbers, 0 to 255.{hint}"
        )
    return array.astype(np.uint8)


def size_words(shape: Sequence[int]) -> str:
    """Channels, height and width in words, such as `3 x 32 x 32`."""
    return " x ".join(str(size) for size in shape)


def _laid_as(images: ImageSet, interleaved: bool) -> Bytes:
    if images.interleaved == interleaved:
        return images.pixels
    axes = (0, 2, 3, 1) if interleaved else (0, 3, 1, 2)
    return images.pixels.transpose(axes)
