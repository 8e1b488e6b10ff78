"""The numbers behind the figures of a classification: what is taken for what, and how surely."""

from __future__ import annotations

from typing import Any

import numpy as np

from tagi_cli.experiment.class_predictions import ClassPredictions
from tagi_cli.training.classification import BINS, confusion, reliability

CLASSES_DRAWN = 40
"""Classes in the confusion matrix and the table; of more classes those with the most rows."""

Diagnostics = dict[str, Any]


def diagnose(predictions: ClassPredictions) -> list[Diagnostics]:
    """JSON-able numbers for the figures; none where there is no observed label.

    One mapping: `observed` (count), `classes` (how many), `table` (for each class drawn its
    `label`, `rows`, `predicted` rows, `right` ones, and `probability`, the mean predicted for it
    over all rows), `confusion` (rows by observed, then predicted class, of the classes drawn),
    `reliability` (for each bin of confidence `rows`, mean `confidence` and share `right`),
    `confidence` (rows by confidence, right and wrong), `entropy` (the same by the entropy of the
    predicted probabilities, up to log K; its mean, `total`, and the mean of its part that is
    `epistemic`).
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
    edges = np.linspace(0, np.log(K), BINS + 1)
    by_entropy = [
        np.histogram(np.minimum(entropy[of], edges[-1]), edges)[0] for of in (right, ~right)
    ]
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
                "edges": [float(f"{edge:.7g}") for edge in edges],
                "right": by_entropy[0].tolist(),
                "wrong": by_entropy[1].tolist(),
                "total": float(f"{entropy.mean():.7g}"),
                "epistemic": float(f"{epistemic.mean():.7g}"),
            },
        }
    ]
