"""A metric: the interval score, which rewards intervals that are narrow and still hold."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtri


def interval_score_90(y: Any, mu: Any, var: Any) -> float:
    """Mean score of central 90 % intervals of the Gaussian with the mixture's moments.

    Winkler (1972), J. Am. Stat. Assoc. 67, 187-191: the width, and `2 / 0.1` for each unit by which
    an observation lies outside. `y (n, K)`, NaN where missing; `mu`, `var (M, n, K)` of M members.
    """
    mean = mu.mean(axis=0)
    sd = np.sqrt(var.mean(axis=0) + mu.var(axis=0))
    low, high = mean - ndtri(0.95) * sd, mean + ndtri(0.95) * sd
    outside = np.maximum(low - y, 0) + np.maximum(y - high, 0)
    return float(np.nanmean(high - low + 2 / 0.1 * outside))
