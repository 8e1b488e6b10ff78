"""Scaled rows or windows ready for training, by part: train, valid, test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.encoder import Encoder
from tagi_cli.data.windows import Windows

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Part:
    """The n examples of one part: rows of a plain table, or windows of series.

    Scaled values are of the precision of the network, NaN for a missing target; all else is
    float64. Targets of a window are flat, step by step: number `step * K + component`.

    Attributes:
        x: `(n, F)`, or `Windows` of shape `(n, T_in, C)`.
        y: `(n, K)`, or `Windows` of shape `(n, T_out, K)`; of classes always `(n, K)`.
        target: `(n, K)` or `(n, T_out * K)` targets in original units; `(n, 1)` numbers of classes.
        rows: `(n,)` row numbers in the source, from 0; of windows those of their prediction points.
        center: `(1 or n, K or T_out * K)`; target = center + scale * y.
        scale: of the same shape.
        index: `(n, 3)` number of the series, of its slice, and place in the slice of the prediction
            point; None for a plain table.
        time: `(n,)` times of the prediction points; None where the data have no time column.
    """

    x: Any
    y: Any
    target: NDArray[np.float64]
    rows: Rows
    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    index: Rows | None = None
    time: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def followed_by(self, other: Part) -> Part:
        """These examples and then those of `other`, a part of the same data."""
        return Part(
            _joined(self.x, other.x),
            _joined(self.y, other.y),
            np.concatenate([self.target, other.target]),
            np.concatenate([self.rows, other.rows]),
            _shared(self.center, other.center),
            _shared(self.scale, other.scale),
            None if self.index is None else _joined(self.index, other.index),
            None if self.time is None else _joined(self.time, other.time),
        )


def _shared(one: NDArray[np.float64], two: NDArray[np.float64]) -> NDArray[np.float64]:
    """One row where both parts have the same one, else a row for each example."""
    return one if len(one) == 1 and np.array_equal(one, two) else np.concatenate([one, two])


def _joined(one: Any, two: Any) -> Any:
    return one.followed_by(two) if isinstance(one, Windows) else np.concatenate([one, two])


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table, split and scaled. `sha256` is that of the source's bytes; `summary` is JSON-able."""

    train: Part
    valid: Part
    test: Part
    encoder: Encoder
    name: str
    sha256: str
    summary: dict[str, Any]

    def merged(self) -> Part:
        """Training examples followed by validation examples, for training again on both."""
        return self.train.followed_by(self.valid)
