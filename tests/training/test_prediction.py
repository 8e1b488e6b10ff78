"""Predicting block by block."""

from __future__ import annotations

import numpy as np
import pytest
from linear_learner import LinearLearner

from tagi_cli.training import prediction
from tagi_cli.training.interface import NumericalError, Prediction

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


class Faulty:
    """Predicts zero means and unit variances, but for one value in row 5."""

    tracks = False

    def __init__(self, field: str, value: float) -> None:
        self.field, self.value = field, value

    def predict(self, x: np.ndarray) -> Prediction:
        moments = {"mu": 0.0 * x, "var_epistemic": 0.0 * x + 1, "var_noise": 0.0 * x}
        moments[self.field][x == 5] = self.value
        return Prediction(**moments)


@pytest.mark.parametrize(
    ("field", "value"),
    [("mu", np.nan), ("mu", -np.inf), ("var_epistemic", np.inf), ("var_noise", -1e-9)],
)
def test_moments_out_of_range_name_their_row(
    monkeypatch: pytest.MonkeyPatch, field: str, value: float
) -> None:
    monkeypatch.setattr(prediction, "_ROWS", 4)
    x = np.arange(7.0)[:, None]
    with pytest.raises(NumericalError, match=r"row 5 \(from 0\) is not finite"):
        prediction.predict([Faulty(field, value)], x)
    with pytest.raises(NumericalError, match="row 105 "):
        prediction.predict([Faulty(field, value)], x, rows=np.arange(100, 107))
