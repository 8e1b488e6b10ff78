"""Predictions in original units, and the table of them that a run leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagi_cli import atomic
from tagi_cli.experiment.places import Places, cell
from tagi_cli.training import mixture

Floats = NDArray[np.float64]

COLUMNS = ("component", "y", "mu", "sd_epistemic", "sd_noise", "sd", "lo_90", "hi_90")
"""Columns of predictions/<split>.csv behind those of the place, and `step` where there are series.

The time is that of the row predicted, `step` rows after the prediction point.

The interval is the central 90 % one of the mixture.
"""

_VALUES_PER_WRITE = 65_536


@dataclass(frozen=True)
class Predictions:
    """Predictive laws of n examples and K outputs: for each, the equal mixture of M Gaussians.

    The outputs of a window are those of all its steps, step by step.

    Attributes:
        names: the components; `K = len(steps) * len(names)`.
        places: of the n examples.
        y: (n, K) observed values, NaN where missing; None for examples without targets.
        mu: (M, n, K) means of the members.
        var_epistemic: (M, n, K) variance that stems from what is not known of the parameters.
        var_noise: (M, n, K) variance of the observation noise.
        steps: how many rows each predicted row lies behind the prediction point.
        lengths: (n,) how many of the steps there are, where examples differ; None where all are.
    """

    names: tuple[str, ...]
    places: Places
    y: Floats | None
    mu: Floats
    var_epistemic: Floats
    var_noise: Floats
    steps: tuple[int, ...] = (0,)
    lengths: NDArray[np.int64] | None = None

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

    def without_targets(self) -> Predictions:
        """The same without observed values."""
        return replace(self, y=None)

    def take(self, index: slice | NDArray[np.int64]) -> Predictions:
        """The same for some of the examples."""
        return Predictions(
            self.names,
            self.places.take(index),
            None if self.y is None else self.y[index],
            self.mu[:, index],
            self.var_epistemic[:, index],
            self.var_noise[:, index],
            self.steps,
            None if self.lengths is None else self.lengths[index],
        )

    @cached_property
    def by_component(self) -> Predictions:
        """The same with each step that there is as an example of its own."""
        if len(self.steps) == 1:
            return self
        T, K = len(self.steps), len(self.names)
        example = np.repeat(np.arange(len(self.places)), T)
        there = None if self.lengths is None else self._there.ravel()
        if there is not None:
            example = example[there]

        def apart(values: Floats) -> Floats:
            # Of images there is no memory for copies.
            each = values.reshape(*values.shape[:-2], -1, K)
            return each if there is None else each[..., there, :]

        return Predictions(
            self.names,
            self.places.take(example),
            None if self.y is None else apart(self.y),
            apart(self.mu),
            apart(self.var_epistemic),
            apart(self.var_noise),
        )

    @property
    def _there(self) -> NDArray[np.bool_]:
        """(n, T) which steps there are."""
        shape = len(self.places), len(self.steps)
        if self.lengths is None:
            return np.ones(shape, bool)
        return np.arange(shape[1]) < self.lengths[:, None]


def write_csv(path: Path, predictions: Predictions) -> None:
    """Write the long table: one line per example, step and component; a missing y is left empty.

    Deviations have seven digits; the others so many that an offset of a billion deviations does no
    harm. Examples without targets (`predictions.y is None`) have no column y.

    Raises:
        UserError: the file cannot be written.
    """
    block = max(1, _VALUES_PER_WRITE // max(predictions.mu.shape[-1], 1))
    write_table(
        path,
        columns(predictions),
        len(predictions.places),
        block,
        lambda rows: lines(predictions.take(rows)),
    )


def columns(predictions: Predictions) -> list[str]:
    """The header of the long table."""
    series = predictions.places.index is not None
    found = [*predictions.places.columns, *(["step"] if series else []), *COLUMNS]
    if predictions.y is None:
        found.remove("y")
    return found


def write_table(
    path: Path, columns: Iterable[str], n: int, block: int, lines: Callable[[slice], str]
) -> None:
    """Write a CSV file block by block, beside its place.

    Args:
        path: the file.
        columns: its header.
        n: number of examples.
        block: of which so many are written at once.
        lines: the text of some of them.

    Raises:
        UserError: the file cannot be written.
    """
    with atomic.replacing(path) as file:
        file.write((",".join(map(cell, columns)) + "\n").encode())
        for begin in range(0, n, block):
            file.write(lines(slice(begin, begin + block)).encode())


def lines(part: Predictions) -> str:
    """The lines of the long table, without its header."""
    series, there = part.places.index is not None, part._there
    steps, labels = part.steps, [cell(name) for name in part.names]
    # What stands before the numbers of a line; of a step that is not there, nothing.
    cells = [part.places.cells(step) for step in steps]
    heads = [
        f"{own[i]},{f'{step},' if series else ''}{label},"
        for i, shown in enumerate(there.tolist())
        for own, step, real in zip(cells, steps, shown, strict=True)
        if real
        for label in labels
    ]
    observed = [] if part.y is None else [part.y]
    numbers = [part.mean, part.sd_epistemic, part.sd_noise, part.sd]
    fields = [*observed, *numbers, part.quantile(0.05), part.quantile(0.95)]
    kept = np.repeat(there, len(labels), axis=1)
    values: list[float | str] = np.stack(fields, axis=-1)[kept].ravel().tolist()
    if observed:
        column = slice(0, None, len(fields))
        values[column] = ["" if v != v else repr(v) for v in values[column]]
    line = ("%s," if observed else "") + "%.15g,%.7g,%.7g,%.7g,%.15g,%.15g\n"
    width = len(fields)
    return "".join(
        head + line % tuple(values[i * width : (i + 1) * width]) for i, head in enumerate(heads)
    )
