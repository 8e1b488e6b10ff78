"""Calibration: a factor on the predictive variances of each target, found on rows held out.

Passes over the same rows count them again as evidence, so that variances end up too small for rows
that were not learnt, and the more so the longer the means go on improving. What the validation rows
say of the factor is known after every epoch, so that the epoch can be chosen by predictions as they
will be given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.training.interface import Floats, Prediction, Tensors

FACTORS = "calibration.factors"
"""The tensor of a member's state that has them, `(K,)`; where it is missing they are 1."""

PRIOR_VALUES = 10
"""Of so many values it is taken as known that they are as far away as predicted."""

_PASSES, _TOLERANCE = 100, 1e-3


def factors(targets: Floats, mu: Floats, var: Floats) -> Floats:
    """The factors `(K,)` on the variances of a mixture under which held-out targets are likeliest.

    Maximum a posteriori under a scaled inverse chi-squared prior with its mode at 1, by
    expectation maximisation: each pass weighs the squared standardised errors of the members by
    how likely it is that they made the observation.

    Args:
        targets: `(n, K)`, NaN where missing.
        mu, var: `(M, n, K)` moments of the members, in the same units.
    """
    known = ~np.isnan(targets) & (var > 0).all(axis=0)
    safe = np.where(known, var, 1.0)
    squared = np.where(known, (np.where(known, targets, 0.0) - mu) ** 2 / safe, 0.0)
    log_var = np.log(safe)
    n = known.sum(axis=0)
    found = np.ones(targets.shape[1])
    for _ in range(_PASSES):
        exponent = -0.5 * (log_var + squared / found)
        weight = np.exp(exponent - exponent.max(axis=0))
        error = (weight * squared).sum(axis=0) / weight.sum(axis=0)
        before, found = found, (error.sum(axis=0) + PRIOR_VALUES) / (n + PRIOR_VALUES)
        if np.all(np.abs(np.log(found / before)) < _TOLERANCE):
            break
    return np.asarray(found)


def surprise(found: Floats) -> float:
    """What the prior adds to the NLL of all values together: 0 where all factors are 1."""
    return float(0.5 * PRIOR_VALUES * np.sum(np.log(found) + 1 / found - 1))


def calibrated(members: Sequence[Tensors], found: Floats | None) -> list[Tensors]:
    """States of members that predict with factors; as they are if there are none."""
    extra = {} if found is None else {FACTORS: np.asarray(found, np.float64)}
    return [{**one, **extra} for one in members]


def uncalibrated(members: Sequence[Tensors], held_out: Sized) -> list[Tensors]:
    """States as they go on learning and are calibrated anew, if there are rows to do so.

    Without them, factors are those that the training began with.
    """
    if not len(held_out):
        return list(members)
    return [{k: v for k, v in one.items() if k != FACTORS} for one in members]


def factors_of(state: Mapping[str, NDArray[Any]]) -> Floats | None:
    """The factors that a member's state predicts with; None if it has none."""
    found = state.get(FACTORS)
    return None if found is None else np.asarray(found, np.float64)


def scaled(prediction: Prediction, found: Floats | None) -> Prediction:
    """The prediction with its variances times the factors."""
    if found is None:
        return prediction
    mu, epistemic, noise = prediction
    return Prediction(mu, epistemic * found, noise * found)
