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

    Deviations have seven digits; the others so many that an offset of a billion deviations does no
    harm. Rows without targets (`predictions.y is None`) have no column y.

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
    row = np.broadcast_to(part.rows[:, None], (n, K)).astype(np.float64)
    observed = [] if part.y is None else [part.y]
    places = [part.mean, part.sd_epistemic, part.sd_noise, part.sd]
    fields = [row, *observed, *places, part.quantile(0.05), part.quantile(0.95)]
    values: list[float | str] = np.stack(fields, axis=-1).ravel().tolist()
    if observed:
        column = slice(1, None, len(fields))
        values[column] = ["" if v != v else repr(v) for v in values[column]]
    y = "%s," if observed else ""
    body = "".join(
        f"%d,{label.replace('%', '%%')},{y}%.15g,%.7g,%.7g,%.7g,%.15g,%.15g\n" for label in labels
    )
    text: str = (body * n) % tuple(values)
    return text


def _quoted(name: str) -> str:
    """A name as one CSV cell."""
    if any(mark in name for mark in ',"\r\n'):
        doubled = name.replace('"', '""')
        return f'"{doubled}"'
    return name
