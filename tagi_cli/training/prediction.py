"""Predictions block by block: a long one can be left in between, and each is checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.training.interface import Learner, NumericalError, Prediction

# Always the same: the last bits of a matrix product may depend on its shape.
_ROWS = 8192


def predict(
    learners: Sequence[Learner],
    x: NDArray[Any],
    pause: Callable[[], bool] = lambda: False,
    rows: NDArray[np.int64] | None = None,
) -> list[Prediction] | None:
    """What each learner predicts for inputs `x (n, ...)`; None as soon as `pause` says so.

    Args:
        learners: the members.
        x: encoded inputs.
        pause: asked after each block of rows.
        rows: `(n,)` numbers by which a message names the rows; default 0 to n - 1.

    Raises:
        NumericalError: a predicted mean or variance is NaN or infinite, or a variance negative.
    """
    predictions = []
    for learner in learners:
        blocks = []
        for begin in range(0, max(len(x), 1), _ROWS):
            blocks.append(learner.predict(x[begin : begin + _ROWS]))
            _check(blocks[-1], begin, rows)
            if pause():
                return None
        predictions.append(
            Prediction(*(np.concatenate(part) for part in zip(*blocks, strict=True)))
        )
    return predictions


def _check(block: Prediction, begin: int, rows: NDArray[np.int64] | None) -> None:
    good = np.isfinite(block.mu)
    for variance in (block.var_epistemic, block.var_noise):
        good = good & np.isfinite(variance) & (variance >= 0)
    if not good.all():
        place = begin + int(np.flatnonzero(~good.all(axis=1))[0])
        row = place if rows is None else int(rows[place])
        raise NumericalError(
            f"the prediction of row {row} (from 0) is not finite: its inputs are too far from "
            "those of the training rows, or the network has diverged"
        )
