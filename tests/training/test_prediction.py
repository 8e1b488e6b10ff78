"""Predicting block by block."""

from __future__ import annotations

import numpy as np
import pytest
from linear_learner import LinearLearner

from tagi_cli.training import prediction

LEARNERS = [LinearLearner(np.random.default_rng(seed)) for seed in (0, 1)]


@pytest.mark.parametrize("rows", [0, 1, 4, 10])
def test_blocks_are_joined(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(prediction, "_ROWS", 4)
    x = np.random.default_rng(2).normal(size=(rows, 2))
    found = prediction.predict(LEARNERS, x)
    assert found is not None
    for one, learner in zip(found, LEARNERS, strict=True):
        for part, whole in zip(one, learner.predict(x), strict=True):
            np.testing.assert_allclose(part, whole, rtol=1e-14)
            assert part.shape == (rows, 1)


@pytest.mark.parametrize("after", [1, 2, 3])
def test_it_is_left_when_asked(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    monkeypatch.setattr(prediction, "_ROWS", 4)
    asked = []

    def pause() -> bool:
        asked.append(0)
        return len(asked) == after

    assert prediction.predict(LEARNERS, np.zeros((6, 2)), pause) is None
    assert len(asked) == after
