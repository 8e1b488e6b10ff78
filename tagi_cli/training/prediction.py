"""Predictions block by block: a long one can be left in between, and each is checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tagi_cli import nn
from tagi_cli.distributed import ALONE, Communicator
from tagi_cli.training.interface import Indices, Learner, NumericalError, Prediction, Rows, Values

# Always the same: the last bits of a matrix product may depend on its shape.
_ROWS = 8192

ROWS_AT_ONCE = 1024
"""Rows per call of a network: large enough for full speed, small enough to stay in cache."""
# Bytes that the activations of such a call may take.
_MEMORY = 1 << 30


def rows_at_once(layer: nn.Layer, itemsize: int) -> int:
    """Rows per call of a built network: fewer where its activations are large, as of images."""
    units = sum(nn.flat_size(cost.output) for cost in layer.costs())
    return max(1, min(ROWS_AT_ONCE, _MEMORY // (2 * itemsize * max(units, 1))))


def predict(
    learners: Sequence[Learner],
    x: Values,
    pause: Callable[[], bool] = lambda: False,
    rows: Indices | None = None,
    index: Indices | None = None,
    *,
    continues: bool = False,
    earliest: Indices | None = None,
    var_x: Values | None = None,
    ranks: Communicator = ALONE,
) -> list[Prediction] | None:
    """What each learner predicts for inputs `x (n, ...)`; None as soon as `pause` says so.

    Args:
        learners: the members.
        x: encoded inputs.
        pause: asked after each block of rows.
        rows: `(n,)` numbers by which a message names the rows; default 0 to n - 1.
        index: `(n, 3)` places in series, for networks that track their states.
        continues, earliest: as in `Learner.predict_along`.
        var_x: variances of the inputs; None where they are certain.
        ranks: who share the rows, and all get the whole; they ask `pause` together.

    Raises:
        NumericalError: a predicted mean or variance is NaN or infinite, or a variance negative.
    """
    predictions = []
    for learner in learners:
        if learner.tracks:
            # What goes on from row to row cannot be shared, so all ranks do all of it.
            asked = pause if ranks.size == 1 else _never
            whole = learner.predict_along(
                x, index, asked, continues=continues, earliest=earliest, var_x=var_x
            )
            if whole is None or (ranks.size > 1 and pause()):
                return None
            whole = ranks.share(whole)
            _check(whole, 0, rows)
            predictions.append(whole)
            continue
        blocks = []
        first, last = (len(x) * rank // ranks.size for rank in (ranks.rank, ranks.rank + 1))
        for begin in range(first, first + max(-(-len(x) // ranks.size), 1), _ROWS):
            block = slice(min(begin, last), min(begin + _ROWS, last))
            if var_x is None:
                blocks.append(learner.predict(x[block]))
            else:
                blocks.append(learner.predict(x[block], var_x[block]))
            if ranks.size == 1:
                _check(blocks[-1], begin, rows)
            if pause():
                return None
        whole = _joined(blocks)
        if ranks.size > 1:
            whole = _joined(ranks.exchange(whole))
            _check(whole, 0, rows)
        predictions.append(whole)
    return predictions


def _never() -> bool:
    return False


def _joined(blocks: Sequence[Prediction]) -> Prediction:
    return Prediction(*(np.concatenate(part) for part in zip(*blocks, strict=True)))


def predict_part(
    learners: Sequence[Learner],
    part: Rows,
    pause: Callable[[], bool] = lambda: False,
    rows: Indices | None = None,
    ranks: Communicator = ALONE,
) -> list[Prediction] | None:
    """The same for a part of the data that were learnt: series go on from where training ended."""
    return predict(learners, part.x, pause, rows, part.index, continues=True, ranks=ranks)


def _check(block: Prediction, begin: int, rows: Indices | None) -> None:
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
