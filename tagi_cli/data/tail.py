"""The windows whose targets are still to come: the end of each series."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.gaps import without_gaps
from tagi_cli.data.inputs import TimeInput
from tagi_cli.data.layout import COPIED, copied_row
from tagi_cli.data.origins import in_training
from tagi_cli.data.parts import Part
from tagi_cli.data.series import Series
from tagi_cli.data.table import NumberColumn, Table
from tagi_cli.data.view import (
    arranged,
    note_filled,
    scaled_windows,
    scalers_of,
    shown_times,
)
from tagi_cli.data.windows import Windows
from tagi_cli.errors import UserError, listing

if TYPE_CHECKING:
    from tagi_cli.data.encoder import Encoder

Rows = NDArray[np.int64]


def tail(
    encoder: Encoder,
    table: Table,
    steps: int,
    notices: list[str],
    *,
    history: int = 0,
    is_own: bool = False,
) -> Part:
    """See `Encoder.tail`.

    Args:
        encoder: of windows.
        table: with the past of each series.
        steps: rows by which windows are longer at their end.
        notices: collects remarks for the user.
        history: rows that stand before each window, for what reaches back.
        is_own: whether the table is the one that was learnt.
    """
    whole = arranged(encoder, table, notices)
    windowing = encoder.windowing
    assert windowing is not None
    chunks = windowing.chunks
    past = whole.kept(_is_past(encoder, table, whole))
    inputs, past = without_gaps(table, past, encoder.inputs, windowing.missing, notices)
    ends = past.starts[1:][np.diff(past.starts) > 0] - 1
    codes, begins = past.codes[ends], past.bounds[past.slices[ends]]

    # Places of the windows' rows (G, T), counted in `past`; those after the end are to come.
    first = 1 - chunks.targets[0] + chunks.inputs[0] - history
    places = ends[:, None] + first + np.arange(history + chunks.input_length + steps)
    is_real = (places >= begins[:, None]) & (places <= ends[:, None])
    is_earlier = places < begins[:, None]
    in_window = slice(history, history + chunks.input_length)
    _check_length(encoder, table, past, ends, ~is_earlier[:, in_window])
    scalers = scalers_of(windowing, inputs, past)
    own = {name: scaler.take(past.codes) for name, scaler in scalers.items()}
    x, filled = encoder.encode_counting(inputs, past.rows, own)

    shown = np.zeros((*places.shape, x.shape[1]), x.dtype)
    shown[is_real] = x[places[is_real]]
    if chunks.padding in COPIED and is_earlier.any():
        lengths = (ends - begins + 1)[:, None]
        copied = begins[:, None] + copied_row(places - begins[:, None], lengths, chunks.padding)
        shown[is_earlier] = x[copied[is_earlier]]
    known = np.where(is_real[..., None], shown, np.nan)
    count = int(places[0, -1] - ends[0]) if len(ends) else 0
    if count > 0:
        coming = _Coming(encoder, table, whole, past, ends, count)
        to_come, more = coming.encode({k: s.take(codes) for k, s in scalers.items()})
        filled += more
        shown[:, -count:] = to_come[:, -places.shape[1] :]
    note_filled(filled, notices)

    rows, starts = shown.reshape(-1, x.shape[1]), np.arange(len(ends)) * places.shape[1] + history
    plain = Windows(rows, starts, chunks.input_length)
    seen, center, scale, _ = scaled_windows(
        encoder, plain, known.reshape(rows.shape), scalers, codes
    )
    windows = Windows(rows, starts, chunks.input_length + steps, seen.center, seen.scale)
    point = ends + 1 - chunks.targets[0]
    is_row = (point >= begins) & (point <= ends)
    slices = past.slices[ends]
    index = np.stack([codes, past.slice_numbers[slices], point - begins], axis=1)
    time = None
    if past.times is not None and past.step is not None:
        time = shown_times(past.step.after(past.times[ends], 1 - chunks.targets[0]))
    stand = None
    if windowing.origins is not None or not is_own:
        stand = in_training(windowing.origins, windowing.step, chunks, past, slices, point)
    return Part(
        windows,
        *_no_targets(encoder, len(ends)),
        np.where(is_row, past.rows[np.clip(point, 0, len(past) - 1)], -1),
        center,
        scale,
        index,
        time,
        past.names,
        in_training=stand,
    )


def _is_past(encoder: Encoder, table: Table, series: Series) -> NDArray[np.bool_]:
    """Rows `(N,)` up to the last of their series with an observed target.

    Raises:
        UserError: a series has none.
    """
    known = np.zeros(len(series), dtype=bool)
    there = [name for name in encoder.outputs if name in table.columns]
    for name in there:
        known |= ~table.missing(name)[series.rows]
    if not there:
        known[:] = True
    last = np.full(len(series.names), -1)
    np.maximum.at(last, series.codes[known], np.flatnonzero(known))
    empty = np.flatnonzero((last < 0) & (np.diff(series.starts) > 0))
    if len(empty):
        more = f" ({len(empty) - 1} more series likewise)" if len(empty) > 1 else ""
        raise UserError(
            f"{table.source}: {series.label(int(empty[0]))} has no value of "
            f"{listing(encoder.outputs)} to go on from{more}; leave its rows out"
        )
    return np.asarray(np.arange(len(series)) <= last[series.codes])


def _check_length(
    encoder: Encoder, table: Table, past: Series, ends: Rows, is_real: NDArray[np.bool_]
) -> None:
    """Make sure that enough rows of each window are real.

    Raises:
        UserError: the end of a series is too short.
    """
    assert encoder.windowing is not None
    least = encoder.windowing.chunks.least_real
    real = is_real.sum(axis=1)
    short = np.flatnonzero(real < least)
    if len(short):
        at = short[0]
        length = int(past.lengths[past.slices[ends[at]]])
        more = f" ({len(short) - 1} more series likewise)" if len(short) > 1 else ""
        raise UserError(
            f"{table.source}: {past.label(int(past.codes[ends[at]]))} ends with {length} rows in a "
            f"row, of which a window shows {int(real[at])}; it needs {least}{more}"
        )


def _no_targets(encoder: Encoder, n: int) -> tuple[Any, Any]:
    """Scaled and raw targets of n examples, all missing."""
    steps, components = encoder.output_shape
    if encoder.classes is not None:
        return np.full((n, components), np.nan, encoder.dtype), np.full((n, 1), np.nan)
    starts = np.arange(n) * steps
    y = np.full((n * steps, components), np.nan)
    return Windows(y.astype(encoder.dtype), starts, steps), Windows(y, starts, steps)


class _Coming:
    """The `count` rows after the end of each of G series: given in the table, or made up."""

    def __init__(
        self, encoder: Encoder, table: Table, whole: Series, past: Series, ends: Rows, count: int
    ) -> None:
        self.encoder = encoder
        self.table = table
        self.past = past
        self.ends = ends
        self.count = count
        place = np.empty(len(table), dtype=np.int64)
        place[whole.rows] = np.arange(len(whole))
        at = place[past.rows[ends]]
        following = at[:, None] + np.arange(1, count + 1)
        in_slice = following < whole.bounds[whole.slices[at] + 1][:, None]
        rows = whole.rows[np.minimum(following, len(whole) - 1)]
        self.rows = np.where(in_slice, rows, -1)

    def encode(self, scalers: dict[str, Any]) -> tuple[NDArray[Any], Counter[str]]:
        """Inputs `(G, count, F)`, 0 for those that are targets, and the numbers filled.

        Raises:
            UserError: an input is needed that neither the date nor the table tells.
        """
        encoder = self.encoder
        given = self.rows >= 0
        fed = [name for name in encoder.inputs if name in encoder.outputs]
        others = [name for name in encoder.inputs if name not in fed]
        if others and not given.all():
            at = int(np.flatnonzero(~given.all(axis=1))[0])
            raise UserError(
                f"{self.table.source}: the network needs {listing(others)} in the {self.count} "
                f"rows after the end of {self.past.label(int(self.past.codes[self.ends[at]]))}. "
                "Add these rows, with the target left empty"
            )
        x = np.zeros((*given.shape, len(encoder.features)), encoder.dtype)
        filled = Counter[str]()
        series = np.nonzero(given)[0]
        if len(series):
            own = {name: scaler.take(series) for name, scaler in scalers.items()}
            rows = self.rows[given]
            x[given], filled = encoder.encode_counting(self._without(fed), rows, own)
        begin = 0
        for column in encoder.columns:
            end = begin + len(column.features)
            if isinstance(column, TimeInput):
                self._dates(column, x[..., begin:end])
            elif column.name in fed:
                x[..., begin:end] = 0
                del filled[column.name]
            begin = end
        return x, filled

    def _without(self, names: list[str]) -> Table:
        """The table with numbers in place of what is missing in these columns."""
        data = dict(self.table.data)
        for name in names:
            data[name] = NumberColumn(np.nan_to_num(self.table.numbers(name)))
        return replace(self.table, data=data)

    def _dates(self, column: TimeInput, out: NDArray[Any]) -> None:
        past = self.past
        if past.step is None or past.times is None:
            raise UserError(
                f"{self.table.source}: one row of each series does not tell the time to the next, "
                f"which {column.name} of the rows to come depends on; set data.time_delta"
            )
        for k in range(self.count):
            column.encode(past.step.after(past.times[self.ends], k + 1), out[:, k])
