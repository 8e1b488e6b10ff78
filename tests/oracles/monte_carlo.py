"""Sampling oracle: moments of a function of Gaussians, with their standard errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Host = np.ndarray[Any, Any]


def moments_of(samples: Host) -> tuple[Host, Host, Host, Host]:
    """Mean and variance along axis 0, each followed by its standard error."""
    n = len(samples)
    mean = samples.mean(axis=0)
    squares = (samples - mean) ** 2
    var = squares.mean(axis=0)
    return mean, samples.std(axis=0) / np.sqrt(n), var, squares.std(axis=0) / np.sqrt(n)


def assert_moments(samples: Host, mu: Host, var: Host, tiny: float = 1e-12) -> None:
    """Assert that sampled mean and variance agree with `mu, var` within 6 standard errors."""
    mean, mean_error, sampled, var_error = moments_of(samples)
    assert (np.abs(mean - mu) <= 6 * mean_error + tiny).all(), (mean, mu, mean_error)
    assert (np.abs(sampled - var) <= 6 * var_error + tiny).all(), (sampled, var, var_error)


def assert_covariance(a: Host, b: Host, cov: Host, tiny: float = 1e-12) -> None:
    """Assert that the sampled covariance along axis 0 is `cov` within 6 standard errors."""
    products = (a - a.mean(axis=0)) * (b - b.mean(axis=0))
    error = products.std(axis=0) / np.sqrt(len(products))
    assert (np.abs(products.mean(axis=0) - cov) <= 6 * error + tiny).all()


def assert_activation(
    function: Callable[[Host], Host], m: float, v: float, mu: float, var: float, jac: float
) -> None:
    """Assert mean, variance and `J = cov(a, z) / var z` of `function(N(m, v))`."""
    z = m + np.sqrt(v) * np.random.default_rng(0).standard_normal(200_000)
    a = function(z)
    tiny = 1e-9 * max(1.0, abs(m))
    assert_moments(a, np.float64(mu), np.float64(var), tiny)
    assert_covariance(a, z, np.float64(jac * v), tiny * np.sqrt(v))
