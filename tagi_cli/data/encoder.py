"""From a table to what the network sees, and back: the part of the data that outlives it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tagi_cli.data.scaling import Moments, fit, moments
from tagi_cli.data.table import Table, TextColumn
from tagi_cli.errors import UserError, listing, nearest

LARGEST = 1e15
"""A scaled value beyond this is none: its square, summed over a layer, would overflow float32."""

Floats = NDArray[np.floating[Any]]
Rows = NDArray[np.int64]


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

    def encode(self, table: Table, rows: Rows | slice, out: Floats) -> int:
        """Write the feature of these rows to `out (rows, 1)`; gives the number of values filled.

        Raises:
            UserError: text, a missing value without `fill`, or a value out of range.
        """
        values = table.numbers(self.name)[rows]
        missing = np.isnan(values)
        count = int(missing.sum())
        if count:
            if self.fill is None:
                raise _not_filled(table, self.name, np.arange(len(table))[rows][missing])
            values = np.where(missing, self.fill, values)
        out[:, 0] = _scaled(table, rows, self.name, values, self.center, self.scale)
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


Input = NumberInput | CategoryInput


@dataclass(frozen=True, eq=False)
class Encoder:
    """Encodes new rows exactly as the training rows were; goes into checkpoints as JSON.

    `center_y, scale_y (K,) float64` translate targets: `y = scaled * scale_y + center_y`, a
    variance by `scale_y ** 2`. What is scaled comes as `dtype`; it is computed in float64.
    """

    columns: tuple[Input, ...]
    outputs: tuple[str, ...]
    center_y: NDArray[np.float64]
    scale_y: NDArray[np.float64]
    dtype: str = "float32"
    inputs: tuple[str, ...] = field(init=False)
    features: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        names = tuple(column.name for column in self.columns)
        features = tuple(name for column in self.columns for name in column.features)
        object.__setattr__(self, "inputs", names)
        object.__setattr__(self, "features", features)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one encoded row."""
        return (len(self.features),)

    def encode(self, table: Table, rows: Rows | None = None) -> Floats:
        """Inputs of the rows (default: all) as `(rows, features)`, scaled.

        Columns may stand in any order; those that are no input are ignored.

        Raises:
            UserError: an input column is absent (all of them are named), holds text or a missing
                value where none is allowed, or a category unknown to the training.
        """
        return self.encode_counting(table, rows)[0]

    def encode_counting(
        self, table: Table, rows: Rows | None = None
    ) -> tuple[Floats, Counter[str]]:
        """As `encode`, with the number of missing values filled in each column that had some."""
        absent = [name for name in self.inputs if name not in table.columns]
        if absent:
            hint = "" if table.has_header else " (the file has no header)"
            raise UserError(
                f"{table.source}: no column for the input{'s' * (len(absent) > 1)} "
                f"{listing(absent, 30)}{hint}. Columns: {listing(table.columns, 30)}"
            )
        chosen = slice(None) if rows is None else rows
        n = len(table) if rows is None else len(rows)
        x = np.empty((n, len(self.features)), self.dtype)
        filled, begin = Counter[str](), 0
        for column in self.columns:
            end = begin + len(column.features)
            if count := column.encode(table, chosen, x[:, begin:end]):
                filled[column.name] = count
            begin = end
        return x, filled

    def encode_array(self, array: ArrayLike) -> Floats:
        """Raw inputs `(n, columns)`, columns as in `inputs`, to `(n, features)`, scaled.

        Windows of one row each, `(n, 1, columns)`, are the same.

        Raises:
            UserError: another shape, or a value that `encode` refuses.
        """
        values = np.asarray(array)
        if values.ndim == 3 and values.shape[1] == 1:
            values = values[:, 0]
        if values.ndim != 2 or values.shape[1] != len(self.inputs):
            raise UserError(
                f"input array: shape {values.shape}; allowed: (rows, {len(self.inputs)}), the "
                f"columns {listing(self.inputs, 30)}"
            )
        columns = {name: values[:, j] for j, name in enumerate(self.inputs)}
        return self.encode(Table.from_columns(columns, "input array"))

    def targets(self, table: Table, rows: Rows | None = None) -> Floats | None:
        """Targets of the rows `(rows, K)`, scaled, NaN where missing; None where there are none.

        A target column that the table lacks is missing as a whole.

        Raises:
            UserError: a target is text.
        """
        raw = self.raw_targets(table, rows)
        if raw is None:
            return None
        y = np.empty(raw.shape, self.dtype)
        chosen = slice(None) if rows is None else rows
        for k, name in enumerate(self.outputs):
            center, scale = float(self.center_y[k]), float(self.scale_y[k])
            y[:, k] = _scaled(table, chosen, name, raw[:, k], center, scale)
        return y

    def raw_targets(self, table: Table, rows: Rows | None = None) -> NDArray[np.float64] | None:
        """As `targets`, in original units and float64."""
        if not any(name in table.columns for name in self.outputs):
            return None
        chosen = slice(None) if rows is None else rows
        n = len(table) if rows is None else len(rows)
        y = np.full((n, len(self.outputs)), np.nan)
        for k, name in enumerate(self.outputs):
            if name in table.columns:
                y[:, k] = table.numbers(name, " (a target must be)")[chosen]
        return y

    def to_json(self) -> dict[str, Any]:
        """A dict for JSON that `from_json` turns into an equal encoder, bit for bit."""
        inputs: list[dict[str, Any]] = []
        for column in self.columns:
            entry: dict[str, Any] = {"name": column.name, "fill": column.fill}
            if isinstance(column, NumberInput):
                entry |= {"center": column.center, "scale": column.scale}
            else:
                entry |= {
                    "categories": list(column.categories),
                    "fill": None if column.fill is None else list(column.fill),
                }
            inputs.append(entry)
        rows = zip(self.outputs, self.center_y.tolist(), self.scale_y.tolist(), strict=True)
        outputs = [{"name": name, "center": center, "scale": scale} for name, center, scale in rows]
        return {"inputs": inputs, "outputs": outputs, "dtype": self.dtype}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Encoder:
        """The encoder that `to_json` wrote."""
        columns: list[Input] = []
        for entry in tree["inputs"]:
            fill = entry["fill"]
            if "categories" in entry:
                names = tuple(entry["categories"])
                columns.append(
                    CategoryInput(entry["name"], names, None if fill is None else tuple(fill))
                )
            else:
                columns.append(NumberInput(entry["name"], entry["center"], entry["scale"], fill))
        return cls(
            tuple(columns),
            tuple(entry["name"] for entry in tree["outputs"]),
            np.array([entry["center"] for entry in tree["outputs"]], dtype=np.float64),
            np.array([entry["scale"] for entry in tree["outputs"]], dtype=np.float64),
            tree.get("dtype", "float32"),
        )


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


def _scaled(
    table: Table,
    rows: Rows | slice,
    name: str,
    values: NDArray[np.float64],
    center: float,
    scale: float,
) -> NDArray[np.float64]:
    """Scaled values in float64, NaN kept.

    Raises:
        UserError: a value is beyond `LARGEST`.
    """
    with np.errstate(over="ignore", under="ignore"):
        scaled: NDArray[np.float64] = (values - center) / scale
    too_large = np.abs(scaled) > LARGEST
    if too_large.any():
        row = _first(table, rows, too_large)
        raise UserError(
            f"{table.where(row, name)}: {table.numbers(name)[row]:g} is too large beside the "
            f"training part (centre {center:g}, scale {scale:g})"
        )
    return scaled


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
