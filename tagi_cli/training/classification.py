"""Classes: how good predicted probabilities are, and how they choose the best epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from tagi_cli.errors import UserError
from tagi_cli.training.interface import Floats, NumericalError, Prediction, Rows, Scores
from tagi_cli.training.task import Validation

BINS = 15
"""Bins of equal width, by confidence, in the calibration error."""

LEAST = float(np.finfo(np.float32).tiny)
"""A predicted probability below this one counts as this one in the likelihood."""

FIRST = 5
"""Of more classes than so many, it is told how often the label is not among the first of them."""


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
        `top_5_error_rate`, of more than `FIRST` classes: share of rows whose class is not among the
        five most probable ones (the first of equals).
        Without an observed label they are NaN.
    """
    many = p.shape[1] > FIRST
    known = ~np.isnan(np.asarray(labels, np.float64))
    n = int(known.sum())
    if not n:
        names = ("error_rate", "nll", "brier", "ece") + (("top_5_error_rate",) if many else ())
        return dict.fromkeys(names, math.nan)
    label, p = np.asarray(labels)[known].astype(np.int64), p[known]
    own = p[np.arange(n), label]
    right = p.argmax(axis=1) == label
    bins = reliability(p.max(axis=1), right)
    found = {
        "error_rate": float(np.mean(~right)),
        "nll": -float(np.mean(np.log(np.maximum(own, LEAST)))),
        # sum_k (p_k - [k observed])^2 = sum_k p_k^2 - 2 p_own + 1
        "brier": float(np.mean(np.sum(p**2, axis=1) - 2 * own + 1)),
        "ece": float(np.sum(np.abs(bins[:, 1] - bins[:, 2])) / n),
    }
    if many:
        before = np.arange(p.shape[1]) < label[:, None]
        ahead = (p > own[:, None]) | (before & (p == own[:, None]))
        found["top_5_error_rate"] = float(np.mean(ahead.sum(axis=1) >= FIRST))
    return found


def confusion(labels: NDArray[Any], predicted: NDArray[np.int64], K: int) -> NDArray[np.int64]:
    """Rows by observed, then predicted class `(K, K)`; those without a label (NaN) take no part."""
    known = ~np.isnan(np.asarray(labels, np.float64))
    pairs = np.asarray(labels)[known].astype(np.int64) * K + predicted[known]
    return np.bincount(pairs, minlength=K * K).reshape(K, K)


def per_class(counts: NDArray[np.int64]) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
    """Precision, recall, F1 and support of each class, `(K,)` each, from a `confusion (K, K)`.

    Precision is the share of right rows among those predicted, recall among those observed, F1
    their harmonic mean, support the number observed. NaN stands for shares of no rows.
    """
    right, seen, taken = np.diagonal(counts), counts.sum(axis=1), counts.sum(axis=0)
    return _share(right, taken), _share(right, seen), _share(2 * right, seen + taken), seen


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> Floats:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def auroc(inside: Floats, outside: Floats) -> float:
    """How well a score tells rows apart, 0 to 1: the chance that it is higher outside than inside.

    That is the area under the receiver operating characteristic (Hanley and McNeil 1982), by ranks;
    ties count half. NaN where there are no rows on one side.
    """
    n, m = len(inside), len(outside)
    if not n or not m:
        return math.nan
    ranks = rankdata(np.concatenate([inside, outside]))[n:]
    return float((ranks.sum() - m * (m + 1) / 2) / (n * m))


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
    """Classes, with members that predict probabilities; a `training.task.Task`.

    Args:
        weights: `(K,)` how often a label of each class counts in the score; None for once.
    """

    def __init__(self, weights: Floats | None = None) -> None:
        self._weights = weights

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

        With weights the score is the weighted mean, and told as `nll_weighted`.

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
        metrics = {name: found[name] for name in ("nll", "error_rate", "brier")}
        if self._weights is None:
            return Validation(found["nll"], metrics)
        known = np.flatnonzero(~np.isnan(labels))
        label = labels[known].astype(np.int64)
        loss = -np.log(np.maximum(p[known, label], LEAST))
        score = float(np.average(loss, weights=self._weights[label]))
        return Validation(score, metrics | {"nll_weighted": score})
