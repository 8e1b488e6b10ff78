"""Predicted class probabilities, and the table of them that a run leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagi_cli.experiment.places import Places, cell
from tagi_cli.experiment.predictions import Floats, write_table
from tagi_cli.training.classification import probabilities

_CELLS_PER_WRITE = 262_144


@dataclass(frozen=True)
class ClassPredictions:
    """Distributions over K classes for n examples, by each of M members.

    Attributes:
        classes: the K labels, in order.
        places: of the n examples.
        label: (n,) numbers of the observed classes, NaN where missing; None without targets.
        p: (M, n, K) probabilities.
        var_epistemic: (M, n, K) their variances, from what is not known of the parameters.
    """

    classes: tuple[str, ...]
    places: Places
    label: Floats | None
    p: Floats
    var_epistemic: Floats

    @cached_property
    def mean(self) -> Floats:
        """(n, K) probabilities of the mixture."""
        return probabilities(list(self.p))

    @cached_property
    def sd_epistemic(self) -> Floats:
        """(n, K) standard deviation of the probabilities; members that disagree add to it."""
        return np.asarray(np.sqrt(np.mean(self.var_epistemic, axis=0) + np.var(self.p, axis=0)))

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(n,) numbers of the most probable classes, the first of equals."""
        return np.asarray(self.mean.argmax(axis=1))

    @property
    def y(self) -> Floats | None:
        """The labels as a column `(n, 1)`, as other tasks have their targets."""
        return None if self.label is None else self.label[:, None]

    def without_targets(self) -> ClassPredictions:
        """The same without labels."""
        return replace(self, label=None)

    def take(self, index: slice | NDArray[np.int64]) -> ClassPredictions:
        """The same for some of the examples."""
        return ClassPredictions(
            self.classes,
            self.places.take(index),
            None if self.label is None else self.label[index],
            self.p[:, index],
            self.var_epistemic[:, index],
        )


def write_csv(path: Path, predictions: ClassPredictions) -> None:
    """Write a line per example: place, label (empty where missing), predicted label, probabilities.

    Examples without targets have no column `label`. The probability of each class is in the column
    `p_<label>`.

    Raises:
        UserError: the file cannot be written.
    """
    header = columns(predictions)
    block = max(1, _CELLS_PER_WRITE // len(header))
    write_table(
        path, header, len(predictions.places), block, lambda rows: lines(predictions.take(rows))
    )


def columns(predictions: ClassPredictions) -> list[str]:
    """The header of the table."""
    observed = [] if predictions.label is None else ["label"]
    shares = [f"p_{label}" for label in predictions.classes]
    return [*predictions.places.columns, *observed, "predicted", *shares]


def lines(part: ClassPredictions) -> str:
    """The lines of the table, without its header."""
    labels = [cell(label) for label in part.classes]
    places = part.places.cells()
    predicted = [labels[k] for k in part.predicted.tolist()]
    seen = [""] * len(places)
    if part.label is not None:
        # A missing label is not a number.
        seen = [f"{labels[int(k)]}," if k == k else "," for k in part.label.tolist()]
    row = ",".join(["%.7g"] * len(labels))
    return "".join(
        f"{place},{label}{guess},{row % tuple(shares)}\n"
        for place, label, guess, shares in zip(
            places, seen, predicted, part.mean.tolist(), strict=True
        )
    )
