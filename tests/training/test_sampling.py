"""The order of an epoch against the same in plain loops."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from linear_learner import Rows

from tagi_cli.errors import UserError
from tagi_cli.training import sampling
from tagi_cli.training.sampling import FRESH, GOES_ON, Sampler

Place = tuple[int, int, int]


@st.composite
def places(draw: st.DrawFn) -> list[Place]:
    """Rows of a few series in any order, with gaps."""
    place = st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 12))
    return draw(st.lists(place, min_size=1, max_size=40, unique=True))


def rows_at(found: list[Place]) -> Rows:
    n = len(found)
    return Rows(np.zeros((n, 1)), np.zeros((n, 1)), index=np.array(found, np.int64).reshape(n, 3))


def chains_by_hand(found: list[Place], stride: int) -> list[list[Place]]:
    """Each place followed as far as it goes, from those that nothing goes on to."""
    there, chains = set(found), []
    for series, part, place in sorted(found, key=lambda p: (p[0], p[1], p[2] % stride, p[2])):
        if (series, part, place - stride) in there:
            continue
        chain = []
        while (series, part, place) in there:
            chain.append((series, part, place))
            place += stride
        chains.append(chain)
    return chains


def batches(found: list[Place], sampler: Sampler, seed: int = 0) -> list[list[tuple[Place, bool]]]:
    """The batches of an epoch: each row's place, and whether it goes on from the batch before."""
    order = sampler.order(rows_at(found), np.random.default_rng(seed), follows=True)
    assert order.follows is not None
    entries = [(found[row], bool(on)) for row, on in zip(order.rows, order.follows, strict=True)]
    B = sampler.batch_size
    return [entries[i : i + B] for i in range(0, len(entries), B)]


def follows_by_hand(cut: list[list[tuple[Place, bool]]], stride: int) -> list[list[bool]]:
    result = [[False] * len(cut[0])]
    for before, batch in pairwise(cut):
        result.append(
            [(s, p, t - stride) == before[j][0] for j, ((s, p, t), _) in enumerate(batch)]
        )
    return result


SAMPLERS = st.builds(
    Sampler, st.integers(1, 7), st.sampled_from(sampling.MODES), st.booleans(), st.integers(1, 4)
)


@given(places(), SAMPLERS, st.integers(0, 3))
def test_what_a_row_goes_on_from(found: list[Place], sampler: Sampler, seed: int) -> None:
    """Row j of a batch goes on from row j of the one before where that is its predecessor."""
    cut = batches(found, sampler, seed)
    assert all(len(batch) == sampler.batch_size for batch in cut[:-1])
    assert [[on for _, on in batch] for batch in cut] == follows_by_hand(cut, sampler.stride)


@given(places(), SAMPLERS, st.integers(0, 3))
def test_no_row_comes_twice(found: list[Place], sampler: Sampler, seed: int) -> None:
    seen = Counter(place for batch in batches(found, sampler, seed) for place, _ in batch)
    assert max(seen.values()) == 1
    if sampler.mode != "sliding-window" or sampler.stride == 1:
        assert set(seen) == set(found)
        return
    # Of each slice the rows of one phase, all of them.
    phases = defaultdict(set)
    for series, part, place in seen:
        phases[series, part].add(place % sampler.stride)
    assert set(phases) == {(series, part) for series, part, _ in found}
    assert all(len(phase) == 1 for phase in phases.values())
    assert set(seen) == {p for p in found if p[2] % sampler.stride in phases[p[:2]]}


