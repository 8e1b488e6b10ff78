"""Images as an array that is only made, piece by piece, when it is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tagi_cli.data.images.image_set import Bytes

Floats = NDArray[Any]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Variation:
    """What training does to each image, drawn anew in each epoch.

    Attributes:
        shift: pixels by which it is moved each way, at most; zeros come in.
        flip: whether half of them are mirrored left to right.
        crop: whether the place of the crop is drawn.
    """

    shift: int = 0
    flip: bool = False
    crop: bool = False


class Images:
    """An array of n images that share the bytes of a file or of memory with others.

    Nothing is copied until it is asked for: `np.asarray(images[i:j])` are some of them, scaled, the
    middle of each. Learners take the bytes, and scale and vary them where a step needs them.

    Args:
        pixels: bytes of all images, `(N, H, W, C)` where `interleaved`, else `(N, C, H, W)`.
        interleaved: how they lie.
        rows: `(n,)` which of them these are.
        size: height `h` and width `w` of what is shown.
        center: `(C,)`, or `(C, h, w)` for one of each pixel; a value shown is
            `(byte - center) / scale`.
        scale: of the same shape.
        dtype: of the values.
        flat: whether the shape is `(n, C * h * w)`, else `(n, C, h, w)`.
        variation: what training does to them.

    Raises:
        ValueError: shapes do not fit.
    """

    __slots__ = (
        "_dtype", "center", "flat", "interleaved", "pixels", "rows", "scale", "size", "variation",
    )  # fmt: skip

    def __init__(
        self,
        pixels: Bytes,
        interleaved: bool,
        rows: Indices,
        size: tuple[int, int],
        center: Floats,
        scale: Floats,
        dtype: DTypeLike = np.float32,
        *,
        flat: bool = False,
        variation: Variation | None = None,
    ) -> None:
        self.pixels = pixels
        self.interleaved = interleaved
        self.rows = rows
        self.size = size
        self.center = center
        self.scale = scale
        self._dtype = np.dtype(dtype)
        self.flat = flat
        self.variation = variation or Variation()
        C, H, W = self.whole
        if not (1 <= size[0] <= H and 1 <= size[1] <= W):
            raise ValueError(f"{size} pixels of images of {(H, W)}")
        if center.shape != scale.shape or center.shape not in ((C,), (C, *size)):
            raise ValueError(f"scalers {center.shape}, {scale.shape} for images {(C, *size)}")

    @property
    def whole(self) -> tuple[int, int, int]:
        """Channels, height and width of the images before they are cropped."""
        a, b, c = self.pixels.shape[1:]
        return (c, a, b) if self.interleaved else (a, b, c)

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n, C, h, w)`, or `(n, C * h * w)`."""
        image = (self.whole[0], *self.size)
        return (len(self.rows), math.prod(image)) if self.flat else (len(self.rows), *image)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values shown."""
        return self._dtype

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<images {self.shape} of {len(self.pixels)}, {self.dtype}>"

    @overload
    def __getitem__(self, index: slice) -> Images: ...
    @overload
    def __getitem__(self, index: NDArray[Any]) -> Images: ...
    def __getitem__(self, index: slice | NDArray[Any]) -> Images:
        """Some of the images, by a slice or an array of numbers or truth values.

        Raises:
            TypeError: any other index.
        """
        if not isinstance(index, slice | np.ndarray):
            raise TypeError("images are chosen by a slice or an array (n,)")
        return self._with(self.rows[index])

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Floats:
        """A copy, scaled, the middle of each image.

        Raises:
            ValueError: `copy=False`, as bytes are no such array yet.
        """
        if copy is False:
            raise ValueError("images become an array only by a copy")
        values = self.raw().astype(dtype or self._dtype)
        per_channel = self.center.ndim == 1
        center, scale = (
            (a[:, None, None] if per_channel else a).astype(values.dtype)
            for a in (self.center, self.scale)
        )
        values -= center
        values /= scale
        return values.reshape(self.shape)

    def raw(self) -> Bytes:
        """Bytes of the middle of each image, `(n, C, h, w)`."""
        _, H, W = self.whole
        h, w = self.size
        y, x = (H - h) // 2, (W - w) // 2
        pixels = np.asarray(self.pixels)
        if self.interleaved:
            return pixels[self.rows, y : y + h, x : x + w].transpose(0, 3, 1, 2)
        return pixels[self.rows, :, y : y + h, x : x + w]

    def followed_by(self, other: Images) -> Images:
        """These images and then `other`, which are of the same bytes.

        Raises:
            ValueError: they are not.
        """
        if other.pixels is not self.pixels or other.size != self.size:
            raise ValueError("only images of the same bytes can follow one another")
        return self._with(np.concatenate([self.rows, other.rows]))

    def _with(self, rows: Indices) -> Images:
        return Images(
            self.pixels, self.interleaved, rows, self.size, self.center, self.scale, self._dtype,
            flat=self.flat, variation=self.variation,
        )  # fmt: skip
