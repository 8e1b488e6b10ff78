"""Windows of consecutive rows, as views: a start per window into one array of rows."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

Floats = NDArray[Any]
Indices = NDArray[np.int64]


class Windows:
    """An array `(n, length, C)` of overlapping windows, whose rows are held once.

    Nothing is copied until it is asked for: `np.asarray(windows)`, or `np.asarray(windows[i:j])`
    for some of them. Window i shows its rows `starts[i]` to `starts[i] + length - 1`, less
    `center[i]` and divided by `scale[i]`.

    Args:
        rows: `(N, C)` values of all slices, one after the other, padding included.
        starts: `(n,)` first row of each window.
        length: rows per window.
        center: `(n, C)`; None with `scale` shows the rows as they are.
        scale: `(n, C)`.

    Raises:
        ValueError: a window reaches outside `rows`, shapes do not fit, or only one of `center` and
            `scale` is given.
    """

    __slots__ = ("center", "length", "rows", "scale", "starts")

    def __init__(
        self,
        rows: Floats,
        starts: Indices,
        length: int,
        center: Floats | None = None,
        scale: Floats | None = None,
    ) -> None:
        if rows.ndim != 2 or starts.ndim != 1 or length < 1:
            raise ValueError(f"windows of {length} rows, of shapes {rows.shape}, {starts.shape}")
        if len(starts) and (starts.min() < 0 or starts.max() + length > len(rows)):
            raise ValueError(f"a window of {length} rows reaches outside the {len(rows)} rows")
        if (center is None) != (scale is None):
            raise ValueError("center and scale are given together or not at all")
        for values in (center, scale):
            if values is not None and values.shape != (len(starts), rows.shape[1]):
                raise ValueError(
                    f"scalers of shape {values.shape}; {len(starts)} windows of {rows.shape[1]} "
                    "columns need one per window and column"
                )
        self.rows = rows
        self.starts = starts
        self.length = length
        self.center = center
        self.scale = scale

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(n, length, C)`."""
        return len(self.starts), self.length, self.rows.shape[1]

    @property
    def ndim(self) -> int:
        """Always 3."""
        return 3

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the rows."""
        return self.rows.dtype

    def __len__(self) -> int:
        return len(self.starts)

    def __repr__(self) -> str:
        return f"<windows {self.shape} of {len(self.rows)} rows, {self.dtype}>"

    @overload
    def __getitem__(self, index: slice) -> Windows: ...
    @overload
    def __getitem__(self, index: NDArray[Any]) -> Windows: ...
    def __getitem__(self, index: slice | NDArray[Any]) -> Windows:
        """Some of the windows, by a slice or an array of numbers or truth values; rows are shared.

        Raises:
            TypeError: any other index.
        """
        if not isinstance(index, slice | np.ndarray) or (
            isinstance(index, np.ndarray) and index.ndim != 1
        ):
            raise TypeError("windows are chosen by a slice or an array (n,)")
        return Windows(
            self.rows,
            self.starts[index],
            self.length,
            None if self.center is None else self.center[index],
            None if self.scale is None else self.scale[index],
        )

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Floats:
        """A copy `(n, length, C)`.

        Raises:
            ValueError: `copy=False`, as windows are no array yet.
        """
        if copy is False:
            raise ValueError("windows become an array only by a copy")
        taken: Floats = self.rows[self.starts[:, None] + np.arange(self.length)]
        if self.center is not None and self.scale is not None:
            taken -= self.center[:, None]
            taken /= self.scale[:, None]
        return taken.astype(dtype or taken.dtype, copy=False)

    def followed_by(self, other: Windows) -> Windows:
        """These windows and then `other`, which are windows of the same rows.

        Raises:
            ValueError: they are of other rows, or of another length.
        """
        if other.rows is not self.rows or other.length != self.length:
            raise ValueError("only windows of the same rows and length can follow one another")
        center = scale = None
        if self.center is not None and other.center is not None:
            center = np.concatenate([self.center, other.center])
        if self.scale is not None and other.scale is not None:
            scale = np.concatenate([self.scale, other.scale])
        starts = np.concatenate([self.starts, other.starts])
        return Windows(self.rows, starts, self.length, center, scale)
