"""Scaled rows or windows ready for training, by part: train, valid, test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.images.images import Images
from tagi_cli.data.windows import Windows

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]


class InTraining(NamedTuple):
    """Where n prediction points of a new table stand in the series that were learnt.

    Attributes:
        places: `(n, 3)` as `Part.index`, by the count of the training data; slices that they lack
            have numbers below 0.
        earliest: `(n,)` the earliest place of the slice whose window the table can show as the
            training data would.
    """

    places: Rows
    earliest: Rows


@dataclass(frozen=True, eq=False)
class Part:
    """The n examples of one part: rows of a plain table, or windows of series.

    Scaled values are of the precision of the network, NaN for a missing target; all else is
    float64. Targets of a window are flat, step by step: number `step * K + component`.

    Attributes:
        x: `(n, F)`, `Windows` of shape `(n, T_in, F)`, or `Images` of shape `(n, C, h, w)`.
        y: `(n, K)`, or `Windows` of shape `(n, T_out, K)`; of K classes `(n, K)`, or of images
            `Windows` of shape `(n, 1, K)`; `(n, T_out * K)` where each step has a scaler of its
            own; `Images` of shape `(n, C * h * w)` where these are the targets.
        raw: targets in original units, `(n, K)` or `Windows`; of classes their numbers `(n, 1)`.
        rows: `(n,)` row numbers in the source, from 0; of windows those of their prediction points,
            -1 where that is no row.
        center_y: `(1 or n, K)`, or `(n, T_out * K)` where each step has its own; a target in
            original units is `center_y + scale_y * y`.
        scale_y: of the same shape.
        index: `(n, 3)` number of the series, of its slice, and place in the slice of the prediction
            point; None for a plain table.
        time: `(n,)` times of the prediction points, numbers or datetime64; None where the data have
            no time column.
        series: names of the series by their number.
        lengths: `(n,)` rows of each segment that are in its slice, the others being padding; None
            where examples are no segments.
        files: `(n,)` names of the files that the examples are, where each is one.
        in_training: where examples of a new table stand in the training data; None of its parts.
    """

    x: Any
    y: Any
    raw: Any
    rows: Rows
    center_y: Floats
    scale_y: Floats
    index: Rows | None = None
    time: NDArray[Any] | None = None
    series: tuple[str, ...] = ("",)
    lengths: Rows | None = None
    files: tuple[str, ...] | None = None
    in_training: InTraining | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def target(self) -> Floats:
        """`(n, K)` or `(n, T_out * K)` targets in original units; `(n, 1)` numbers of classes."""
        raw = np.asarray(self.raw, dtype=np.float64)
        return raw.reshape(len(raw), math.prod(raw.shape[1:]))

    @cached_property
    def center(self) -> Floats:
        """`(1 or n, K)` or `(1 or n, T_out * K)`: target = center + scale * y."""
        return np.tile(self.center_y, (1, self._steps))

    @cached_property
    def scale(self) -> Floats:
        """Of the same shape as `center`."""
        return np.tile(self.scale_y, (1, self._steps))

    @property
    def _steps(self) -> int:
        """How often the scalers of the components repeat."""
        return int(math.prod(self.y.shape[1:]) // max(self.center_y.shape[1], 1))

    def take(self, index: Rows) -> Part:
        """Some of these examples."""
        return Part(
            self.x[index],
            self.y[index],
            self.raw[index],
            self.rows[index],
            self.center_y if len(self.center_y) == 1 else self.center_y[index],
            self.scale_y if len(self.scale_y) == 1 else self.scale_y[index],
            None if self.index is None else self.index[index],
            None if self.time is None else self.time[index],
            self.series,
            None if self.lengths is None else self.lengths[index],
            None
            if self.files is None
            else tuple(self.files[i] for i in np.arange(len(self))[index].tolist()),
            None
            if self.in_training is None
            else InTraining(*(own[index] for own in self.in_training)),
        )

    def followed_by(self, other: Part) -> Part:
        """These examples and then those of `other`, a part of the same data."""
        return Part(
            _joined(self.x, other.x),
            _joined(self.y, other.y),
            _joined(self.raw, other.raw),
            np.concatenate([self.rows, other.rows]),
            _shared(self.center_y, other.center_y),
            _shared(self.scale_y, other.scale_y),
            None if self.index is None else _joined(self.index, other.index),
            None if self.time is None else _joined(self.time, other.time),
            self.series,
            None if self.lengths is None else _joined(self.lengths, other.lengths),
            None if self.files is None or other.files is None else self.files + other.files,
        )


def _shared(one: Floats, two: Floats) -> Floats:
    """One row where both parts have the same one, else a row for each example."""
    return one if len(one) == 1 and np.array_equal(one, two) else np.concatenate([one, two])


def _joined(one: Any, two: Any) -> Any:
    shares = isinstance(one, Windows | Images)
    return one.followed_by(two) if shares else np.concatenate([one, two])
