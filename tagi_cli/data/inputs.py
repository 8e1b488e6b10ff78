"""Columns as inputs of the network: numbers, categories, and parts of the date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.scaling import Moments, fit, moments
from tagi_cli.data.series_scaling import SeriesScaler
from tagi_cli.data.table import Table, TextColumn
from tagi_cli.data.times import phase
from tagi_cli.errors import UserError, listing, nearest

LARGEST = 1e15
"""A scaled value beyond this is none: its square, summed over a layer, would overflow float32."""

Floats = NDArray[np.floating[Any]]
Rows = NDArray[np.int64]
Scale = float | NDArray[np.float64]


@dataclass(frozen=True)
class NumberInput:
    """A numeric column: one feature `(value - center) / scale`; `fill` stands for a missing one."""

    name: str
    center: float
    scale: float
    fill: float | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features it makes."""
        return (self.name,)

    def encode(
        self, table: Table, rows: Rows | slice, out: Floats, scaler: SeriesScaler | None = None
    ) -> int:
        """Write the feature of these rows to `out (rows, 1)`; gives the number of values filled.

        `scaler` stands for centre, scale and fill where rows have their own.

        Raises:
            UserError: text, a missing value without `fill`, or a value out of range.
        """
        values = table.numbers(self.name)[rows]
        missing = np.isnan(values)
        count = int(missing.sum())
        center: Scale = self.center
        scale: Scale = self.scale
        fill: Scale | None = self.fill
        if scaler is not None:
            center, scale = scaler.center, scaler.scale
            fill = None if fill is None else scaler.fill
        if count:
            if fill is None:
                raise _not_filled(table, self.name, np.arange(len(table))[rows][missing])
            values = np.where(missing, fill, values)
        out[:, 0] = scaled(table, rows, self.name, values, center, scale)
        return count


@dataclass(frozen=True)
class CategoryInput:
    """A categorical column: a feature 0 or 1 per category, in sorted order.

    The indicators are not scaled: under equal prior variances every category, rare or not, then
    carries the same prior uncertainty. `fill` holds the frequencies of the categories in the
    training part; they stand for a missing value.
    """

    name: str
    categories: tuple[str, ...]
    fill: tuple[float, ...] | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features it makes."""
        return tuple(f"{self.name}={category}" for category in self.categories)

    def encode(self, table: Table, rows: Rows | slice, out: Floats) -> int:
        """Write the features of these rows to `out (rows, categories)`; gives the number filled.

        Raises:
            UserError: a category that the table of the training does not hold, or a missing
                value without `fill`.
        """
        column = table.categories(self.name)
        place = {category: i for i, category in enumerate(self.categories)}
        index = np.array([*(place.get(text, -2) for text in column.labels), -1])
        codes = index[column.codes[rows]]
        if (codes == -2).any():
            row = _first(table, rows, codes == -2)
            text = column.labels[column.codes[row]]
            count = int((codes == -2).sum())
            others = f" ({count - 1} more row{'s' * (count > 2)} likewise)" if count > 1 else ""
            way_out = " Leave the cell empty where it is not known." if self.fill else ""
            raise UserError(
                f"{table.where(row, self.name)}: category '{text}' is in no training row{others}."
                f"{nearest(text, self.categories)} Known: {listing(self.categories)}.{way_out}"
            )
        missing = codes == -1
        count = int(missing.sum())
        if count and self.fill is None:
            raise _not_filled(table, self.name, np.arange(len(table))[rows][missing])
        out[:] = codes[:, None] == np.arange(len(self.categories))
        if count:
            out[missing] = self.fill
        return count


@dataclass(frozen=True)
class TimeInput:
    """A part of the date of the column `time`, such as `hour_of_day`, as sine and cosine."""

    name: str
    time: str

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features it makes."""
        return (f"{self.name}_sin", f"{self.name}_cos")

    def encode(self, moments: NDArray[np.int64], out: Floats) -> None:
        """Write the features of these times, as `times.times` gives them, to `out (rows, 2)`."""
        angle = 2 * np.pi * phase(self.name, moments)
        out[:, 0], out[:, 1] = np.sin(angle), np.cos(angle)


Input = NumberInput | CategoryInput | TimeInput


