"""How often a label of each class counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tagi_cli.errors import UserError, listing, nearest
from tagi_cli.training.interface import Floats

BALANCED = "balanced"


def faults(weights: str | Mapping[str, float] | None) -> list[str]:
    """What is wrong with `task.class_weights` whatever the data are, one message each."""
    if isinstance(weights, str) and weights != BALANCED:
        hint = nearest(weights, [BALANCED])
        return [
            f".class_weights: found '{weights}'.{hint} Allowed: {BALANCED}, or a mapping of labels "
            "to numbers above 0"
        ]
    if isinstance(weights, Mapping):
        return [
            f".class_weights.{label}: found {weight:g}. Allowed: number, above 0"
            for label, weight in weights.items()
            if not weight > 0
        ]
    return []


def of_labels(
    weights: str | Mapping[str, float] | None, classes: Sequence[str], labels: Any
) -> Floats | None:
    """The weights `(K,)` in force; None where every label counts once.

    Args:
        weights: `balanced`: `n / (K n_k)` with n labels of K classes, of which `n_k` are of class
            k, so that all classes count alike and a label counts once in the mean; or weights by
            label, 1 for those left out.
        classes: the labels, in order.
        labels: `(n,)` numbers of the classes to learn, NaN where missing.

    Raises:
        UserError: a weight is of no class.
    """
    if weights is None:
        return None
    if isinstance(weights, str):
        known = np.asarray(labels, np.float64)
        counts = np.bincount(known[~np.isnan(known)].astype(np.int64), minlength=len(classes))
        present = counts > 0
        balanced = counts.sum() / (max(int(present.sum()), 1) * np.maximum(counts, 1))
        return np.where(present, balanced, 1.0)
    for label in weights:
        if label not in classes:
            raise UserError(
                f"task.class_weights: no label '{label}' in the training part."
                f"{nearest(label, classes)} Labels: {listing(classes)}"
            )
    return np.array([weights.get(label, 1.0) for label in classes])