@given(places(), st.integers(1, 7), st.integers(1, 4))
def test_inference_lays_chains_side_by_side(found: list[Place], B: int, stride: int) -> None:
    """All chains one after the other, cut in B pieces whose lengths differ by one at most."""
    line = [place for chain in chains_by_hand(found, stride) for place in chain]
    sizes = [len(line) // B + (j < len(line) % B) for j in range(B)]
    pieces = [line[sum(sizes[:j]) : sum(sizes[: j + 1])] for j in range(B)]
    expected = [
        [piece[k] for piece in pieces if k < len(piece)] for k in range(max(map(len, pieces)))
    ]
    cut = batches(found, Sampler(B, "inference", False, stride))
    assert [[place for place, _ in batch] for batch in cut] == expected


@given(places(), st.integers(1, 7), st.integers(1, 4), st.integers(0, 3))
def test_sliding_windows_shuffle_whole_chains(
    found: list[Place], B: int, stride: int, seed: int
) -> None:
    """Read piece by piece, the rows are those of whole chains, one after the other."""
    cut = batches(found, Sampler(B, "sliding-window", True, stride), seed)
    line = [batch[j][0] for j in range(B) for batch in cut if j < len(batch)]
    wanted = {tuple(chain) for chain in chains_by_hand(found, stride)}
    while line:
        chain = next(chain for chain in wanted if chain[0] == line[0])
        assert line[: len(chain)] == list(chain)
        line = line[len(chain) :]


def test_without_shuffling_sliding_windows_begin_with_the_first_row() -> None:
    found = [(0, 0, place) for place in (5, 6, 7, 8, 9)]
    cut = batches(found, Sampler(1, "sliding-window", False, 2))
    assert [batch[0][0][2] for batch in cut] == [5, 7, 9]


def test_epochs_differ_in_order_and_phase() -> None:
    found = [(series, 0, place) for series in range(3) for place in range(12)]
    rng, sampler = np.random.default_rng(0), Sampler(2, "sliding-window", True, 3)
    part = rows_at(found)
    orders = {tuple(sampler.order(part, rng).rows) for _ in range(20)}
    assert len(orders) > 15
    assert {row % 12 % 3 for order in orders for row in order[:1]} == {0, 1, 2}
    # Four of each series' twelve, whatever the phase.
    assert {len(order) for order in orders} == {12}


@pytest.mark.parametrize("shuffle", [True, False])
def test_independent_rows(shuffle: bool) -> None:
    part = Rows(np.zeros((9, 1)), np.zeros((9, 1)))
    order = Sampler(4, shuffle=shuffle).order(part, np.random.default_rng(3))
    expected = np.random.default_rng(3).permutation(9) if shuffle else np.arange(9)
    np.testing.assert_array_equal(order.rows, expected)
    assert order.follows is None


@given(places(), st.integers(1, 4))
def test_last_rows(found: list[Place], stride: int) -> None:
    ends: dict[Place, Place] = {}
    for series, part, place in sorted(found):
        ends[series, part, place % stride] = (series, part, place)
    rows, slots = sampling.last_rows(np.array(found, np.int64), stride)
    assert sorted(found[row] for row in rows) == sorted(ends.values())
    expected = np.full(len(found), -1)
    expected[rows] = np.arange(len(rows))
    np.testing.assert_array_equal(slots, expected)


@given(places(), st.integers(1, 3), st.integers(1, 5), st.booleans(), st.data())
def test_schedules(
    found: list[Place], stride: int, lanes: int, lead: bool, data: st.DataObject
) -> None:
    """Every row once; each goes on from the row before in its lane, a known state, or nothing."""
    groups = sorted({(s, p, t % stride) for s, p, t in found})
    ends = data.draw(st.dictionaries(st.sampled_from(groups), st.integers(-3, 4)))
    known = {
        group: (steps * stride + group[2], number)
        for number, (group, steps) in enumerate(ends.items())
    }
    # The first place of each slice that can be shown; None where all can.
    slices = sorted({place[:2] for place in found})
    first = data.draw(st.none() | st.fixed_dictionaries({s: st.integers(0, 8) for s in slices}))
    earliest = None if first is None else np.array([first[place[:2]] for place in found])
    table = sampling.schedule(
        np.array(found, np.int64), stride, lanes, known, lead=lead, earliest=earliest
    )
    assert table.rows.shape[1] <= lanes
    shown = []
    for lane in range(table.rows.shape[1]):
        line = zip(table.rows[:, lane], table.leads[:, lane], table.sources[:, lane], strict=True)
        state: Place | None = None
        for row, leads, source in line:
            if row < 0:
                state = None
                continue
            s, p, t = found[row]
            here = (s, p, t - leads)
            if source == GOES_ON:
                assert state == (s, p, t - leads - stride)
            elif source != FRESH:
                group, (end, number) = next(i for i in known.items() if i[1][1] == source)
                assert number == source
                assert (group, end) == ((s, p, t % stride), t - leads - stride)
            elif leads:
                assert first is not None
                assert first[s, p] <= t - leads < first[s, p] + stride
            state = here
            if leads == 0:
                shown.append(((s, p, t), row))
            else:
                assert lead
                assert first is None or t - leads >= first[s, p]
    assert sorted(place for place, _ in shown) == sorted(found)
    # The first row behind a known state goes on from it, if what lies between can be shown.
    for group, (end, number) in known.items():
        behind = sorted(t for s, p, t in found if (s, p, t % stride) == group and t > end)
        wanted = bool(behind) and (lead or behind[0] == end + stride)
        if first is not None:
            wanted = wanted and end + stride >= first[group[:2]]
        assert (table.sources == number).sum() == wanted


def test_trajectories_of_a_series_go_on_from_the_same_state() -> None:
    found = np.array([(0, 0, 5)] * 3 + [(1, 0, 4)] * 3)
    table = sampling.schedule(found, 1, 6, {(0, 0, 0): (3, 0)}, lead=True)
    assert sorted(table.rows[table.sources == 0].tolist()) == [0, 1, 2]
    assert sorted(table.rows[table.sources == FRESH].tolist()) == [3, 4, 5]


def test_lanes_are_filled_evenly() -> None:
    """One long series takes one lane; the short ones share as many as they need."""
    found = [(0, 0, t) for t in range(50)] + [(s, 0, t) for s in range(1, 11) for t in range(5)]
    table = sampling.schedule(np.array(found), 1, 16, {}, lead=False)
    assert table.rows.shape == (50, 2)


def test_plain_tables_have_no_series() -> None:
    part = Rows(np.zeros((9, 1)), np.zeros((9, 1)))
    for mode in ("inference", "sliding-window"):
        told = f"data.batch_sampling_mode: {mode} is for rows of series"
        with pytest.raises(UserError, match=re.escape(told)):
            Sampler(4, mode).order(part, np.random.default_rng(0))
    with pytest.raises(UserError, match=r"data\.in_chunk: states are tracked along series"):
        Sampler(4).check_states(part)


def test_states_cannot_follow_rows_in_any_order() -> None:
    part = rows_at([(0, 0, place) for place in range(9)])
    told = r"data\.batch_sampling_mode: independent .* Set data\.batch_sampling_mode=sliding-window"
    with pytest.raises(UserError, match=told):
        Sampler(1).check_states(part)
    with pytest.raises(UserError, match=told):
        Sampler(2, shuffle=False).check_states(part)
    Sampler(1, shuffle=False).check_states(part)
    Sampler(2, shuffle=False, stride=2).check_states(part)
    for mode in ("inference", "sliding-window"):
        Sampler(2, mode).check_states(part)


def test_more_rows_than_there_are() -> None:
    with pytest.raises(UserError, match=r"data\.batch_size: 10 rows are more than the 9 training"):
        Sampler(10).check(rows_at([(0, 0, place) for place in range(9)]))
