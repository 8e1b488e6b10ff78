"""Calibration: factors on the predictive variances of each target, found on rows held out.

Passes over the same rows count them again as evidence, so that variances end up too small for rows
that were not learnt, and the more so the longer the means go on improving. What the validation rows
say of the factor is known after every epoch, so that the epoch can be chosen by predictions as they
will be given.

The variance of a row is never known for certain, so the law of its target may have heavier tails
than a Gaussian: with a scaled inverse chi-squared law of the variance it is a Student t. The
members stand for the quantiles of that law, each with a factor of its own. How many degrees of
freedom it has, the validation rows say, too, where they are many enough to tell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Sized
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from tagi_cli.training.interface import Floats, Prediction, Tensors

FACTORS = "calibration.factors"
"""The tensor of a member's state that has them, `(K,)`; where it is missing they are 1."""

PRIOR_VALUES = 10
"""Of so many values it is taken as known that they are as far away as predicted."""

DEGREES = (4.0, 16.0, math.inf)
"""Degrees of freedom that the law of the variance may have; with infinitely many it is certain."""

LOG_ODDS = 3.0
"""Logarithm of the odds at which each of `DEGREES` is believed in before the next."""

_PASSES, _TOLERANCE = 100, 1e-3


def spread(members: int, degrees: float) -> Floats:
    """Factors `(M,)` of the members, with a geometric mean of 1: quantiles `(m + 1/2) / M`."""
    if math.isinf(degrees):
        return np.ones(members)
    quantiles = degrees / chdtri(degrees, 1 - (np.arange(members) + 0.5) / members)
    return np.asarray(quantiles / np.exp(np.mean(np.log(quantiles))))


def factors(targets: Floats, mu: Floats, var: Floats) -> tuple[Floats, float]:
    """Factors `(M, K)` on the variances of a mixture under which held-out targets are likeliest.

    Those of a target are `spread` times one number, and maximise the posterior: the number has a
    scaled inverse chi-squared prior with its mode at 1, the degrees of freedom the odds above.

    Args:
        targets: `(n, K)`, NaN where missing.
        mu, var: `(M, n, K)` moments of the members, in the same units.

    Returns:
        The factors, and what their prior adds to the NLL of all values together: 0 where they are
        `spread` with the first of `DEGREES`.
    """
    members, outputs = len(mu), targets.shape[1]
    known = ~np.isnan(targets) & (var > 0).all(axis=0)
    safe = np.where(known, var, 1.0)
    squared = np.where(known, (np.where(known, targets, 0.0) - mu) ** 2 / safe, 0.0)
    log_var = np.log(safe)
    common, found = np.ones(outputs), np.ones((members, outputs))
    least, surprise = np.full(outputs, np.inf), np.zeros(outputs)
    # One member has but one variance, whatever its law.
    for place, degrees in enumerate(DEGREES if members > 1 else DEGREES[:1]):
        wide = spread(members, degrees)[:, None, None]
        common, loss = _likeliest(squared / wide, log_var + np.log(wide), known, common)
        prior = LOG_ODDS * place + _surprise(common)
        better = loss + prior < least
        least = np.where(better, loss + prior, least)
        surprise = np.where(better, prior, surprise)
        found = np.where(better, wide[..., 0] * common, found)
    return found, float(surprise.sum())


def _likeliest(
    squared: Floats, log_var: Floats, known: NDArray[np.bool_], start: Floats
) -> tuple[Floats, Floats]:
    """The number `(K,)` times which variances `(M, n, K)` are likeliest, and the NLL with it.

    By expectation maximisation: each pass weighs the squared standardised errors of the members by
    how likely it is that they made the observation. The NLL lacks what depends on `n` and `M` only.
    """
    n = known.sum(axis=0)
    found = start
    for _ in range(_PASSES):
        exponent = -0.5 * (log_var + squared / found)
        top = exponent.max(axis=0)
        weight = np.exp(exponent - top)
        total = weight.sum(axis=0)
        error = ((weight * squared).sum(axis=0) / total).sum(axis=0)
        before, found = found, (error + PRIOR_VALUES) / (n + PRIOR_VALUES)
        if np.all(np.abs(np.log(found / before)) < _TOLERANCE):
            break
    density = np.where(known, top + np.log(total) - 0.5 * np.log(before), 0.0)
    return found, np.asarray(-density.sum(axis=0))


def _surprise(common: Floats) -> Floats:
    """Minus the logarithm of the prior at factors, over that at its mode."""
    return np.asarray(0.5 * PRIOR_VALUES * (np.log(common) + 1 / common - 1))


def calibrated(members: Sequence[Tensors], found: Floats | None) -> list[Tensors]:
    """States of members that predict with factors `(M, K)`; as they are if there are none."""
    if found is None:
        return list(members)
    return [{**one, FACTORS: own} for one, own in zip(members, found, strict=True)]


def uncalibrated(members: Sequence[Tensors], held_out: Sized) -> list[Tensors]:
    """States as they go on learning and are calibrated anew, if there are rows to do so.

    Without them, factors are those that the training began with.
    """
    if not len(held_out):
        return list(members)
    return [{k: v for k, v in one.items() if k != FACTORS} for one in members]


def factors_of(state: Mapping[str, NDArray[Any]]) -> Floats | None:
    """The factors `(K,)` that a member's state predicts with; None if it has none."""
    found = state.get(FACTORS)
    return None if found is None else np.asarray(found, np.float64)


def calibrated_alike(members: Sequence[Tensors], others: Sequence[Tensors]) -> list[Tensors]:
    """States of members with the factors that other states of the same members have."""
    found = [own for other in others if (own := factors_of(other)) is not None]
    return calibrated(members, np.stack(found) if found else None)


def scaled(prediction: Prediction, found: Floats | None) -> Prediction:
    """The prediction with its variances times the factors."""
    if found is None:
        return prediction
    mu, epistemic, noise = prediction
    return Prediction(mu, epistemic * found, noise * found)
