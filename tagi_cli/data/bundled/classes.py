"""Generated tables with labels: what classification is tried on."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tagi_cli.data.table import Table

SHAPES = ("saw", "sine", "square")


def moons_table(rows: int = 600, noise: float = 0.25, seed: int = 0) -> Table:
    """Two half circles that reach into each other, with Gaussian noise on both coordinates."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, np.pi, rows)
    lower = rng.random(rows) < 0.5
    x = np.where(lower, 1 - np.cos(angle), np.cos(angle))
    y = np.where(lower, 0.5 - np.sin(angle), np.sin(angle))
    x, y = (values + noise * rng.standard_normal(rows) for values in (x, y))
    columns: dict[str, ArrayLike] = {
        "x": x.round(4),
        "y": y.round(4),
        "moon": np.where(lower, "lower", "upper"),
    }
    return Table.from_columns(columns, "moons")


def shapes_table(series: int = 60, rows: int = 80, noise: float = 0.3, seed: int = 0) -> Table:
    """Series that repeat one of three shapes, each at its own pace, with Gaussian noise."""
    rng = np.random.default_rng(seed)
    values = []
    for number in range(series):
        place = (rng.uniform(0.03, 0.08) * np.arange(rows) + rng.uniform()) % 1
        wave = np.sin(2 * np.pi * place)
        shape = SHAPES[number % len(SHAPES)]
        signal = {"saw": 2 * place - 1, "sine": wave, "square": np.sign(wave)}[shape]
        values.append(signal + noise * rng.standard_normal(rows))
    names = np.array(SHAPES)[np.arange(series) % len(SHAPES)]
    columns: dict[str, ArrayLike] = {
        "series": np.repeat([f"s{number + 1}" for number in range(series)], rows),
        "t": np.tile(np.arange(rows), series),
        "value": np.concatenate(values).round(4),
        "shape": np.repeat(names, rows),
    }
    return Table.from_columns(columns, "shapes")
