"""How well a model of classes tells rows unlike those it learnt from others."""

from __future__ import annotations

from typing import Any

import numpy as np

from tagi_cli.errors import UserError
from tagi_cli.experiment.class_predictions import ClassPredictions
from tagi_cli.experiment.laws import Law
from tagi_cli.experiment.predictions import Floats
from tagi_cli.training.classification import auroc

NUMBERS = "ood.json"
"""File in figures/ with the numbers behind the figures."""

SCORES = ("entropy", "entropy_epistemic")
"""What is high for such rows; attributes of `ClassPredictions`."""

_BINS = 30


def check(classes: object) -> None:
    """Make sure that there are classes.

    Raises:
        UserError: the outputs are numbers.
    """
    if classes is None:
        raise UserError(
            "ood.path: rows are told apart by the entropy of predicted classes, and the outputs of "
            "this run are numbers. Allowed: a run of task=classification"
        )


def scored(inside: Law, outside: Law, of: str) -> dict[str, Any]:
    """What `tagi eval` tells: the area under the ROC curve of each score, and its mean outside.

    Args:
        inside: predictions for rows like those learnt.
        outside: for rows of another kind.
        of: the name of the latter.
    """
    assert isinstance(inside, ClassPredictions)
    assert isinstance(outside, ClassPredictions)
    found: dict[str, Any] = {"of": of, "rows": len(outside.places)}
    for name in SCORES:
        found[f"auroc_{name}"] = auroc(getattr(inside, name), getattr(outside, name))
    return found | {name: float(getattr(outside, name).mean()) for name in SCORES}


def numbers(inside: Law, outside: Law, names: tuple[str, str]) -> dict[str, Any]:
    """JSON-able numbers for the figures.

    `names` and `rows` of both, and for each score its `auroc`, `edges` of bins, and the share of
    rows in each of them, `inside` and `outside`.
    """
    found: dict[str, Any] = {"names": names, "rows": [len(inside.places), len(outside.places)]}
    for name in SCORES:
        own, other = (np.asarray(getattr(law, name)) for law in (inside, outside))
        edges = np.linspace(0, max(own.max(), other.max(), np.finfo(float).tiny), _BINS + 1)
        found[name] = {
            "auroc": auroc(own, other),
            "edges": _short(edges),
            "inside": _short(np.histogram(own, edges)[0] / len(own)),
            "outside": _short(np.histogram(other, edges)[0] / len(other)),
        }
    return found


def _short(values: Floats) -> list[float]:
    return [float(f"{value:.7g}") for value in values]
