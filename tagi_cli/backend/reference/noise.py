"""Observation noise learnt in closed form, one variance per output (batch AGVI)."""

from __future__ import annotations

import numpy as np

from tagi_cli.backend.base import Array


def noise_statistics(
    sums: Array, mu: Array, var: Array, y: Array, mean: Array, B: int, K: int
) -> None:
    """Sums over the observed rows of each output: `sums (K, 3)` = count, `e`, `w`.

    For the error `V ~ N(0, mean)` of one observation with residual `r = y - mu`, `S = var + mean`:
    `E[V|y] = mean r / S`, `Var[V|y] = mean var / S`; `V^2` then has mean
    `e = E^2 + Var` and variance `w = 2 Var^2 + 4 Var E^2`.
    Shapes: `mu, var, y (B, K)`; `mean (K,)`. Sums are in double precision.
    """
    residual = (y - mu).astype(np.float64)
    known = np.isfinite(residual)
    total = var + mean
    known &= total > 0
    residual = np.where(known, residual, 0)
    gain = np.where(known, mean / total, 0)
    error = gain * residual
    spread = gain * var
    sums[:, 0] = known.sum(axis=0)
    sums[:, 1] = (error * error + spread).sum(axis=0)
    sums[:, 2] = (2 * spread * spread + 4 * spread * error * error).sum(axis=0)


def noise_step(mean: Array, variance: Array, sums: Array, minimum: float, K: int) -> None:
    """Posterior of the error variance of each output from `sums` of `noise_statistics`.

    The mean `T` of the `V^2` has prior variance `q + 2 (m^2 + q) / B` and covariance `q` with the
    variance sought, so `k = q / Var[T]`, `m += k (T - m)`, `q += k^2 (sum w / B^2 - Var[T])`.
    `k < 1` and `e >= 0` keep both positive; `minimum` is a floor of the mean.
    """
    count = sums[:, 0]
    seen = count > 0
    safe = np.where(seen, count, 1)
    m, q = mean.astype(np.float64), variance.astype(np.float64)
    spread = q + 2 * (m * m + q) / safe
    k = np.where(seen & (spread > 0), q / np.where(spread > 0, spread, 1), 0)
    m = np.maximum(m + k * (sums[:, 1] / safe - m), minimum)
    q = q + k * k * (sums[:, 2] / (safe * safe) - spread)
    np.copyto(mean, m, casting="same_kind")
    np.copyto(variance, q, casting="same_kind")
