"""What a network is trained for: how its predictions are scored while it learns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tagi_cli.errors import UserError
from tagi_cli.training import calibration, mixture
from tagi_cli.training.interface import (
    Floats,
    NumericalError,
    Prediction,
    Rows,
    Scores,
    Values,
)

# Rows whose targets are looked at together.
_ROWS = 8192


class Validation(NamedTuple):
    """The outcome of scoring the validation rows.

    `score` chooses the epoch (smaller is better); `metrics` are for people, in original units;
    `factors (M, K)` calibrate the networks, if they are to be (`tagi_cli.training.calibration`).
    """

    score: float
    metrics: dict[str, float]
    factors: Floats | None = None


class Task(Protocol):
    """How to score one epoch of the ensemble."""

    def train_metrics(self, scores: Sequence[Scores], rows: Rows) -> dict[str, float]:
        """Metrics for people from the members' prequential sums over rows; undefined ones are NaN.

        The rows are those learnt in the epoch, or those that they were drawn from.
        """

    def validate(self, rows: Rows, predictions: Sequence[Prediction]) -> Validation:
        """Score the targets of rows under the members' mixture."""


class RegressionTask:
    """Real targets, with Gaussian members.

    Where each row has a scale of its own (series of their own scale each), errors in scaled units
    are told besides those in original ones, which the largest series make; of training, they alone
    are known.

    Args:
        calibrate: whether validation rows calibrate the variances, and are scored with that.
    """

    def __init__(self, *, calibrate: bool = False) -> None:
        self.calibrates = calibrate
        self._log_scale: tuple[Rows, Floats] | None = None

    def train_metrics(self, scores: Sequence[Scores], rows: Rows) -> dict[str, float]:
        """`nll` and `rmse` (or `rmse_scaled`), means over the members, each scored by itself."""
        shared = len(rows.scale) == 1
        name, scale = ("rmse", rows.scale[0]) if shared else ("rmse_scaled", 1.0)
        nll, rmse = [], []
        for score in scores:
            count = float(np.sum(score["count"]))
            if count == 0:
                return {"nll": math.nan, name: math.nan}
            log_scale = score["count"] @ self._mean_log_scale(rows)
            nll.append((float(np.sum(score["nll_sum"])) + log_scale) / count)
            rmse.append(math.sqrt(np.sum(score["se_sum"] * scale**2) / count))
        return {"nll": float(np.mean(nll)), name: float(np.mean(rmse))}

    def _mean_log_scale(self, rows: Rows) -> Floats:
        """`(K,)` mean of the scale's logarithm over the observed targets of each output."""
        if len(rows.scale) == 1:
            return np.asarray(np.log(rows.scale[0]))
        if self._log_scale is None or self._log_scale[0] is not rows:
            total, count = np.zeros((2, rows.scale.shape[1]))
            for begin in range(0, len(rows), _ROWS):
                block = slice(begin, begin + _ROWS)
                known = ~np.isnan(_flat(rows.y[block]))
                total += np.sum(known * np.log(rows.scale[block]), axis=0)
                count += np.sum(known, axis=0)
            self._log_scale = rows, total / np.maximum(count, 1)
        return self._log_scale[1]

    def validate(self, rows: Rows, predictions: Sequence[Prediction]) -> Validation:
        """Score: NLL of the mixture per observed value, scaled. Metrics: `nll`, `rmse`, `mae`.

        Calibrated, the score has the surprise of the factors' prior besides.

        Raises:
            UserError: there is no observed value.
            NumericalError: the NLL is not a number.
        """
        mu = np.stack([one.mu for one in predictions])
        var = np.stack([one.var_epistemic + one.var_noise for one in predictions])
        targets = _flat(rows.y).astype(np.float64, copy=False)
        known = ~np.isnan(targets)
        if not known.any():
            raise UserError(
                "the validation part has no observed target to choose the epoch by; make it larger "
                "(data.valid_portion) or empty"
            )
        factors, surprise = None, 0.0
        if self.calibrates:
            factors, surprise = calibration.factors(targets, mu, var)
            var = var * factors[:, None]
        # A missing value is put where it does no harm, and then left out of the means.
        density = mixture.log_density(np.where(known, targets, mu[0]), mu, var)
        nll = -float(np.mean(density[known]))
        if math.isnan(nll):
            raise NumericalError("the NLL is NaN")
        scale = np.broadcast_to(rows.scale, targets.shape)[known]
        scaled = (targets - mixture.mean(mu))[known]
        error = scaled * scale
        metrics = {
            "nll": nll + float(np.mean(np.log(scale))),
            "rmse": math.sqrt(np.mean(error**2)),
            "mae": float(np.mean(np.abs(error))),
        }
        if len(rows.scale) > 1:
            metrics["rmse_scaled"] = math.sqrt(np.mean(scaled**2))
        return Validation(nll + surprise / float(np.sum(known)), metrics, factors)


def _flat(y: Values) -> NDArray[Any]:
    """Targets, or windows of them, as `(n, K)`."""
    array = np.asarray(y)
    return array.reshape(len(array), math.prod(array.shape[1:]))
