"""The order of an epoch: which rows a batch holds, and which of them go on from the batch before.

Rows of series have places, `index (n, 3)`: number of the series, of its slice, and place in the
slice. A row goes on from another where it is of the same series and slice and `stride` places
later; rows that each go on from the one before make a chain.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagi_cli.errors import UserError
from tagi_cli.training.interface import Indices, Rows

Flags = NDArray[np.bool_]

MODES = ("independent", "sliding-window", "inference")
"""How an epoch is ordered; see `Sampler`."""

_ANY_ORDER = (
    "data.batch_sampling_mode: independent puts rows in any order, so that none goes on from the "
    "states of another. Set data.batch_sampling_mode=sliding-window, or "
    "arch.internal_state.tracking=false (arch: slstm always tracks)"
)

Key = tuple[int, int, int]
"""Series, slice, and place modulo the stride: what all rows of a chain have in common."""


class Order(NamedTuple):
    """The order of an epoch, cut into batches of B rows of which only the last may be short.

    Attributes:
        rows: `(m,)` numbers of rows.
        follows: `(m,)` whether entry i goes on from entry i - B, which is the same row of the batch
            before; None where nobody asked.
    """

    rows: Indices
    follows: Flags | None = None


class Chains(NamedTuple):
    """Rows chain by chain.

    Attributes:
        rows: `(n,)` numbers of rows.
        firsts: `(c,)` where in `rows` each chain begins.
        groups: `(c,)` number of what `Key` stands for; chains of a group follow each other.
    """

    rows: Indices
    firsts: Indices
    groups: Indices

    @property
    def lengths(self) -> Indices:
        """`(c,)` rows of each chain."""
        return np.diff(self.firsts, append=len(self.rows))

    def take(self, which: Indices) -> Indices:
        """The rows of some chains, one chain after the other."""
        return self.rows[_ranges(self.firsts[which], self.lengths[which])]


@dataclass(frozen=True)
class Sampler:
    """Draws the order of each epoch.

    `independent`: all rows, each by itself. `inference`: chains side by side, so that row j of a
    batch goes on from row j of the one before; each row once, in the order of the data.
    `sliding-window`: the same in an order of chains of its own for each epoch, and of each slice
    every `stride`-th row, from a place drawn anew.

    So that all batches are full, chains are laid one after the other and cut into as many pieces of
    equal length as a batch has rows. No row is learnt twice in an epoch.

    Attributes:
        batch_size: rows of a batch.
        mode: one of `MODES`.
        shuffle: whether anything is drawn.
        stride: places from a row to the one that goes on from it.
        before: `(batch_size, 3)` places of the rows that the states of a batch's rows were left by,
            which the first batch may go on from; None where there are no such states.
        few: whether there may be fewer rows than a batch has.
    """

    batch_size: int
    mode: str = "independent"
    shuffle: bool = True
    stride: int = 1
    before: Indices | None = None
    few: bool = False

    def order(self, part: Rows, rng: np.random.Generator, *, follows: bool = False) -> Order:
        """The order of the next epoch.

        Args:
            part: the rows.
            rng: draws it, if there is something to draw.
            follows: whether to find out what goes on from what.

        Raises:
            UserError: the mode needs places, and the rows have none.
        """
        n, index = len(part), part.index
        if self.mode == "independent":
            rows = rng.permutation(n) if self.shuffle else np.arange(n)
        elif index is None:
            raise UserError(
                f"data.batch_sampling_mode: {self.mode} is for rows of series, and this is a plain "
                "table. Set data.in_chunk (such as [0, 0] for one row), or data.batch_sampling_mode"
                "=independent"
            )
        else:
            rows = self._side_by_side(index, rng)
        rows = rows.astype(np.int64, copy=False)
        if not follows:
            return Order(rows)
        if index is None:
            index = one_series(n)
        return Order(rows, goes_on(index, rows, self.batch_size, self.stride, self.before))

    def check(self, part: Rows) -> None:
        """Make sure that there is a whole batch of rows.

        Raises:
            UserError: there is not.
        """
        if self.batch_size > len(part) and not self.few:
            raise UserError(
                f"data.batch_size: {self.batch_size} rows are more than the {len(part)} training "
                "rows; at most that many are allowed"
            )

    def check_states(self, part: Rows) -> None:
        """Make sure that a network which tracks its states can learn these rows.

        Raises:
            UserError: they are of no series, are drawn in any order, or none goes on from another.
        """
        check_tracking(self.mode, shuffle=self.shuffle, series=part.index is not None)
        if self.mode == "independent" and part.index is not None:
            follows = goes_on(part.index, np.arange(len(part)), self.batch_size, self.stride)
            if len(part) > self.batch_size and not follows.any():
                raise UserError(_ANY_ORDER)

    def _side_by_side(self, index: Indices, rng: np.random.Generator) -> Indices:
        found = chains(index, self.stride)
        which = np.arange(len(found.firsts))
        if self.mode == "sliding-window":
            draws = rng.random(found.groups[-1] + 1) if self.shuffle else None
            which = which[_one_phase(index, found, draws)]
            if self.shuffle:
                which = rng.permutation(which)
        return _in_pieces(found.take(which), self.batch_size)


def check_tracking(mode: str, *, shuffle: bool, series: bool) -> None:
    """Make sure that there are states to track, as far as options can tell.

    Args:
        mode: one of `MODES`.
        shuffle: whether rows are drawn.
        series: whether they are rows of series, with places.

    Raises:
        UserError: rows come from a plain table, or in any order.
    """
    if not series:
        raise UserError(
            "data.in_chunk: states are tracked along series, and this is a plain table. Set "
            "data.in_chunk (such as [0, 0] for one row), or arch.internal_state.tracking=false "
            "(arch: slstm always tracks)"
        )
    if mode == "independent" and shuffle:
        raise UserError(_ANY_ORDER)


def one_series(n: int) -> Indices:
    """The places of rows that are one series, in order."""
    return np.stack([np.zeros(n, np.int64), np.zeros(n, np.int64), np.arange(n)], axis=1)


def goes_on(
    index: Indices, rows: Indices, batch_size: int, stride: int, before: Indices | None = None
) -> Flags:
    """For each entry, whether it goes on from the one `batch_size` before.

    `before (batch_size, 3)` are the places of as many entries before the first.
    """
    result = np.zeros(len(rows), bool)
    if before is not None:
        step = index[rows[:batch_size]] - before[: len(rows)]
        result[:batch_size] = (step == (0, 0, stride)).all(axis=1)
    if len(rows) > batch_size:
        step = index[rows[batch_size:]] - index[rows[:-batch_size]]
        result[batch_size:] = (step == (0, 0, stride)).all(axis=1)
    return result


def chains(index: Indices, stride: int) -> Chains:
    """All chains, ordered by series, slice, place modulo `stride`, and place."""
    series, part, place = index.T
    rows = np.lexsort((place, place % stride, part, series))
    step = np.diff(index[rows], axis=0)
    same_slice = (step[:, :2] == 0).all(axis=1)
    same_group = same_slice & (step[:, 2] % stride == 0)
    new_chain = np.append(True, ~(same_group & (step[:, 2] == stride)))[: len(rows)]
    firsts = np.flatnonzero(new_chain)
    group = np.cumsum(np.append(0, ~same_group))[: len(rows)]
    return Chains(rows, firsts, group[firsts])


def last_rows(index: Indices, stride: int) -> tuple[Indices, Indices]:
    """The row of the last place in each group, `(g,)`, and each row's group if it is that `(n,)`.

    Other rows have -1.
    """
    found = chains(index, stride)
    last_chain = np.flatnonzero(np.diff(found.groups, append=-1))
    ends = found.firsts + found.lengths - 1
    rows = found.rows[ends[last_chain]]
    slots = np.full(len(index), -1)
    slots[rows] = np.arange(len(rows))
    return rows, slots


def key(place: Indices, stride: int) -> Key:
    """What all rows of the chain of a row at `place (3,)` have in common."""
    return int(place[0]), int(place[1]), int(place[2]) % stride


GOES_ON, FRESH = -1, -2
"""In a `Schedule`: from the row before in the same lane; from a new state."""


class Schedule(NamedTuple):
    """Rows to predict, chain by chain in L lanes that run side by side for K batches.

    Attributes:
        rows: `(K, L)` number of the row; -1 where a lane is empty.
        leads: `(K, L)` how many places before that row its window lies: where above zero, it only
            leads from a known state to the first row.
        sources: `(K, L)` what it goes on from: `GOES_ON`, `FRESH`, or the number of a known state.
    """

    rows: Indices
    leads: Indices
    sources: Indices


def schedule(
    index: Indices,
    stride: int,
    lanes: int,
    known: Mapping[Key, tuple[int, int]],
    *,
    lead: bool,
    earliest: Indices | None = None,
) -> Schedule:
    """In which order to predict rows of series so that states can be carried.

    Args:
        index: `(n, 3)` places.
        stride: places from a row to the one that goes on from it.
        lanes: rows of a batch, at most.
        known: for each group of chains, the place after which a state is known, and its number. The
            first row of a group behind that place goes on from it; a chain that comes from before
            is cut there.
        lead: whether windows between that place and the row can be had; without them, it goes on
            only where there is nothing between.
        earliest: `(n,)` the earliest place of the row's slice whose window can be had; None where
            all can. What goes on from nothing known is then led there from that place.
    """
    found = chains(index, stride)
    places = index[found.rows, 2]
    ways = _from_known(found, index, places, stride, known, lead=lead, earliest=earliest)
    at, way = np.array(list(ways), np.int64), np.array(list(ways.values()), np.int64)
    firsts = np.union1d(found.firsts, at)
    groups = found.groups[np.searchsorted(found.firsts, firsts, side="right") - 1]
    sources = np.full(len(firsts), FRESH)
    gaps = np.zeros_like(sources)
    if lead and earliest is not None:
        gaps = np.maximum(0, (places[firsts] - earliest[found.rows[firsts]]) // stride)
    if ways:
        gaps[np.searchsorted(firsts, at)], sources[np.searchsorted(firsts, at)] = way.T
    return _in_lanes(Chains(found.rows, firsts, groups), gaps, sources, lanes, stride)


def _from_known(
    found: Chains,
    index: Indices,
    places: Indices,
    stride: int,
    known: Mapping[Key, tuple[int, int]],
    *,
    lead: bool,
    earliest: Indices | None,
) -> dict[int, tuple[int, int]]:
    """For numbers in `found.rows`: how many places they are led, and from which known state."""
    ways: dict[int, tuple[int, int]] = {}
    begins = found.firsts[np.diff(found.groups, prepend=-1) > 0]
    for begin, end in pairwise(np.append(begins, len(places)).tolist()) if known else ():
        place, number = known.get(key(index[found.rows[begin]], stride), (None, 0))
        if place is None:
            continue
        at = begin + int(np.searchsorted(places[begin:end], place, side="right"))
        if at == end:
            continue
        gap = (int(places[at]) - place) // stride - 1
        shown = earliest is None or place + stride >= earliest[found.rows[at]]
        if shown and (gap == 0 or lead):
            # Trajectories of a series are several rows at one place.
            last = begin + int(np.searchsorted(places[begin:end], places[at], side="right"))
            ways |= dict.fromkeys(range(at, last), (gap, number))
    return ways


def _in_lanes(found: Chains, gaps: Indices, sources: Indices, lanes: int, stride: int) -> Schedule:
    """Long chains first, each in the lane that is free first."""
    lengths = found.lengths + gaps
    total = int(lengths.sum())
    count = max(1, min(lanes, -(-total // max(int(lengths.max(initial=0)), 1))))
    begins, lane_of = np.zeros_like(lengths), np.zeros_like(lengths)
    free = [(0, lane) for lane in range(count)]
    for c in np.argsort(-lengths, kind="stable"):
        begins[c], lane_of[c] = free[0]
        heapq.heapreplace(free, (int(begins[c] + lengths[c]), int(lane_of[c])))
    shape = (max((end for end, _ in free), default=0), count)
    within = _ranges(np.zeros_like(lengths), lengths)
    at = np.repeat(begins, lengths) + within, np.repeat(lane_of, lengths)
    before = np.repeat(gaps, lengths)
    result = Schedule(np.full(shape, -1), np.zeros(shape, np.int64), np.full(shape, GOES_ON))
    firsts = np.repeat(found.firsts, lengths)
    result.rows[at] = found.rows[firsts + np.maximum(within - before, 0)]
    result.leads[at] = np.maximum(before - within, 0) * stride
    result.sources[at] = np.where(within == 0, np.repeat(sources, lengths), GOES_ON)
    return result


def _one_phase(index: Indices, found: Chains, draws: NDArray[np.float64] | None) -> Flags:
    """Which chains are of the group chosen in their slice: a drawn one, or the earliest."""
    heads = index[found.rows[found.firsts]]
    leading = np.flatnonzero(np.diff(found.groups, prepend=-1))
    slices = np.cumsum(np.append(0, np.diff(heads[leading, :2], axis=0).any(axis=1)))
    priority = heads[leading, 2] if draws is None else draws
    ranked = np.lexsort((priority, slices))
    chosen = np.zeros(len(leading), bool)
    chosen[ranked[np.flatnonzero(np.diff(slices[ranked], prepend=-1))]] = True
    return np.asarray(chosen[found.groups])


def _in_pieces(rows: Indices, batch_size: int) -> Indices:
    """Rows in order, cut into `batch_size` pieces of equal length, and the pieces side by side."""
    full, rest = divmod(len(rows), batch_size)
    piece = np.arange(batch_size)
    begins = piece * full + np.minimum(piece, rest)
    side_by_side = begins + np.arange(full)[:, None]
    return rows[np.append(side_by_side.ravel(), begins[:rest] + full)]


def _ranges(firsts: Indices, lengths: Indices) -> Indices:
    """`firsts[0], firsts[0] + 1, ...`, as many as `lengths[0]`, and so on."""
    begins = np.cumsum(lengths) - lengths
    return np.repeat(firsts - begins, lengths) + np.arange(int(lengths.sum()))
