"""A window sliding over images: the sizes that convolution kernels and their callers share."""

from __future__ import annotations

from typing import NamedTuple

# Elements of an unfolded tile of the NumPy references: large enough for BLAS, small enough to stay
# in a second-level cache with its companions.
_TILE = 1 << 18


class Window(NamedTuple):
    """Where a kernel is placed on an image, in the order in which kernels take the fields.

    The image `(C, H, W)` is what the kernel slides over; the map `(O, P, Q)` has one entry per
    placement: entry `(p, q)` and tap `(i, j)` meet at the pixel `(p sh + i dh - top,
    q sw + j dw - left)`, which counts as zero where it lies outside. A convolution goes from the
    image to the map, a transposed one from the map to the image. `top` and `left` are negative
    where pixels before the first placement are left out.
    """

    C: int
    H: int
    W: int
    O: int
    P: int
    Q: int
    kh: int
    kw: int
    sh: int
    sw: int
    dh: int
    dw: int
    top: int
    left: int
    groups: int

    @property
    def depth(self) -> int:
        """Taps of one map: `C / groups * kh * kw`."""
        return self.C // self.groups * self.kh * self.kw

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width that all placements together cover."""
        return (
            (self.P - 1) * self.sh + (self.kh - 1) * self.dh + 1,
            (self.Q - 1) * self.sw + (self.kw - 1) * self.dw + 1,
        )

    def tile(self, batch: int) -> tuple[int, int]:
        """Images, and rows of the map of each, that are unfolded at a time."""
        row = self.C * self.kh * self.kw * self.Q
        rows = max(1, min(self.P, _TILE // row))
        images = max(1, min(batch, _TILE // (row * self.P))) if rows == self.P else 1
        return images, rows

    def scratch(self, batch: int, *, square_map: bool = False) -> int:
        """Elements of scratch memory that one call needs for a batch.

        Args:
            batch: number of images.
            square_map: whether the call needs the squares of the whole map at once.
        """
        images, rows = self.tile(batch)
        (height, width), positions = self.padded, images * rows * self.Q
        unfolded = self.C * self.kh * self.kw * positions
        tile = images * self.C * height * width + 2 * unfolded + 2 * self.O * positions
        whole = batch * self.O * self.P * self.Q if square_map else 0
        return max(tile + self.O * self.depth, whole)
