"""Metrics of each subject of a latent regression."""

from __future__ import annotations

from typing import Any

import numpy as np

from tagi_cli.experiment import laws
from tagi_cli.experiment.latent.findings import network_of, subjects_of
from tagi_cli.experiment.laws import Law
from tagi_cli.experiment.predictions import Predictions
from tagi_cli.training.interface import Values

OF_REPORT = ("rmse", "nll", "coverage_90")
"""What a report tells of each subject."""


def by_subject(learner: object, x: Values, law: Law) -> dict[str, Any]:
    """`{"subjects": {name: metrics}}` for summary.json; empty where all rows are of one subject.

    Args:
        learner: a member of the ensemble.
        x: encoded inputs of n rows or windows.
        law: what the ensemble predicts for them, with observed values.
    """
    names = subjects_of(learner)
    if names == ("",) or not isinstance(law, Predictions):
        return {}
    who = network_of(learner).layout.subject_of(x)
    found = {}
    for s, name in enumerate(names):
        own = laws.metrics(law.take(np.flatnonzero(who == s)))
        if own:
            found[name] = {key: value for key, value in own.items() if key != "components"}
    return {"subjects": found}
