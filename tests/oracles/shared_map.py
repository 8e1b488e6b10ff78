"""Subjects whose latents go through one map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

D_IN, D_OUT, NOISE = 40, 10, 0.6


class Subject(NamedTuple):
    """Rows to learn, and 2000 others."""

    x: np.ndarray
    y: np.ndarray
    x_new: np.ndarray
    y_new: np.ndarray


def draw_subjects(seed: int, rows: Sequence[int]) -> list[Subject]:
    """A nonlinear map of two latents to two, seen through modes of each subject's own."""
    rng = np.random.default_rng(seed)
    first, bias, last = rng.normal(size=(2, 30)), rng.normal(size=30), rng.normal(size=(30, 2))

    def plain(z: np.ndarray) -> np.ndarray:
        return np.maximum(z @ first + bias, 0) @ last

    sample = plain(rng.normal(size=(20_000, 2)))
    found = []
    for n in rows:
        p = np.linalg.qr(rng.normal(size=(D_IN, 2)))[0]
        u = np.linalg.qr(rng.normal(size=(D_OUT, 2)))[0] * np.sqrt(D_OUT / 2)
        x = rng.normal(size=(n + 2000, D_IN))
        y = (plain(x @ p) - sample.mean(axis=0)) / sample.std(axis=0) @ u.T
        y += NOISE * rng.normal(size=y.shape)
        found.append(Subject(x[:n], y[:n], x[n:], y[n:]))
    return found