def fit_input(table: Table, name: str, rows: Rows, method: str, keep_mean: bool) -> NumberInput:
    """A numeric input fitted on the training rows; with `keep_mean` their mean fills gaps.

    Raises:
        UserError: no value in the training rows, or values too large to be scaled.
    """
    found = moments(table.numbers(name)[rows])
    if not found.observed:
        raise UserError(
            f"{table.source}, column '{name}': no value in the training part, so it cannot be an "
            "input; leave it out of data.in_components"
        )
    center, scale = checked_scaler(table, name, found, method)
    return NumberInput(name, center, scale, found.mean if keep_mean else None)


def fit_categories(
    table: Table, name: str, rows: Rows, keep_mean: bool, others: Rows | None = None
) -> CategoryInput:
    """A categorical input of all categories in the training rows and in `others`.

    The weights of a category that only `others` hold stay at their prior, and so its predictions
    are as unsure as they should be. Frequencies are those in the training rows.

    Raises:
        UserError: no value in the training rows.
    """
    column: TextColumn = table.categories(name)
    counts = category_counts(column, rows)
    total = int(counts.sum())
    if not total:
        raise UserError(
            f"{table.source}, column '{name}': no value in the training part, so it cannot be an "
            "input; leave it out of data.in_components"
        )
    listed = counts if others is None else counts + category_counts(column, others)
    present = sorted(
        (text, int(count))
        for text, count, known in zip(column.labels, counts, listed, strict=True)
        if known
    )
    fill = tuple(count / total for _, count in present) if keep_mean else None
    return CategoryInput(name, tuple(text for text, _ in present), fill)


def category_counts(column: TextColumn, rows: Rows) -> Rows:
    """How many of these rows hold each label, `(labels,)`."""
    codes = column.codes[rows]
    return np.bincount(codes[codes >= 0], minlength=len(column.labels))


def checked_scaler(table: Table, name: str, found: Moments, method: str) -> tuple[float, float]:
    """Centre and scale of a column with these moments.

    Raises:
        UserError: its values are too large for their mean and deviation to be numbers.
    """
    scaler = fit(found, method)
    if not np.isfinite([scaler.center, scaler.scale, found.mean]).all():
        raise UserError(
            f"{table.source}, column '{name}': values between {found.minimum:g} and "
            f"{found.maximum:g} are too large to be scaled"
        )
    return scaler.center, scaler.scale


def scaled(
    table: Table,
    rows: Rows | slice,
    name: str,
    values: NDArray[np.float64],
    center: Scale,
    scale: Scale,
) -> NDArray[np.float64]:
    """Scaled values in float64, NaN kept; centre and scale are of all rows, or one for each.

    Raises:
        UserError: a value is beyond `LARGEST`.
    """
    with np.errstate(over="ignore", under="ignore"):
        found: NDArray[np.float64] = (values - center) / scale
    too_large = np.abs(found) > LARGEST
    if too_large.any():
        row = _first(table, rows, too_large)
        at = int(np.flatnonzero(too_large)[0])
        center, scale = (np.broadcast_to(value, found.shape)[at] for value in (center, scale))
        raise UserError(
            f"{table.where(row, name)}: {table.numbers(name)[row]:g} is too large beside the "
            f"training part (centre {center:g}, scale {scale:g})"
        )
    return found


def filled_notice(filled: Mapping[str, int]) -> str:
    """The remark on missing values that were filled, from their number in each column."""
    return (
        f"{sum(filled.values())} missing inputs filled with the mean of the training part: "
        f"{listing(f'{name} {count}' for name, count in filled.items())}"
    )


def no_value(table: Table, name: str, rows: Rows) -> str:
    """The beginning of a message on an input that is missing in these rows."""
    others = f" (and {len(rows) - 1} more in this column)" if len(rows) > 1 else ""
    return f"{table.where(int(rows[0]), name)}: no value{others}."


def _not_filled(table: Table, name: str, rows: Rows) -> UserError:
    return UserError(
        f"{no_value(table, name, rows)} The model was trained without filling; fill the gaps, or "
        "train with data.missing=mean"
    )


def _first(table: Table, rows: Rows | slice, found: NDArray[np.bool_]) -> int:
    """Row number in the table of the first True among the chosen rows."""
    return int(np.arange(len(table))[rows][np.flatnonzero(found)[0]])
