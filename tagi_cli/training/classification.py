"""Classes: how good predicted probabilities are, and how they choose the best epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.errors import UserError
from tagi_cli.training.interface import Floats, NumericalError, Prediction, Rows, Scores
from tagi_cli.training.task import Validation

BINS = 15
"""Bins of equal width, by confidence, in the calibration error."""

LEAST = float(np.finfo(np.float32).tiny)
"""A predicted probability below this one counts as this one in the likelihood."""


def probabilities(members: Sequence[Floats]) -> Floats:
    """Those of the mixture `(n, K)`, which sum to one, from the members' `(n, K)` each."""
    mean = np.mean(members, axis=0)
    return np.asarray(mean / mean.sum(axis=1, keepdims=True))


def classification_metrics(labels: NDArray[Any], p: Floats) -> dict[str, float]:
    """Metrics of n predicted distributions over K classes.

    Args:
        labels: `(n,)` numbers of the observed classes, NaN where missing; these take no part.
        p: `(n, K)` probabilities.

    Returns:
        `error_rate`: share of rows whose class is not the most probable one (the first of equals).
        `nll`: mean of `-log p` of the observed class, nats.
        `brier`: mean of `sum_k (p_k - [k observed])^2`, 0 to 2 (Brier 1950).
        `ece`: expected calibration error (Naeini et al. 2015; Guo et al. 2017): rows in `BINS` bins
        by the probability of their predicted class; the distance between its mean and the share of
        right predictions, averaged over rows.
        Without an observed label they are NaN.
    """
    known = ~np.isnan(np.asarray(labels, np.float64))
    n = int(known.sum())
    if not n:
        return dict.fromkeys(("error_rate", "nll", "brier", "ece"), math.nan)
    label, p = np.asarray(labels)[known].astype(np.int64), p[known]
    own = p[np.arange(n), label]
    right = p.argmax(axis=1) == label
    bins = reliability(p.max(axis=1), right)
    return {
        "error_rate": float(np.mean(~right)),
        "nll": -float(np.mean(np.log(np.maximum(own, LEAST)))),
        # sum_k (p_k - [k observed])^2 = sum_k p_k^2 - 2 p_own + 1
        "brier": float(np.mean(np.sum(p**2, axis=1) - 2 * own + 1)),
        "ece": float(np.sum(np.abs(bins[:, 1] - bins[:, 2])) / n),
    }


def reliability(confidence: Floats, right: NDArray[np.bool_]) -> Floats:
    """Rows, sum of confidences and number of right predictions in each of `BINS` bins `(BINS, 3)`.

    Bins are of equal width on 0 to 1; an edge belongs to the bin above it, 1 to the last.
    """
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    return np.stack(
        [
            np.bincount(place, weights, BINS)
            for weights in (np.ones_like(confidence), confidence, right)
        ],
        axis=1,
    )


class ClassificationTask:
    """Classes, with members that predict probabilities; a `training.task.Task`."""

    def train_metrics(self, scores: Sequence[Scores], rows: Rows) -> dict[str, float]:
        """`nll` and `error_rate`, means over the members, each scored by itself."""
        nll, wrong = [], []
        for score in scores:
            count = float(np.sum(score["count"]))
            if count == 0:
                return {"nll": math.nan, "error_rate": math.nan}
            nll.append(float(np.sum(score["nll_sum"])) / count)
            # The third of the sums counts errors, see the kernel `class_score`.
            wrong.append(float(np.sum(score["se_sum"])) / count)
        return {"nll": float(np.mean(nll)), "error_rate": float(np.mean(wrong))}

    def validate(self, rows: Rows, predictions: Sequence[Prediction]) -> Validation:
        """Score: NLL of the mixture per observed label. Metrics: `nll`, `error_rate`, `brier`.

        Raises:
            UserError: there is no observed label.
            NumericalError: the NLL is not a number.
        """
        y = np.asarray(rows.y, np.float64)
        one_hot = y.reshape(len(y), -1)
        labels = np.where(np.isnan(one_hot).any(axis=1), np.nan, one_hot.argmax(axis=1))
        if np.isnan(labels).all():
            raise UserError(
                "the validation part has no observed label to choose the epoch by; make it larger "
                "(data.valid_portion) or empty"
            )
        p = probabilities([one.mu for one in predictions])
        if np.isnan(p).any():
            raise NumericalError("the NLL is NaN")
        found = classification_metrics(labels, p)
        return Validation(
            found["nll"], {name: found[name] for name in ("nll", "error_rate", "brier")}
        )
