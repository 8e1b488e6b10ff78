"""Examples from arrays that users hand over in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.inputs import TimeInput
from tagi_cli.data.parts import Part
from tagi_cli.data.series_scaling import SeriesScaler, group_moments
from tagi_cli.data.table import Table
from tagi_cli.data.view import scaled_windows
from tagi_cli.data.windows import Windows
from tagi_cli.errors import UserError, listing

if TYPE_CHECKING:
    from tagi_cli.data.encoder import Encoder


def examples(encoder: Encoder, values: NDArray[Any]) -> Part:
    """See `Encoder.examples`."""
    columns = len(encoder.inputs)
    length = 1 if encoder.windowing is None else encoder.windowing.chunks.input_length
    allowed = [(length, columns), (columns,)] if length == 1 else [(length, columns)]
    if values.shape[1:] not in allowed:
        shape = f"(rows, {columns})" if length == 1 else f"(windows, {length}, {columns})"
        raise UserError(
            f"input array: shape {values.shape}; allowed: {shape}, the columns "
            f"{listing(encoder.inputs, 30)}"
        )
    n = len(values)
    table = _table(encoder, values.reshape(n * length, columns))
    center, scale = encoder.center_y[None], encoder.scale_y[None]
    if encoder.windowing is None:
        x: Any = encoder.encode(table)
    else:
        x, center, scale = _windows(encoder, table, n)
    y = np.full((n, *encoder.output_shape), np.nan, encoder.dtype)
    if encoder.windowing is None or encoder.classes is not None:
        y = y[:, 0]
    raw = np.full((n, 1 if encoder.classes else encoder.units), np.nan)
    return Part(x, y, raw, np.arange(n), center, scale)


def _table(encoder: Encoder, values: NDArray[Any]) -> Table:
    for column in encoder.columns:
        if isinstance(column, TimeInput):
            raise UserError(
                "input array: data.time_covariates need dates; give a table with the column "
                f"'{column.time}'"
            )
    columns = {name: values[:, j] for j, name in enumerate(encoder.inputs)}
    return Table.from_columns(columns, "input array")


def _windows(
    encoder: Encoder, table: Table, n: int
) -> tuple[Windows, NDArray[np.float64], NDArray[np.float64]]:
    """The rows as n windows, scaled by themselves where the encoder does so; scalers of targets."""
    windowing = encoder.windowing
    assert windowing is not None
    if windowing.scalers and not windowing.by_window:
        raise UserError(
            "input array: with data.scaling_by=instance the scalers depend on the series; give a "
            f"table with the column '{windowing.instance}'"
        )
    length = windowing.chunks.input_length
    codes = np.repeat(np.arange(n), length)
    own = {
        name: SeriesScaler.fit(group_moments(table.numbers(name), codes, n), "z-norm")
        for name in windowing.by_window
    }
    rows, _ = encoder.encode_counting(table, None, {k: s.take(codes) for k, s in own.items()})
    starts = np.arange(n) * length
    plain = Windows(rows, starts, length)
    return scaled_windows(encoder, plain, rows, own, np.arange(n), of_training=False)[:3]
