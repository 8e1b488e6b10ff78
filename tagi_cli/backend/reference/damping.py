"""Innovations of the outputs where the rows of a batch may tell the same thing several times."""

from __future__ import annotations

import numpy as np

from tagi_cli.backend.base import Array


def damped_update(
    d_mu: Array,
    d_var: Array,
    mu: Array,
    var: Array | None,
    y: Array,
    var_v: Array,
    share: Array,
    others: float,
    B: int,
    K: int,
) -> None:
    """Condition on `y (B, K)`, with `share (K,)` of `others` rows counted as redundant.

    `d_mu = (y - mu) / S`, `d_var = -1 / S`, `S = var_v + var (1 + share others)`. Rows that are all
    alike then move a sum of parameters by the mean residual at most. What is not finite teaches
    nothing.
    """
    spread = np.zeros_like(mu) if var is None else var
    total = var_v + spread * (1 + share * others)
    error = y - mu
    known = np.isfinite(error) & (total > 0) & np.isfinite(total)
    gain = np.divide(1, total, out=np.zeros_like(total), where=known)
    d_mu[...] = np.where(known, gain * np.where(known, error, 0), 0)
    d_var[...] = -gain


def damping_share(
    share: Array,
    var: Array | None,
    y: Array,
    var_v: Array,
    low: float,
    high: float,
    B: int,
    K: int,
) -> None:
    """The share of rows that count as redundant, from the mean of `var / (var + var_v)`.

    It grows from 0 at `low` to 1 at `high`, per output; an output without observations keeps its.
    """
    spread = np.zeros(y.shape) if var is None else var.astype(np.float64)
    total = spread + var_v
    known = np.isfinite(y) & (total > 0)
    ratio = np.divide(spread, total, out=np.zeros(y.shape), where=known).sum(axis=0)
    count = known.sum(axis=0)
    seen = count > 0
    share[seen] = np.clip((ratio[seen] / count[seen] - low) / (high - low), 0, 1)
