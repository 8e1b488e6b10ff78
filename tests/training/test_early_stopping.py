"""Early stopping, on hand-made scores."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagi_cli.training.early_stopping import EarlyStopping
from tagi_cli.training.options import EarlyStoppingOptions

SCORES = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30)


def follow(scores: list[float], **options: float) -> tuple[EarlyStopping, int]:
    """The state, and the epoch after which it says stop; 0 if it does not."""
    stopping = EarlyStopping(EarlyStoppingOptions(**options))  # type: ignore[arg-type]
    for epoch, score in enumerate(scores, 1):
        stopping.update(epoch, score)
        if stopping.exhausted:
            return stopping, epoch
    return stopping, 0


@given(SCORES, st.integers(1, 5))
def test_stops_when_patience_is_out(scores: list[float], patience: int) -> None:
    """The best is the first minimum of what was seen; `patience` more epochs follow it."""
    stopping, stop = follow(scores, patience=patience)
    seen = scores[:stop] if stop else scores
    assert stopping.best_epoch == seen.index(min(seen)) + 1
    assert stopping.best_score == min(seen)
    assert stop in (0, stopping.best_epoch + patience)
    if not stop:
        assert len(scores) < stopping.best_epoch + patience


def test_small_improvements_do_not_count() -> None:
    scores = [1.0, 0.95, 0.9, 0.85, 0.8]
    assert follow(scores, patience=2, min_delta=0.0)[0].best_epoch == 5
    stopping, stop = follow(scores, patience=2, min_delta=0.3)
    assert (stopping.best_epoch, stop) == (1, 3)
    # 0.85 is 0.15 below the best that counted, not below the epoch before.
    assert follow(scores, patience=9, min_delta=0.12)[0].best_epoch == 4


def test_switched_off_it_only_remembers_the_best() -> None:
    stopping, stop = follow([2.0, 1.0] + [3.0] * 20, patience=1, enabled=False)
    assert (stopping.best_epoch, stop) == (2, 0)


def test_infinite_scores() -> None:
    stopping, _ = follow([math.inf, math.inf, 4.0])
    assert stopping.best_epoch == 3


def test_without_scores_each_epoch_is_best() -> None:
    stopping = EarlyStopping(EarlyStoppingOptions(patience=1))
    assert [stopping.update(epoch, None) for epoch in (1, 2, 3)] == [True] * 3
    assert (stopping.best_epoch, stopping.best_score) == (3, None)
    assert not stopping.exhausted


@given(SCORES, SCORES)
def test_state_goes_on_where_it_was(before: list[float], after: list[float]) -> None:
    options = EarlyStoppingOptions(patience=4)
    whole, first, second = (EarlyStopping(options) for _ in range(3))
    for epoch, score in enumerate(before, 1):
        whole.update(epoch, score / 3)
        first.update(epoch, score / 3)
    second.restore(json.loads(json.dumps(first.state())))
    for epoch, score in enumerate(after, len(before) + 1):
        assert second.update(epoch, score / 3) == whole.update(epoch, score / 3)
        assert second.exhausted == whole.exhausted
    assert second.state() == whole.state()


@pytest.mark.parametrize("score", [None, math.inf, 0.1])
def test_state_is_json(score: float | None) -> None:
    stopping = EarlyStopping(EarlyStoppingOptions())
    stopping.update(1, score)
    text = json.dumps(stopping.state(), allow_nan=False)
    stopping.restore(json.loads(text))
    assert stopping.best_score == score
