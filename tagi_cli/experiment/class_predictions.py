"""Predicted class probabilities, and the table of them that a run leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagi_cli.experiment.places import Places, cell
from tagi_cli.experiment.predictions import Floats, write_table
from tagi_cli.training.class_entropy import decompose
from tagi_cli.training.classification import (
    classification_metrics,
    confusion,
    per_class,
    probabilities,
)

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
    def entropy(self) -> Floats:
        """(n,) of the mixture, nats."""
        return self._entropies[0]

    @property
    def entropy_epistemic(self) -> Floats:
        """(n,) its part that stems from what is not known of the networks, nats."""
        return self._entropies[1]

    @cached_property
    def _entropies(self) -> tuple[Floats, Floats]:
        return decompose(list(self.p), list(self.var_epistemic))

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(n,) numbers of the most probable classes, the first of equals."""
        return np.asarray(self.mean.argmax(axis=1))

    @property
    def y(self) -> Floats | None:
        """The labels as a column `(n, 1)`, as other tasks have their targets."""
        return None if self.label is None else self.label[:, None]

    def metrics(self) -> dict[str, float]:
        """Those of summary.json, of what is observed."""
        assert self.label is not None
        known = ~np.isnan(self.label)
        found = classification_metrics(self.label, self.mean)
        for name, values in (
            ("entropy", self.entropy),
            ("entropy_epistemic", self.entropy_epistemic),
        ):
            found[name] = float(values[known].mean()) if known.any() else np.nan
        return found

    def by_class(self) -> dict[str, dict[str, float | int | None]]:
        """`precision`, `recall`, `f1` (None where there is none) and `support` of each class."""
        assert self.label is not None
        found = per_class(confusion(self.label, self.predicted, len(self.classes)))
        names = ("precision", "recall", "f1")
        return {
            label: {
                name: None if np.isnan(value) else float(value)
                for name, value in zip(names, shares, strict=True)
            }
            | {"support": int(rows)}
            for label, shares, rows in zip(
                self.classes, np.stack(found[:3], axis=1), found[3], strict=True
            )
        }

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
    `p_<label>`; behind them are the entropy of these probabilities and its epistemic part.

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
    places = predictions.places.columns
    return [*places, *observed, "predicted", *shares, "entropy", "entropy_epistemic"]


def lines(part: ClassPredictions) -> str:
    """The lines of the table, without its header."""
    labels = [cell(label) for label in part.classes]
    places = part.places.cells()
    predicted = [labels[k] for k in part.predicted.tolist()]
    seen = [""] * len(places)
    if part.label is not None:
        # A missing label is not a number.
        seen = [f"{labels[int(k)]}," if k == k else "," for k in part.label.tolist()]
    row = ",".join(["%.7g"] * (len(labels) + 2))
    numbers = np.column_stack([part.mean, part.entropy, part.entropy_epistemic])
    return "".join(
        f"{place},{label}{guess},{row % tuple(values)}\n"
        for place, label, guess, values in zip(
            places, seen, predicted, numbers.tolist(), strict=True
        )
    )
