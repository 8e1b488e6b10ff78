"""Which prediction points train, which validate, which test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.options import DataOptions
from tagi_cli.data.points import Chunks
from tagi_cli.data.series import Series
from tagi_cli.data.splits import PARTS, marks, portions
from tagi_cli.data.table import Table
from tagi_cli.errors import UserError

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

_VALID_WINDOWS = 100
"""Validation windows of a forecast, in all series together, that are enough to choose by."""


class WindowSplit(NamedTuple):
    """Prediction points of each part, ascending places in the series; `method` is for the report.

    Scalers are fitted on the rows `(N,)` that the training windows show at all (`shown`), those of
    targets on the rows that they predict (`learnt`); in a forecast on all rows before those of the
    validation and test parts. `left_out` training points were drawn at random, but lie too near to
    later parts.
    """

    train: Rows
    valid: Rows
    test: Rows
    method: str
    shown: Mask
    learnt: Mask
    left_out: int = 0


def split_windows(
    table: Table,
    series: Series,
    chunks: Chunks,
    options: DataOptions,
    horizon: int | None,
    notices: list[str],
    season: int | None = None,
) -> WindowSplit:
    """Divide the prediction points of the series as the options say.

    No row that a training window predicts is predicted by a later part, unless `split_gap` says
    so; in time no row that it shows at all is.

    Args:
        table: where the rows of the series are.
        series: what is divided.
        chunks: the windows of a prediction point.
        options: the keys of `data:`.
        horizon: rows at the end of each series that a forecast is tested on.
        notices: collects remarks for the user.
        season: rows in a season of the forecast.

    Raises:
        UserError: too few points for the portions, or a part that the gap leaves empty.
    """
    points = chunks.points(series)
    division = _Division(table, series, chunks, options, points)
    shares = options.shares()
    forecast = options.split_method == "auto" and options.split_column is None and horizon
    if options.split_column is not None:
        method, parts = f"column {options.split_column}", division.by_column(notices)
        shares = (1.0, 0.0, 0.0)
    elif forecast:
        method, parts = f"last {forecast} rows of each series", division.by_end(forecast)
        shares = (1.0, options.valid_share(), 1.0)
    else:
        method = "chronological" if options.split_method == "auto" else options.split_method
        level, _, order = method.rpartition("-")
        if level:
            parts = division.by_element(level, order == "random")
        elif order == "random":
            notices.append(
                "data.split_method: random lets windows of all parts overlap, so that scores come "
                "out too good; chronological and instance- splits do not"
            )
            parts = division.at_random()
            if division.left_out:
                notices.append(
                    f"data.split_gap: {division.left_out} training windows left out, as they "
                    "predict rows that later parts predict"
                )
        else:
            parts = division.by_time()
    division.check(parts, shares, method)
    train, valid, test = (points[part] for part in parts)
    if forecast:
        shown = learnt = division.before_end(forecast)
    else:
        learnt = chunks.covered(series, train, chunks.targets)
        shown = learnt | chunks.covered(series, train, chunks.inputs)
    train = _strided(series, train, options.training_stride(season))
    return WindowSplit(train, valid, test, method, shown, learnt, division.left_out)


Parts = tuple[Mask, Mask, Mask]


class _Division:
    """Ways to divide the prediction points; each gives a mask `(n,)` of them per part."""

    def __init__(
        self,
        table: Table,
        series: Series,
        chunks: Chunks,
        options: DataOptions,
        points: Rows,
    ) -> None:
        self.table = table
        self.series = series
        self.chunks = chunks
        self.options = options
        self.points = points
        self.ticks = series.ticks[points]
        self.left_out = 0

    @property
    def gap(self) -> int:
        """Points left out before a later part: its first target comes after all that they show."""
        if self.options.split_gap != "auto":
            return self.options.split_gap
        return 0 if self.chunks.are_segments else max(0, self.chunks.last - self.chunks.targets[0])

    def by_end(self, horizon: int) -> Parts:
        """Test the targets in the last `horizon` rows of each series, validate those before."""
        first = self.points + self.chunks.targets[0]
        codes = self.series.codes[self.points]
        begin_test = self.series.starts[codes + 1] - horizon
        begin_valid = begin_test - self._valid_rows(horizon)[codes]
        test = first >= begin_test
        valid = (first >= begin_valid) & (first + self.gap < begin_test)
        train = first + self.gap < begin_valid
        chosen = self._chosen_series[codes]
        return train & chosen, valid & chosen, test & chosen

    @property
    def _chosen_series(self) -> Mask:
        """(G,) the series that `limit` leaves in a forecast."""
        present = np.diff(self.series.starts) > 0
        most = len(present) if self.options.limit is None else self.options.limit
        return present & (np.cumsum(present) <= most)

    def _valid_rows(self, horizon: int) -> Rows:
        """(G,) rows of each series before the tested ones whose targets are validated.

        A horizon at least; more where all series together have few windows in it, but no more than
        `valid_portion` of a series.
        """
        lengths = np.diff(self.series.starts)
        if self.options.valid_share() == 0:
            return np.zeros(len(lengths), dtype=np.int64)
        each = math.ceil(_VALID_WINDOWS / max(1, int(self._chosen_series.sum())))
        most = (self.options.valid_share() * (lengths - horizon)).astype(np.int64)
        wanted = np.minimum(each + self.chunks.target_length - 1, most)
        return np.maximum(horizon, wanted)

    def before_end(self, horizon: int) -> Mask:
        """Rows `(N,)` before those that validate or test."""
        codes = self.series.codes
        kept = self.series.starts[1:] - horizon - self._valid_rows(horizon)
        before = np.arange(len(self.series)) < kept[codes]
        return np.asarray(before & self._chosen_series[codes])

    def by_time(self) -> Parts:
        """Earlier points train, later ones validate and test; the borders are the same for all."""
        order = np.argsort(self.ticks, kind="stable")[: self.options.limit]
        found = portions(order, self.options.shares(), self.table.source, "prediction points")
        chosen = np.zeros(len(self.points), dtype=bool)
        chosen[order] = True
        begin_test = self.ticks[found[2][0]] if len(found[2]) else np.inf
        begin_valid = self.ticks[found[1][0]] if len(found[1]) else begin_test
        test = self.ticks >= begin_test
        valid = (self.ticks >= begin_valid) & ~test
        train = chosen & ~(test | valid)
        return (
            self._before(train, begin_valid),
            self._before(valid & chosen, begin_test),
            test & chosen,
        )

    def _before(self, part: Mask, begin: float) -> Mask:
        """A part without the points of the gap before `begin`, half a step left for rounding."""
        return part & (self.ticks + self.gap + 0.5 < begin)

    def at_random(self) -> Parts:
        """Points drawn at random, less those whose targets overlap targets of later parts."""
        rng = np.random.default_rng(self.options.split_seed)
        order = rng.permutation(len(self.points))[: self.options.limit]
        found = portions(order, self.options.shares(), self.table.source, "prediction points")
        train, valid, test = (np.isin(np.arange(len(self.points)), part) for part in found)
        near = train & self._near(valid | test)
        self.left_out = int(near.sum())
        return train & ~near, valid & ~self._near(test), test

    def _near(self, part: Mask) -> Mask:
        """Points within the gap of a point of this part, before or after it."""
        gap = self.options.split_gap
        if gap == "auto":
            gap = 0 if self.chunks.are_segments else self.chunks.target_length - 1
        return self.chunks.covered(self.series, self.points[part], (-gap, gap))[self.points]

    def by_element(self, level: str, random: bool) -> Parts:
        """Whole slices or whole series, at random or by the time of their first row."""
        series = self.series
        owner = series.codes if level == "instance" else series.slices
        elements = np.unique(owner[self.points])
        if random:
            order = np.random.default_rng(self.options.split_seed).permutation(elements)
        else:
            begins = series.starts[:-1] if level == "instance" else series.bounds[:-1]
            order = elements[np.argsort(series.ticks[begins[elements]], kind="stable")]
        found = portions(
            order[: self.options.limit],
            self.options.shares(),
            self.table.source,
            "series" if level == "instance" else "slices",
        )
        train, valid, test = (np.isin(owner[self.points], part) for part in found)
        return train, valid, test

    def by_column(self, notices: list[str]) -> Parts:
        """Points all of whose targets, and what their inputs show after them, are of one part."""
        series, name = self.series, str(self.options.split_column)
        part = np.empty(len(series), dtype=np.int64)
        part[:] = marks(self.table, series.rows, name)
        end = series.bounds[series.slices[self.points] + 1] - 1
        first = np.maximum(self.points + self.chunks.targets[0], 0)
        last = np.minimum(self.points + self.chunks.last, end)
        change = np.cumsum(np.append(0, np.diff(part) != 0))
        alike = change[first] == change[last]
        if not alike.all():
            notices.append(
                f"data.split_column: {int((~alike).sum())} prediction points left out, as their "
                "targets lie in several parts"
            )
        if self.options.limit is not None:
            by_row = np.argsort(series.rows[self.points], kind="stable")
            alike[by_row[self.options.limit :]] = False
        train, valid, test = (alike & (part[first] == number) for number in range(3))
        if valid.any() or self.options.valid_share() == 0:
            return train, valid, test
        at = np.flatnonzero(train)
        share = self.options.valid_share()
        order = at[np.argsort(self.ticks[at], kind="stable")]
        held = portions(order, (1 - share, share, 0), self.table.source, "prediction points")[1]
        begin = self.ticks[held[0]]
        return self._before(train, begin), train & (self.ticks >= begin), test

    def check(self, parts: Parts, shares: Sequence[float], method: str) -> None:
        """Make sure that no part of a share above 0 is empty.

        Raises:
            UserError: one is.
        """
        for name, part, share in zip(PARTS, parts, shares, strict=True):
            if share > 0 and not part.any():
                chunks, rows = self.chunks, len(self.series)
                of, more = (
                    f"{len(self.points)} in {rows} rows with windows of data.in_chunk "
                    f"{list(chunks.inputs)} and data.out_chunk {list(chunks.targets)}",
                    f"data.split_gap leaves out {self.gap} before each later part",
                )
                if chunks.are_segments:
                    of = f"{len(self.points)} segments of at most {chunks.input_length} rows"
                    more = "data.split_method=instance-random or slice-random draws whole ones"
                raise UserError(
                    f"{self.table.source}: no prediction point is left for the {name} part, of "
                    f"{of} (split: {method}; {more}). Use more rows, other portions or shorter "
                    "chunks"
                )


def _strided(series: Series, points: Rows, stride: int) -> Rows:
    """Every so many-th of the points of each slice, counted from its last."""
    if stride == 1 or not len(points):
        return points
    slices = series.slices[points]
    last = np.append(np.flatnonzero(np.diff(slices)), len(points) - 1)
    count = np.diff(np.append(-1, last))
    kept: Rows = points[(np.repeat(points[last], count) - points) % stride == 0]
    return kept
