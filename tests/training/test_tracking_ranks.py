"""States carried along series whose rows several ranks share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from series_learner import Part, Series, bound, learner, train
from thread_ranks import ThreadRanks, on_ranks

from tagi_cli.distributed import ALONE, Communicator

LENGTHS = (7, 12, 9, 5, 11, 3)
B = 4


def part(T: int) -> tuple[Part, Part]:
    """The rows to learn, and all rows: four more of each series."""
    series = Series(*(n + 4 for n in LENGTHS), T=T)
    ends = np.array(LENGTHS)[series.index[:, 0]]
    return series.part(np.flatnonzero(series.index[:, 2] < ends)), series.part(np.arange(len(ends)))


def known(one: Any, whole: Part) -> dict[str, Any]:
    """All that is saved, and what is predicted behind the end of training."""
    state = one.state_dict()
    found = one.predict_along(whole.x, whole.index, continues=True)
    return {**state, "mu": found.mu, "var": found.var_epistemic}


def agree(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_allclose(other[name], value, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("mode", ["inference", "sliding-window"])
@pytest.mark.parametrize("T", [1, 3])
def test_ranks_carry_what_one_process_does(T: int, mode: str, size: int) -> None:
    """Slices of three batches; the last batches are short, and leave some ranks without rows."""
    rows, whole = part(T)

    def work(ranks: Communicator) -> dict[str, Any]:
        one = bound(learner(B, T=T, ranks=ranks), rows)
        for _ in range(3):
            train(one, rows, mode, cut=3)
        return known(one, whole)

    alone = work(ALONE)
    assert np.unique(alone["ends.held"]).tolist() == [1.0]
    for found in on_ranks(size, work):
        agree(alone, found)


@pytest.mark.parametrize("size", [2, 3])
def test_another_number_of_ranks_goes_on(size: int) -> None:
    rows, whole = part(1)
    alone = bound(learner(B), rows)
    train(alone, rows)
    saved = alone.state_dict()
    train(alone, rows)

    def work(ranks: ThreadRanks) -> dict[str, Any]:
        one = bound(learner(B, ranks=ranks), rows)
        one.load_state_dict(saved)
        agree(saved, one.state_dict())
        train(one, rows)
        return known(one, whole)

    for found in on_ranks(size, work):
        agree(known(alone, whole), found)
