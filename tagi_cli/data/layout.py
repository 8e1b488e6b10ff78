"""Rows of slices in one array, each slice padded at its two ends, so that windows are views."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.series import Series

Rows = NDArray[np.int64]

COPIED = ("edge", "reflect", "symmetric", "wrap")
"""Paddings that show rows of the slice again, with NumPy's meaning of the words."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Where each row of `series` stands when every slice gets rows `before` and `after` it."""

    series: Series
    before: int
    after: int

    @cached_property
    def begins(self) -> Rows:
        """(S,) place of the first row of each slice."""
        sizes = self.series.lengths + (self.before + self.after)
        return np.cumsum(sizes) - sizes + self.before

    @cached_property
    def places(self) -> Rows:
        """(N,) place of each row."""
        return self.begins[self.series.slices] + self.series.places

    def __len__(self) -> int:
        """Rows with their padding."""
        return len(self.series) + len(self.begins) * (self.before + self.after)

    def pad(self, values: NDArray[Any], method: str, fill: float) -> NDArray[Any]:
        """Values `(N, C)` of the rows, with padding `(len(self), C)`.

        Args:
            values: of the rows of the series.
            method: one of `COPIED`; any other pads with `fill`.
            fill: value of padding that is not copied.
        """
        if method not in COPIED:
            padded = np.full((len(self), values.shape[1]), fill, values.dtype)
            padded[self.places] = values
            return padded
        sizes = self.series.lengths + (self.before + self.after)
        lengths = np.repeat(self.series.lengths, sizes)
        place = np.arange(len(self)) - np.repeat(self.begins, sizes)
        first = np.repeat(self.series.bounds[:-1], sizes)
        return np.asarray(values[first + copied_row(place, lengths, method)])


def copied_row(place: Rows, length: Rows | int, method: str) -> Rows:
    """The row of a slice that padding shows at `place`, which may lie outside `[0, length)`."""
    length = np.asarray(length)
    if method == "wrap":
        return np.asarray(place % length)
    if method == "edge":
        return np.clip(place, 0, length - 1)
    if method == "symmetric":
        folded = place % (2 * length)
        return np.asarray(np.minimum(folded, 2 * length - 1 - folded))
    period = np.maximum(2 * (length - 1), 1)
    folded = place % period
    return np.asarray(np.minimum(folded, period - folded) * (length > 1))
