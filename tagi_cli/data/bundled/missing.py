"""A generated series of which much is missing: what smoothing is tried on."""

from __future__ import annotations

import numpy as np

from tagi_cli.data.table import Table

LEADING, GAP = 48, (150, 174)
"""Rows missing at the beginning, and first and behind last row of a gap."""


def sine_missing_table(rows: int = 240, noise: float = 0.05, seed: int = 0) -> Table:
    """Hours of `sin = -sin(2 pi t / 24) + noise * e`, `e` standard normal, with missing values."""
    t = np.arange(rows)
    values = -np.sin(2 * np.pi * t / 24)
    values += noise * np.random.default_rng(seed).standard_normal(rows)
    values[:LEADING] = np.nan
    values[slice(*GAP)] = np.nan
    times = np.datetime_as_string(np.datetime64("2024-01-01T00") + t, "s")
    return Table.from_columns({"date_time": times, "sin": values.round(4)}, "sine_missing")
