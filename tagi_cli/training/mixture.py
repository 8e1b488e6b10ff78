"""Equal mixtures of M Gaussians: the predictive law of an ensemble.

Everywhere `mu, var (M, ...)` are the members' means and variances, and results have the shape
`(...)`. A member without variance is a point mass.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]

_STEPS = 200
_TOLERANCE = 1e-11


def mean(mu: Floats) -> Floats:
    """Mean of the mixture."""
    return np.asarray(np.mean(mu, axis=0))


def variance(mu: Floats, var: Floats) -> Floats:
    """Variance of the mixture: mean of the variances plus variance of the means."""
    return np.asarray(np.mean(var, axis=0) + np.var(mu, axis=0))


def log_density(y: Floats, mu: Floats, var: Floats) -> Floats:
    """Logarithm of the density at `y`."""
    total: Any = -math.inf
    for mu_m, var_m in zip(mu, var, strict=True):
        sd = np.sqrt(var_m)
        z = _standardised(y - mu_m, sd)
        with np.errstate(divide="ignore", over="ignore"):
            log_sd = np.where(np.isinf(z), 0.0, np.log(sd))
            total = np.logaddexp(total, -0.5 * z**2 - log_sd)
    return np.asarray(total - 0.5 * math.log(2 * math.pi) - math.log(len(mu)))


def cdf(y: Floats, mu: Floats, var: Floats) -> Floats:
    """Distribution function at `y`; a point mass counts half at its own place."""
    total: Any = 0.0
    for mu_m, var_m in zip(mu, var, strict=True):
        total = total + ndtr(_standardised(y - mu_m, np.sqrt(var_m)))
    return np.asarray(total / len(mu))


def crps(y: Floats, mu: Floats, var: Floats) -> Floats:
    """Continuous ranked probability score at `y`, in the units of `y`; smaller is better.

    `E|X - y| - E|X - X'| / 2`, where the difference of two Gaussians is Gaussian again: Grimit,
    Gneiting, Berrocal & Johnson (2006), Q. J. R. Meteorol. Soc. 132, 2925-2942, equation 5.
    """
    M = len(mu)
    total: Any = 0.0
    for i in range(M):
        total = total + _expected_distance(y - mu[i], var[i]) / M
        total = total - _expected_distance(np.zeros_like(mu[i]), 2 * var[i]) / (2 * M**2)
        for j in range(i):
            total = total - _expected_distance(mu[i] - mu[j], var[i] + var[j]) / M**2
    return np.asarray(total)


def quantile(probability: float, mu: Floats, var: Floats) -> Floats:
    """The value below which the mixture has the given probability, in (0, 1).

    The members' quantiles enclose it. Newton's method, started at the quantile of the Gaussian
    with the mixture's moments; a step that leaves the enclosure, or that follows one which did not
    halve the error, is replaced by bisection, so that every element converges.
    """
    ends = mu + ndtri(probability) * np.sqrt(var)
    if len(mu) == 1:
        return np.asarray(ends[0])
    shape = ends.shape[1:]
    low, high = ends.min(axis=0).ravel(), ends.max(axis=0).ravel()
    sd_all = np.sqrt(variance(mu, var)).ravel()
    x = np.clip(mean(mu).ravel() + ndtri(probability) * sd_all, low, high)
    tolerance = _TOLERANCE * sd_all + 4 * np.finfo(np.float64).eps * np.abs(x)
    result = x.copy()
    active = np.flatnonzero(high - low > tolerance)
    centres = mu.reshape(len(mu), -1)[:, active]
    sds = np.sqrt(var).reshape(len(mu), -1)[:, active]
    low, high, x, tolerance = low[active], high[active], x[active], tolerance[active]
    previous = np.full(len(active), np.inf)
    for _ in range(_STEPS):
        z = _standardised(x - centres, sds)
        error = ndtr(z).mean(axis=0) - probability
        with np.errstate(all="ignore"):
            density = (np.exp(-0.5 * z**2) / sds).mean(axis=0) / math.sqrt(2 * math.pi)
            step = np.where(np.isfinite(density), error / density, np.nan)
        low, high = np.where(error <= 0, x, low), np.where(error >= 0, x, high)
        middle, newton = 0.5 * (low + high), x - step
        close = np.abs(step) <= tolerance
        trusted = (low < newton) & (newton < high) & (np.abs(error) <= 0.5 * previous)
        x = np.where(close | trusted, newton, middle)
        result[active] = x
        found = close | (high - low <= tolerance)
        if found.all():
            break
        left = ~found
        x, previous, tolerance = x[left], np.abs(error)[left], tolerance[left]
        low, high, active = low[left], high[left], active[left]
        centres, sds = centres[:, left], sds[:, left]
    return result.reshape(shape)


def _standardised(difference: Floats, sd: Floats) -> Floats:
    """`difference / sd`, with 0 / 0 = 0: the place of a point mass itself."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where((sd == 0) & (difference == 0), 0.0, difference / sd)


def _expected_distance(mu: Floats, var: Floats) -> Floats:
    """`E|X|` of a Gaussian X."""
    sd = np.sqrt(var)
    z = _standardised(mu, sd)
    with np.errstate(over="ignore"):
        density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    return np.asarray(2 * sd * density + mu * (2 * ndtr(z) - 1))
