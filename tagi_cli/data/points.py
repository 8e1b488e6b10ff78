"""Prediction points: the rows of a series that have a window of inputs and one of targets."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.layout import Layout
from tagi_cli.data.series import Series
from tagi_cli.errors import UserError

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Chunks:
    """What the window of a prediction point t holds.

    Attributes:
        inputs: first and last row of the inputs, counted from t, both inclusive.
        targets: first and last row of the targets.
        padding: how rows before and after a slice are made up; `none` allows none.
        least_real: rows of an input window that must be in the slice.
        are_segments: inputs and targets are segments of a slice that do not overlap, each with one
            prediction point, its first row; the last may reach past the end of the slice.
    """

    inputs: tuple[int, int]
    targets: tuple[int, int]
    padding: str = "constant"
    least_real: int = 1
    are_segments: bool = False

    @classmethod
    def of(
        cls, inputs: tuple[int, int], targets: tuple[int, int], padding: str, portion: float
    ) -> Chunks:
        """Chunks of which at least a portion of the input rows is real; all of them unpadded."""
        length = inputs[1] - inputs[0] + 1
        least = length if padding == "none" else max(1, math.ceil(portion * length - 1e-9))
        return cls(inputs, targets, padding, least)

    @classmethod
    def segments(cls, length: int, padding: str) -> Chunks:
        """Segments of at most `length` rows."""
        return cls((0, length - 1), (0, length - 1), padding, 1, True)

    @property
    def input_length(self) -> int:
        """Rows of an input window."""
        return self.inputs[1] - self.inputs[0] + 1

    @property
    def target_length(self) -> int:
        """Rows of a target window."""
        return self.targets[1] - self.targets[0] + 1

    @property
    def steps_ahead(self) -> Rows:
        """`(T_out,)` how many rows each row of the targets lies behind the last of the inputs."""
        return np.arange(self.targets[0], self.targets[1] + 1) - self.inputs[1]

    @property
    def last(self) -> int:
        """The last row that a window shows, counted from its prediction point."""
        return max(self.inputs[1], self.targets[1])

    def layout(self, series: Series) -> Layout:
        """Rows padded as far as windows reach from any row of a slice."""
        first = min(self.inputs[0], self.targets[0])
        return Layout(series, max(0, -first), max(0, self.last))

    def points(self, series: Series, *, with_targets: bool = True) -> Rows:
        """Prediction points: places in `series`, ascending.

        A point needs `least_real` input rows in its slice, and padding that copies no row as late
        as its targets (of rows that the inputs show anyway, none later than these); `wrap`, which
        cannot be without, is free of that.

        Args:
            series: any series.
            with_targets: whether all rows of the targets must be in the slice, too.
        """
        place, length = series.places, series.lengths[series.slices]
        if self.are_segments:
            return np.flatnonzero(place % self.input_length == 0)
        first, last = place + self.inputs[0], place + self.inputs[1]
        real = np.minimum(last, length - 1) - np.maximum(first, 0) + 1
        good = real >= self.least_real
        if with_targets:
            good &= (place + self.targets[0] >= 0) & (place + self.targets[1] < length)
        if self.padding in ("reflect", "symmetric"):
            # Rows are shown backwards from the first on: the further out, the later.
            depth = np.maximum(-first, 0) - (self.padding == "symmetric")
            latest = np.minimum(depth, length - 1)
            good &= latest <= place + max(self.inputs[1], self.targets[0] - 1)
        return np.flatnonzero(good)

    def covered(self, series: Series, points: Rows, chunk: tuple[int, int]) -> NDArray[np.bool_]:
        """Which rows `(N,)` the windows of these points show in a chunk; padding apart."""
        slices = series.slices[points]
        first = np.maximum(points + chunk[0], series.bounds[slices])
        last = np.minimum(points + chunk[1], series.bounds[slices + 1] - 1)
        shown = first <= last
        begun = np.bincount(first[shown], minlength=len(series) + 1)
        ended = np.bincount(last[shown] + 1, minlength=len(series) + 1)
        return np.cumsum(begun - ended)[:-1] > 0

    def least_rows(self, *, with_targets: bool = True) -> int:
        """Rows that a slice needs for one prediction point, with all its targets or without."""

        def enough(rows: int) -> bool:
            none = np.zeros(rows, dtype=np.int64)
            alone = Series(("",), np.arange(rows), none, np.array([0, rows]))
            return len(self.points(alone, with_targets=with_targets)) > 0

        # Of more rows the window one place further shows as many real ones, and no later ones.
        most = 1
        while not enough(most):
            most *= 2
        return bisect.bisect_left(range(most), True, lo=most // 2, key=enough)

    def check(self, series: Series, source: str) -> None:
        """Make sure that every series has a prediction point.

        Raises:
            UserError: the longest slice of a series is shorter than a window.
        """
        found = np.bincount(series.codes[self.points(series)], minlength=len(series.names))
        present = np.diff(series.starts) > 0
        short = np.flatnonzero(present & (found == 0))
        if not len(short):
            return
        code = int(short[0])
        longest = int(series.lengths[series.slice_codes == code].max())
        least = self.least_rows()
        others = f" ({len(short) - 1} more series likewise)" if len(short) > 1 else ""
        out = f"; data.min_slice={least} leaves it out" if present.sum() > len(short) else ""
        slices = int((series.slice_codes == code).sum())
        cut = f". Gaps cut it into {slices} slices; data.time_delta=rows does not" * (slices > 1)
        raise UserError(
            f"{source}: {series.label(code)} has {longest} rows in a row, fewer than the {least} "
            f"that a window of data.in_chunk {list(self.inputs)} and data.out_chunk "
            f"{list(self.targets)} needs{others}. Make the chunks shorter{out}{cut}"
        )

    def check_new(self, series: Series, source: str) -> None:
        """Make sure that some series to predict has a prediction point, maybe without targets.

        Raises:
            UserError: the longest slice of all is shorter than a window.
        """
        if len(self.points(series, with_targets=False)):
            return
        longest, least = int(series.lengths.max()), self.least_rows(with_targets=False)
        raise UserError(
            f"{source}: {longest} row{'s' * (longest > 1)} of a series without a gap, fewer than "
            f"the {least} that a window of data.in_chunk {list(self.inputs)} needs. Put more of "
            "its past in front"
        )

    def to_json(self) -> dict[str, Any]:
        """A dict for JSON that `from_json` turns into equal chunks."""
        return {
            "in_chunk": list(self.inputs),
            "out_chunk": list(self.targets),
            "padding": self.padding,
            "least_real": self.least_real,
            "segments": self.are_segments,
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Chunks:
        """The chunks that `to_json` wrote."""
        (a, b), (c, d) = tree["in_chunk"], tree["out_chunk"]
        return cls((a, b), (c, d), tree["padding"], tree["least_real"], tree["segments"])
