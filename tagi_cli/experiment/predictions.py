"""Predictions in original units, and the table of them that a run leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagi_cli import atomic
from tagi_cli.training import mixture

Floats = NDArray[np.float64]

COLUMNS = ("row", "component", "y", "mu", "sd_epistemic", "sd_noise", "sd", "lo_90", "hi_90")
"""Columns of predictions/<split>.csv. The interval is the central 90 % one of the mixture."""

_ROWS_PER_WRITE = 65_536


@dataclass(frozen=True)
class Predictions:
    """Predictive laws of n rows and K outputs: for each, the equal mixture of M Gaussians.

    Attributes:
        names: the K outputs.
        rows: (n,) row numbers in the source, from 0.
        y: (n, K) observed values, NaN where missing; None for rows without targets.
        mu: (M, n, K) means of the members.
        var_epistemic: (M, n, K) variance that stems from what is not known of the parameters.
        var_noise: (M, n, K) variance of the observation noise.
    """

    names: tuple[str, ...]
    rows: NDArray[np.int64]
    y: Floats | None
    mu: Floats
    var_epistemic: Floats
    var_noise: Floats

    @cached_property
    def var(self) -> Floats:
        """(M, n, K) predictive variance of each member."""
        return self.var_epistemic + self.var_noise

    @cached_property
    def mean(self) -> Floats:
        """(n, K) mean of the mixture."""
        return mixture.mean(self.mu)

    @cached_property
    def sd_epistemic(self) -> Floats:
        """(n, K) epistemic standard deviation; disagreement between the members is epistemic."""
        return np.asarray(np.sqrt(np.mean(self.var_epistemic, axis=0) + np.var(self.mu, axis=0)))

    @cached_property
    def sd_noise(self) -> Floats:
        """(n, K) standard deviation of the observation noise."""
        return np.asarray(np.sqrt(np.mean(self.var_noise, axis=0)))

    @cached_property
    def sd(self) -> Floats:
        """(n, K) standard deviation of the mixture."""
        return np.hypot(self.sd_epistemic, self.sd_noise)

    @cached_property
    def pit(self) -> Floats:
        """(n, K) probability integral transform F(y) of the observed values; NaN where missing.

        Raises:
            ValueError: there are no observed values.
        """
        if self.y is None:
            raise ValueError("the probability integral transform needs observed values")
        return mixture.cdf(self.y, self.mu, self.var)

    def quantile(self, probability: float) -> Floats:
        """(n, K) quantile of the mixture."""
        return mixture.quantile(probability, self.mu, self.var)

    def take(self, index: slice | NDArray[np.int64]) -> Predictions:
        """The same for a part of the rows."""
        return Predictions(
            self.names,
            self.rows[index],
            None if self.y is None else self.y[index],
            self.mu[:, index],
            self.var_epistemic[:, index],
            self.var_noise[:, index],
        )


def write_csv(path: Path, predictions: Predictions) -> None:
    """Write the long table `COLUMNS`: one line per row and output; a missing y is left empty.

    Rows without targets (`predictions.y is None`) have no column y.

    Raises:
        UserError: the file cannot be written.
    """
    labels = [_quoted(name) for name in predictions.names]
    columns = [name for name in COLUMNS if name != "y" or predictions.y is not None]
    with atomic.replacing(path) as file:
        file.write((",".join(columns) + "\n").encode())
        for begin in range(0, len(predictions.rows), _ROWS_PER_WRITE):
            part = predictions.take(slice(begin, begin + _ROWS_PER_WRITE))
            file.write(_lines(part, labels).encode())


def _lines(part: Predictions, labels: list[str]) -> str:
    n, K = part.mean.shape
    # Places are rounded on a grid fine enough for the spread of their output: seven digits below
    # the largest sd. So a value that was written as 15.13 does not come back as 15.1300001.
    decimals = [int(np.clip(6 - np.floor(np.log10(s)), 0, 30)) for s in _largest_sd(part)]
    places = [part.mean, part.quantile(0.05), part.quantile(0.95)]
    if part.y is not None:
        places.append(part.y)
    mu, lo, hi, *y = (
        np.column_stack([np.round(a[:, k], decimals[k]) for k in range(K)]) for a in places
    )
    row = np.broadcast_to(part.rows[:, None], (n, K)).astype(np.float64)
    fields = [row, *y, mu, part.sd_epistemic, part.sd_noise, part.sd, lo, hi]
    values: list[float | str] = np.stack(fields, axis=-1).ravel().tolist()
    observed = ""
    if y:
        column = slice(1, None, len(fields))
        values[column] = ["" if v != v else f"{v:.12g}" for v in values[column]]
        observed = "%s,"
    body = "".join(
        f"%d,{label.replace('%', '%%')},{observed}%.12g,%.7g,%.7g,%.7g,%.12g,%.12g\n"
        for label in labels
    )
    text: str = (body * n) % tuple(values)
    return text


def _largest_sd(part: Predictions) -> Floats:
    largest = np.max(part.sd, axis=0, initial=0.0)
    return np.asarray(np.where(np.isfinite(largest) & (largest > 0), largest, 1.0))


def _quoted(name: str) -> str:
    """A name as one CSV cell."""
    if any(mark in name for mark in ',"\r\n'):
        doubled = name.replace('"', '""')
        return f'"{doubled}"'
    return name
