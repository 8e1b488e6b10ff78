"""A deterministic LSTM, written out, as the limit of the Gaussian one."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit

Host = np.ndarray[Any, Any]


def cell(u: Host, c: Host, w: Host, b: Host) -> tuple[Host, Host]:
    """One step: `u (..., I + H)` is input and h before, `c (..., H)` the cell state before.

    `w (..., 4 H, I + H)` and `b (..., 4 H)` hold the gates f, i, c, o; returns h and c.
    """
    z = np.einsum("...gk,...k->...g", w, u) + b
    f, i, g, o = np.split(z, 4, axis=-1)
    c = expit(f) * c + expit(i) * np.tanh(g)
    return expit(o) * np.tanh(c), c


def window(x: Host, w: Host, b: Host, *, reverse: bool = False) -> Host:
    """Hidden states `(B, T, H)` of a window `(B, T, I)`, from zeros."""
    B, T, _ = x.shape
    h = c = np.zeros((B, len(b) // 4))
    out = np.zeros((B, T, len(b) // 4))
    for t in reversed(range(T)) if reverse else range(T):
        h, c = cell(np.concatenate([x[:, t], h], axis=1), c, w, b)
        out[:, t] = h
    return out
