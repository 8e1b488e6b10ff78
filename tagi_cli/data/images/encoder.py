"""From images to what the network sees, and back: the part of the data that outlives it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tagi_cli.data.encoder import Encoder, Rows, Scalers
from tagi_cli.data.images.image_set import ImageSet, Labels, of_array, size_words
from tagi_cli.data.images.images import Images, Variation
from tagi_cli.data.images.sources import read_parts
from tagi_cli.data.parts import Part
from tagi_cli.data.table import Table
from tagi_cli.data.windows import Windows
from tagi_cli.errors import UserError, listing, nearest

IMAGE, PIXEL, LABEL = "image", "pixel", "label"
"""Names of the input, and of the outputs."""


@dataclass(frozen=True)
class ImageScaler:
    """What is shown of an image, and in which units.

    Attributes:
        whole: channels, height and width of an image.
        size: height and width of its middle, which the network sees.
        center: `(C,)` or `(C, h, w)`; a value is `(byte - center) / scale`.
        scale: of the same shape.
        resize: height and width to which images of files are resized first.
    """

    whole: tuple[int, int, int]
    size: tuple[int, int]
    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    resize: tuple[int, int] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one input `(C, h, w)`."""
        return (self.whole[0], *self.size)

    def by_pixel(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Centre and scale of each value of an image, `(C * h * w,)`."""
        return tuple(  # type: ignore[return-value]
            np.broadcast_to(a[:, None, None] if a.ndim == 1 else a, self.shape).reshape(-1).copy()
            for a in (self.center, self.scale)
        )

    def to_json(self) -> dict[str, Any]:
        """A dict for JSON."""
        return {
            "whole": list(self.whole),
            "size": list(self.size),
            "center": self.center.tolist(),
            "scale": self.scale.tolist(),
            "resize": None if self.resize is None else list(self.resize),
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> ImageScaler:
        """The one that `to_json` wrote."""
        C, H, W = tree["whole"]
        h, w = tree["size"]
        resize = tree["resize"]
        return cls(
            (C, H, W),
            (h, w),
            np.array(tree["center"], np.float64),
            np.array(tree["scale"], np.float64),
            None if resize is None else (resize[0], resize[1]),
        )


@dataclass(frozen=True, eq=False)
class ImageEncoder(Encoder):
    """Encodes new images exactly as the training images were.

    Its input is the image as a whole; what it predicts are classes, or, where `classes` is None,
    the image itself: `C * h * w` values of the component `pixel`.
    """

    image: ImageScaler = field(kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", (IMAGE,))
        object.__setattr__(self, "features", (IMAGE,))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """`(C, h, w)`."""
        return self.image.shape

    @property
    def output_shape(self) -> tuple[int, int]:
        """`(1, classes)`, or `(1, C * h * w)`."""
        return 1, math.prod(self.image.shape) if self.classes is None else len(self.classes)

    def part(self, images: ImageSet, rows: Rows, variation: Variation | None = None) -> Part:
        """Some of the images as examples, with their targets as far as they have them.

        Args:
            images: of the size of the training images.
            rows: `(n,)` which of them.
            variation: what training does to them.

        Raises:
            UserError: another size, or a label that no training image has.
        """
        if images.shape != self.image.whole:
            raise UserError(
                f"{images.source}: images of {size_words(images.shape)}. Allowed: "
                f"{size_words(self.image.whole)} (channels x height x width), as in training"
            )
        scaler, pixels = self.image, images.pixels
        layout = pixels, images.interleaved, rows, scaler.size
        x = Images(*layout, scaler.center, scaler.scale, self.dtype, variation=variation)
        places = np.arange(len(images))[rows]
        if self.classes is None:
            y: Any = Images(
                *layout, scaler.center, scaler.scale, self.dtype, flat=True, variation=variation
            )
            plain = np.zeros(scaler.whole[0]), np.ones(scaler.whole[0])
            raw: Any = Images(*layout, *plain, np.float64, flat=True)
        else:
            codes = self._codes(images, rows)
            raw = np.where(codes < 0, np.nan, codes).astype(np.float64)[:, None]
            y = self._indicators(codes)
        files = None if images.files is None else tuple(images.files[i] for i in rows.tolist())
        return Part(x, y, raw, places, self.center_y[None], self.scale_y[None], files=files)

    def _codes(self, images: ImageSet, rows: Rows) -> Rows:
        """Number of the class of each image, -1 without labels."""
        assert self.classes is not None
        labels = images.labels
        if labels is None:
            return np.full(len(rows), -1)
        place = {name: k for k, name in enumerate(self.classes)}
        codes = np.array([place.get(name, -1) for name in labels.names])[labels.codes[rows]]
        unknown = np.flatnonzero(codes < 0)
        if len(unknown):
            row = int(rows[unknown[0]])
            name = labels.names[labels.codes[row]]
            more = f" ({len(unknown) - 1} more images likewise)" if len(unknown) > 1 else ""
            raise UserError(
                f"{images.where(row)}: label '{name}' is that of no training image{more}."
                f"{nearest(name, self.classes)} Known: {listing(self.classes)}"
            )
        return codes

    def _indicators(self, codes: Rows) -> Windows:
        """Indicators `(n, 1, K)`, whose K + 1 different rows are held once; NaN without a label."""
        assert self.classes is not None
        K = len(self.classes)
        return Windows(
            _indicators(K, self.dtype), np.where(codes < 0, K, codes).astype(np.int64), 1
        )

    def read(self, path: str | Path, *, labels: bool = True) -> Part:
        """All images at a path, of all parts that are told apart there, one after the other.

        Args:
            path: a folder or a file.
            labels: whether to take along their labels, if they have any.

        Raises:
            UserError: as `sources.read_parts` and `part`.
        """
        found = read_parts(path, size=self.image.resize, channels=self.image.whole[0])
        images, *others = (one if labels else one.labelled(None) for one in found.values())
        for other in others:
            images = images.followed_by(other)
        return self.part(images, np.arange(len(images)))

    def examples(self, array: ArrayLike) -> Part:
        """Images `(n, H, W)`, `(n, H, W, C)` or `(n, C, H, W)` of bytes, as examples.

        Raises:
            UserError: another shape, or values that are no whole numbers between 0 and 255.
        """
        values = np.asarray(array)
        images = of_array(values, "input array")
        C, H, W = self.image.whole
        if values.shape[1:] == (C, H, W):
            # Where the last axis looks like one of channels by chance.
            images = ImageSet("input array", images.pixels.reshape(-1, C, H, W), False)
        return self.part(images, np.arange(len(images)))

    def encode_counting(
        self, table: Table, rows: Rows | None = None, scalers: Scalers | None = None
    ) -> tuple[NDArray[np.floating[Any]], Counter[str]]:
        """No table holds images.

        Raises:
            UserError: always.
        """
        raise UserError(
            f"{table.source}: the model takes images of {size_words(self.image.whole)}, not a "
            "table. Allowed: a folder of images, IDX, NPZ or NPY files, an array"
        )

    def to_json(self) -> dict[str, Any]:
        """See `Encoder.to_json`."""
        return {
            "image": self.image.to_json(),
            "dtype": self.dtype,
            "classes": None if self.classes is None else list(self.classes),
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> ImageEncoder:
        """See `Encoder.from_json`."""
        classes = tree["classes"]
        return image_encoder(
            ImageScaler.from_json(tree["image"]),
            None if classes is None else tuple(classes),
            tree["dtype"],
        )


def takes_images(encoder: Encoder) -> bool:
    """Whether the inputs of an encoder are images."""
    return isinstance(encoder, ImageEncoder)


@cache
def _indicators(classes: int, dtype: str) -> NDArray[Any]:
    """`(classes + 1, classes)`, shared by all parts, which can so be joined."""
    rows = np.concatenate([np.eye(classes), np.full((1, classes), np.nan)]).astype(dtype)
    rows.flags.writeable = False
    return rows


def image_encoder(image: ImageScaler, classes: tuple[str, ...] | None, dtype: str) -> ImageEncoder:
    """The encoder of classes, or without them that of the images themselves."""
    if classes is None:
        center, scale = image.by_pixel()
    else:
        center, scale = np.zeros(len(classes)), np.ones(len(classes))
    output = PIXEL if classes is None else LABEL
    return ImageEncoder((), (output,), center, scale, dtype, classes, image=image)


def fit_classes(labels: Labels, rows: Rows, classes: int | None) -> tuple[str, ...]:
    """The classes: the labels of these rows, or the numbers below `classes`.

    Numbers are sorted by value, an ordered list of classes as it is, all else as text.

    Raises:
        UserError: a label that is none of them, or fewer than two.
    """
    if classes is not None:
        allowed = tuple(str(k) for k in range(classes))
        used = np.unique(labels.codes)
        wrong = [int(code) for code in used if labels.names[code] not in allowed]
        if wrong and not labels.ordered:
            row = int(np.flatnonzero(labels.codes == wrong[0])[0])
            raise UserError(
                f"{labels.source}, image {row} (from 0): label {labels.names[wrong[0]]} is out of "
                f"range. Allowed: 0 to {classes - 1}, as data.image.classes is {classes}"
            )
        if wrong:
            raise UserError(
                f"data.image.classes: {classes} contradicts {labels.source}, whose classes have "
                f"names ({listing(labels.names)}). Allowed: null"
            )
        return allowed
    used = np.unique(labels.codes[rows])
    found = [labels.names[code] for code in used]
    if len(found) < 2:
        raise UserError(
            f"{labels.source}: only '{found[0]}' in the training part; to tell classes apart takes "
            "two labels at least"
        )
    if labels.ordered:
        return tuple(found)
    if all(name.isascii() and name.lstrip("-").isdigit() for name in found):
        return tuple(sorted(found, key=int))
    return tuple(sorted(found))
