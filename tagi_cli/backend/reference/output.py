"""Innovations of the outputs given observations."""

from __future__ import annotations

import numpy as np

from tagi_cli.backend.base import Array


def gaussian_update(
    d_mu: Array,
    d_var: Array,
    mu: Array,
    var: Array | None,
    y: Array,
    var_v: Array,
    n: int,
    period: int,
) -> None:
    """Condition `n` outputs on `y = output + V`, `V ~ N(0, var_v)`.

    `d_mu = (y - mu) / S`, `d_var = -1 / S`, `S = var + var_v`. `var_v` has `period` elements and
    repeats (one per output, or one per element). Where `y` is not finite or `S` is not positive
    nothing is learnt: both innovations are zero.
    """
    shape = (n // period, period)
    noise = var_v.reshape(1, period)
    total = noise + (0 if var is None else var.reshape(shape))
    error = y.reshape(shape) - mu.reshape(shape)
    known = np.isfinite(error) & (total > 0) & np.isfinite(total)
    gain = np.where(known, 1 / total, 0)
    np.negative(gain, out=d_var.reshape(shape), casting="same_kind")
    np.multiply(gain, np.where(known, error, 0), out=d_mu.reshape(shape), casting="same_kind")


def heteroscedastic_update(
    d_mu: Array, d_var: Array, mu: Array, var: Array, y: Array, n: int
) -> None:
    """Condition `n` pairs (prediction, error variance) on `y`: AGVI (Deka, Nguyen & Goulet 2024).

    The outputs are interleaved `(2 n,)`: even elements predict `y`, odd ones `W = E[V^2]`, the
    variance of the error `V`. With `S = var + mu_W`: `V | y` has mean `mu_W (y - mu) / S` and
    variance `mu_W var / S`; its square has mean `e` and variance `w`; the prior of `V^2` has
    variance `3 var_W + 2 mu_W^2` and covariance `var_W` with `W`. Innovations are with respect to
    the outputs themselves; the exponential behind `W` has its own backward.
    """
    m, v, w_mu, w_var = (
        part.reshape(n, 2)[:, k] for part, k in ((mu, 0), (var, 0), (mu, 1), (var, 1))
    )
    out_mu, out_var = d_mu.reshape(n, 2), d_var.reshape(n, 2)
    total = v + w_mu
    error = y.reshape(n) - m
    known = np.isfinite(error) & (total > 0) & np.isfinite(total)
    gain = np.where(known, 1 / total, 0)
    error = np.where(known, error, 0)
    out_mu[:, 0] = gain * error
    out_var[:, 0] = -gain
    with np.errstate(over="ignore"):
        prior_var = 3 * w_var + 2 * w_mu * w_mu
    usable = known & (prior_var > 0) & np.isfinite(prior_var)
    w_mu = np.where(usable, w_mu, 0)
    mean_v = w_mu * gain * error
    variance_v = w_mu * v * gain
    square = mean_v * mean_v + variance_v
    square_var = 2 * variance_v * variance_v + 4 * variance_v * mean_v * mean_v
    # d_mu_W = (posterior - prior mean) / var_W, and var_W cancels in k = var_W / prior_var.
    k = np.divide(1, prior_var, out=np.zeros_like(prior_var), where=usable)
    out_mu[:, 1] = k * (square - w_mu)
    out_var[:, 1] = k * (k * square_var - 1)  # k * k alone overflows for a tiny error variance


def indexed_update(
    d_mu: Array,
    d_var: Array,
    mu: Array,
    var: Array | None,
    y: Array,
    var_v: Array,
    index: Array,
    B: int,
    K: int,
    n_obs: int,
) -> None:
    """Condition the outputs named by `index (B, n_obs)`, from 1, on `y (B, n_obs)`.

    Outputs `(B, K)` that are not listed get zero innovations; `index` 0 means no observation.
    """
    d_mu.fill(0)
    d_var.fill(0)
    column = index.reshape(B, n_obs) - 1
    row = np.broadcast_to(np.arange(B)[:, None], column.shape)
    listed = column >= 0
    column = np.where(listed, column, 0)
    total = var_v.reshape(B, n_obs) + (0 if var is None else var.reshape(B, K)[row, column])
    error = y.reshape(B, n_obs) - mu.reshape(B, K)[row, column]
    known = listed & np.isfinite(error) & (total > 0) & np.isfinite(total)
    gain = np.where(known, 1 / total, 0)
    d_mu.reshape(B, K)[row[known], column[known]] = (gain * error)[known]
    d_var.reshape(B, K)[row[known], column[known]] = -gain[known]


def find_negative(flag: Array, var: Array, n: int) -> None:
    """Set `flag (1,)` to 1 where one of `n` variances is negative; else it stays as it is."""
    if n and (var < 0).any():
        flag[0] = 1
