"""Predictions block by block, so that a long one can be left in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.training.interface import Learner, Prediction

# Always the same: the last bits of a matrix product may depend on its shape.
_ROWS = 8192


def predict(
    learners: Sequence[Learner], x: NDArray[Any], pause: Callable[[], bool] = lambda: False
) -> list[Prediction] | None:
    """What each learner predicts for inputs `(n, ...)`; None as soon as `pause` says so.

    `pause` is asked after each block of rows.
    """
    predictions = []
    for learner in learners:
        blocks = []
        for begin in range(0, max(len(x), 1), _ROWS):
            blocks.append(learner.predict(x[begin : begin + _ROWS]))
            if pause():
                return None
        predictions.append(
            Prediction(*(np.concatenate(part) for part in zip(*blocks, strict=True)))
        )
    return predictions
