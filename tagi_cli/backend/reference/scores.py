"""Running scores of predictions made before they are learnt from (prequential).

`scores (K, 3)` holds, per output, the count of observed values and the sums of the negative
log-likelihood and of the squared error, in double precision.
"""

from __future__ import annotations

import numpy as np

from tagi_cli.backend.base import Array


def _add(scores: Array, mu: Array, total: Array, y: Array) -> None:
    error = (y - mu).astype(np.float64)
    known = np.isfinite(error)
    square = np.where(known, error * error, 0)
    total = np.where(known, total, 1).astype(np.float64)
    nll = 0.5 * (np.log(2 * np.pi * total) + square / total)
    scores[:, 0] += known.sum(axis=0)
    scores[:, 1] += np.where(known, nll, 0).sum(axis=0)
    scores[:, 2] += square.sum(axis=0)


def gaussian_score(
    scores: Array, mu: Array, var: Array, y: Array, var_v: Array, B: int, K: int
) -> None:
    """Add the scores of `y (B, K)` under `N(mu, var + var_v)`, `var_v (K,)`."""
    _add(scores, mu, var + var_v, y)


def heteroscedastic_score(scores: Array, mu: Array, var: Array, y: Array, B: int, K: int) -> None:
    """`gaussian_score` for outputs `(B, 2 K)`, interleaved predictions and error variances."""
    pair_mu, pair_var = mu.reshape(B, K, 2), var.reshape(B, K, 2)
    _add(scores, pair_mu[..., 0], pair_var[..., 0] + pair_mu[..., 1], y)
