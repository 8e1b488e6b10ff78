"""Where rows of a new table stand in the slices of the training data, as their times tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.parts import InTraining
from tagi_cli.data.points import Chunks
from tagi_cli.data.series import Series
from tagi_cli.data.times import Step

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Origins:
    """When each slice of the training data begins.

    Attributes:
        codes: `(S,)` number of the series of each slice, ascending, those of a series by time.
        times: `(S,)` time of its first row, as `Series.times`.
    """

    codes: Rows
    times: NDArray[Any]

    @classmethod
    def of(cls, series: Series) -> Origins | None:
        """Those of the training data; None where times do not tell how many rows lie between."""
        if series.times is None or series.step is None or not series.step.cuts:
            return None
        return cls(series.slice_codes, series.times[series.bounds[:-1]])

    def find(self, series: Series, step: Step) -> tuple[Rows, Rows]:
        """The slice of the training that each of S new slices belongs to, and where in it.

        It is the last one that begins no later than the end of the new slice. Both may have rows
        that the other lacks.

        Args:
            series: what is new; series of the training have their numbers.
            step: of the training.

        Returns:
            the numbers of the slices in their series, `(S,)`, below 0 where none of the training
            fits, and the place in it of the first row of each new slice, 0 there.
        """
        numbers, begins = _new(series)
        codes = series.slice_codes
        if series.times is None or series.times.dtype != self.times.dtype:
            return numbers, begins
        S = len(self.codes)
        order = np.lexsort((
            np.arange(S + len(codes)),
            np.append(self.times, series.times[series.bounds[1:] - 1]),
            np.append(self.codes, codes),
        ))  # fmt: skip
        latest = np.empty(len(order), np.int64)
        latest[order] = np.maximum.accumulate(np.where(order < S, order, -1))
        own = latest[S:]
        counts, whole = step.between(self.times[own], series.times[series.bounds[:-1]])
        fits = (own >= 0) & (self.codes[own] == codes) & whole
        first = np.searchsorted(self.codes, codes)
        return np.where(fits, own - first, numbers), np.where(fits, counts, begins)

    def to_json(self) -> dict[str, Any]:
        """A dict for JSON that `from_json` turns into equal origins."""
        return {"series": self.codes.tolist(), "times": self.times.tolist()}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Origins:
        """The origins that `to_json` wrote."""
        return cls(np.array(tree["series"], np.int64), np.array(tree["times"]))


def in_training(
    origins: Origins | None,
    step: Step | None,
    chunks: Chunks,
    series: Series,
    slices: Rows,
    points: Rows,
) -> InTraining:
    """Where prediction points of a new table stand in the training data.

    Args:
        origins: None makes all slices new.
        step: of the training.
        chunks: the windows.
        series: of the new table.
        slices: `(n,)` those of the points.
        points: `(n,)` rows of `series`, counted on behind the end of a slice.
    """
    if origins is None or step is None:
        numbers, begins = _new(series)
    else:
        numbers, begins = origins.find(series, step)
    full = max(0, -chunks.inputs[0])
    first = np.full(len(begins), full)
    shown = chunks.points(series, with_targets=False)
    np.minimum.at(first, series.slices[shown], series.places[shown])
    earliest = begins + np.where(begins > 0, full, first)
    place = begins[slices] + points - series.bounds[slices]
    places = np.stack([series.slice_codes[slices], numbers[slices], place], axis=1)
    return InTraining(places, earliest[slices])


def _new(series: Series) -> tuple[Rows, Rows]:
    """Numbers that no slice of the training has, and places from 0."""
    return -1 - series.slice_numbers, np.zeros(len(series.lengths), np.int64)
