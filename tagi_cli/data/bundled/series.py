"""Generated series: what forecasts and windows are tried on."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tagi_cli.data.table import Table


def wave_table(rows: int = 900, seed: int = 0) -> Table:
    """One series, a sine between 0 and 10 with a period of 365 rows, without noise."""
    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    t = np.arange(rows)
    value = 5 + 5 * np.sin(2 * np.pi * t / 365 + phase)
    return Table.from_columns({"t": t, "value": value}, "wave")


def quarterly_table(series: int = 60, seed: int = 0) -> Table:
    """Series of 30 to 130 quarters: level, slope, season and noise, all of random size."""
    rng = np.random.default_rng(seed)
    values, names, times = [], [], []
    for number in range(series):
        n = int(rng.integers(30, 131))
        t = np.arange(n)
        slope, jitter = rng.normal(0, 0.004), rng.uniform(0.002, 0.03)
        season = rng.normal(0, rng.uniform(0, 0.15), 4)
        trend = slope * t + np.cumsum(rng.normal(0, jitter, n))
        noise = rng.normal(0, 0.02, n)
        values.append(10 ** rng.uniform(1, 4) * np.exp(trend + season[t % 4] + noise))
        names += [f"Q{number + 1}"] * n
        quarters = np.datetime64("1990-01", "M") + 3 * t
        times += np.datetime_as_string(quarters.astype("datetime64[D]")).tolist()
    columns: dict[str, ArrayLike] = {
        "series": names,
        "time": times,
        "value": np.concatenate(values).round(4),
    }
    return Table.from_columns(columns, "quarterly")


def hourly_table(series: int = 24, rows: int = 600, seed: int = 0) -> Table:
    """Series of hours with a daily and a weekly pattern, a wandering level and noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(rows)
    values = []
    for _ in range(series):
        day = np.sin(2 * np.pi * (t / 24 + rng.uniform())) + 0.4 * np.sin(
            4 * np.pi * (t / 24 + rng.uniform())
        )
        week = 1 + rng.uniform(0, 0.5) * ((t // 24 + rng.integers(7)) % 7 < 2)
        level = np.cumsum(rng.normal(0, 0.02, rows))
        x = 5 + level + rng.uniform(0.3, 1.5) * day * week + rng.normal(0, 0.1, rows)
        values.append(10 ** rng.uniform(0, 4) * x)
    columns: dict[str, ArrayLike] = {
        "series": np.repeat([f"H{number + 1}" for number in range(series)], rows),
        "t": np.tile(t, series),
        "value": np.concatenate(values).round(4),
    }
    return Table.from_columns(columns, "hourly")


def sensor_table(instances: int = 20, rows: int = 60, seed: int = 0) -> Table:
    """Four signals of several instances, and one that follows from their last and next steps."""
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.normal(0, 0.5, (instances, rows, 4)), axis=1)
    x -= x.mean(axis=1, keepdims=True)
    before, after = np.roll(x, 3, axis=1), np.roll(x, -2, axis=1)
    y = np.tanh(before[..., 0]) + 0.5 * after[..., 1] - 0.3 * x[..., 2] * np.sign(x[..., 3])
    y += rng.normal(0, 0.1, y.shape)
    columns: dict[str, ArrayLike] = {
        "instance": np.repeat([f"I{number + 1}" for number in range(instances)], rows),
        "time": np.tile(np.arange(rows), instances),
    }
    columns |= {f"x{k + 1}": x[..., k].ravel() for k in range(4)}
    return Table.from_columns(columns | {"y1": y.ravel()}, "sensors")
