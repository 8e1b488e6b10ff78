"""The numbers behind the figures of a classification: what is taken for what, and how surely."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.experiment.class_predictions import ClassPredictions
from tagi_cli.experiment.predictions import Floats
from tagi_cli.training.classification import BINS, confusion, reliability

CLASSES_DRAWN = 40
"""Classes in the confusion matrix and the table; of more classes those with the most rows."""

_KEPT = 20

Diagnostics = dict[str, Any]


def diagnose(predictions: ClassPredictions) -> list[Diagnostics]:
    """JSON-able numbers for the figures; none where there is no observed label.

    One mapping: `observed` (count), `classes` (how many), `table` (for each class drawn its
    `label`, `rows`, `predicted` rows, `right` ones, and `probability`, the mean predicted for it
    over all rows), `confusion` (rows by observed, then predicted class, of the classes drawn),
    `reliability` (for each bin of confidence `rows`, mean `confidence` and share `right`),
    `confidence` (rows by confidence, right and wrong), `entropy` (the error rate of the share
    `kept` of the rows, those of least entropy `by_entropy`, or of least epistemic part
    `by_epistemic`; the mean entropy, `total`, and the mean of its part that is `epistemic`).
    """
    if predictions.label is None:
        return []
    known = np.flatnonzero(~np.isnan(predictions.label))
    if not known.size:
        return []
    label = predictions.label[known].astype(np.int64)
    p, guess = predictions.mean[known], predictions.predicted[known]
    K = len(predictions.classes)
    counts = confusion(label, guess, K)
    seen, taken = counts.sum(axis=1), counts.sum(axis=0)
    drawn = np.arange(K)
    if K > CLASSES_DRAWN:
        drawn = np.sort(np.argsort(-seen, kind="stable")[:CLASSES_DRAWN])
    confidence, right = p.max(axis=1), guess == label
    bins = reliability(confidence, right)
    entropy, epistemic = predictions.entropy[known], predictions.entropy_epistemic[known]
    rows = np.maximum(bins[:, 0], 1)
    return [
        {
            "observed": len(known),
            "classes": K,
            "table": [
                {
                    "label": predictions.classes[k],
                    "rows": int(seen[k]),
                    "predicted": int(taken[k]),
                    "right": int(counts[k, k]),
                    "probability": float(f"{p[:, k].mean():.7g}"),
                }
                for k in drawn.tolist()
            ],
            "confusion": counts[np.ix_(drawn, drawn)].tolist(),
            "reliability": {
                "rows": [int(n) for n in bins[:, 0]],
                "confidence": [float(f"{value:.7g}") for value in bins[:, 1] / rows],
                "right": [float(f"{value:.7g}") for value in bins[:, 2] / rows],
            },
            "confidence": {
                "edges": [i / BINS for i in range(BINS + 1)],
                "right": [int(n) for n in bins[:, 2]],
                "wrong": [int(n) for n in bins[:, 0] - bins[:, 2]],
            },
            "entropy": {
                "kept": [i / _KEPT for i in range(1, _KEPT + 1)],
                "by_entropy": _errors(right, entropy),
                "by_epistemic": _errors(right, epistemic),
                "total": float(f"{entropy.mean():.7g}"),
                "epistemic": float(f"{epistemic.mean():.7g}"),
            },
        }
    ]


def _errors(right: NDArray[np.bool_], unsure: Floats) -> list[float]:
    """Error rates of 1 to `_KEPT` of `_KEPT` parts of the rows, those that are least `unsure`."""
    order = np.argsort(unsure, kind="stable")
    wrong, value = (~right[order]).astype(float), unsure[order]
    # Rows of equal value have the errors of all of them in the mean, in whatever order.
    first = np.flatnonzero(np.r_[True, value[1:] != value[:-1]])
    size = np.diff(np.r_[first, len(value)])
    alike = np.repeat(np.add.reduceat(wrong, first) / size, size)
    counts = -(-np.arange(1, _KEPT + 1) * len(value) // _KEPT)
    return [float(f"{rate:.7g}") for rate in np.cumsum(alike)[counts - 1] / counts]
