"""What a network is trained for: how its predictions are scored while it learns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tagi_cli.errors import UserError
from tagi_cli.training import mixture
from tagi_cli.training.interface import Floats, NumericalError, Prediction, Scores


class Validation(NamedTuple):
    """The outcome of scoring the validation rows.

    `score` chooses the epoch (smaller is better); `metrics` are for people, in original units.
    """

    score: float
    metrics: dict[str, float]


class Task(Protocol):
    """How to score one epoch of the ensemble."""

    def train_metrics(self, scores: Sequence[Scores]) -> dict[str, float]:
        """Metrics for people from the members' prequential sums; undefined ones are NaN."""

    def validate(self, y: NDArray[Any], predictions: Sequence[Prediction]) -> Validation:
        """Score targets `(n, K)`, scaled, NaN where missing, under the members' mixture."""


class RegressionTask:
    """Real targets, with Gaussian members.

    Args:
        center_y, scale_y: `(K,)`: a target in original units is `center + scale * scaled`.
    """

    def __init__(self, center_y: Floats, scale_y: Floats) -> None:
        self.center_y = np.asarray(center_y, np.float64)
        self.scale_y = np.asarray(scale_y, np.float64)

    def train_metrics(self, scores: Sequence[Scores]) -> dict[str, float]:
        """`nll` and `rmse`, means over the members, each scored by itself."""
        nll, rmse = [], []
        for score in scores:
            count = float(np.sum(score["count"]))
            if count == 0:
                return {"nll": math.nan, "rmse": math.nan}
            log_scale = score["count"] @ np.log(self.scale_y)
            nll.append((float(np.sum(score["nll_sum"])) + log_scale) / count)
            rmse.append(math.sqrt(score["se_sum"] @ self.scale_y**2 / count))
        return {"nll": float(np.mean(nll)), "rmse": float(np.mean(rmse))}

    def validate(self, y: NDArray[Any], predictions: Sequence[Prediction]) -> Validation:
        """Score: NLL of the mixture per observed value, scaled. Metrics: `nll`, `rmse`, `mae`.

        Raises:
            UserError: there is no observed value.
            NumericalError: the NLL is not a number.
        """
        mu = np.stack([one.mu for one in predictions])
        var = np.stack([one.var_epistemic + one.var_noise for one in predictions])
        targets = np.asarray(y, np.float64)
        known = ~np.isnan(targets)
        if not known.any():
            raise UserError(
                "the validation part has no observed target to choose the epoch by; make it larger "
                "(data.valid_portion) or empty"
            )
        # A missing value is put where it does no harm, and then left out of the means.
        density = mixture.log_density(np.where(known, targets, mu[0]), mu, var)
        score = -float(np.mean(density[known]))
        if math.isnan(score):
            raise NumericalError("the NLL is NaN")
        log_scale = np.broadcast_to(np.log(self.scale_y), targets.shape)[known]
        error = ((targets - mixture.mean(mu)) * self.scale_y)[known]
        metrics = {
            "nll": score + float(np.mean(log_scale)),
            "rmse": math.sqrt(np.mean(error**2)),
            "mae": float(np.mean(np.abs(error))),
        }
        return Validation(score, metrics)
