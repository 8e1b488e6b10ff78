"""Rows of series as the network sees them: scaled, padded, and shown through windows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.gaps import without_gaps
from tagi_cli.data.inputs import filled_notice
from tagi_cli.data.origins import in_training
from tagi_cli.data.parts import Part
from tagi_cli.data.reference import ScaledWindows, by_reference
from tagi_cli.data.series import Series, arrange
from tagi_cli.data.series_scaling import SeriesScaler, group_moments, window_scalers
from tagi_cli.data.table import Table
from tagi_cli.data.windows import Windows
from tagi_cli.errors import UserError, listing, nearest

if TYPE_CHECKING:
    from tagi_cli.data.encoder import Encoder
    from tagi_cli.data.windowing import Windowing

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


class View:
    """Scaled rows of series, padded once, and windows of them.

    Args:
        encoder: of windows.
        table: what the series are of; its targets may be missing, as columns or as values.
        inputs: the same with missing inputs filled where the encoder does not fill them.
        series: the rows to show.

    Attributes:
        filled: number of missing values filled in each input column that had some.

    Raises:
        UserError: an input or target that cannot be encoded.
    """

    def __init__(self, encoder: Encoder, table: Table, inputs: Table, series: Series) -> None:
        windowing = encoder.windowing
        assert windowing is not None
        self.encoder = encoder
        self.windowing = windowing
        self.series = series
        self.layout = windowing.chunks.layout(series)
        self.scalers = scalers_of(windowing, inputs, series)
        own = {name: scaler.take(series.codes) for name, scaler in self.scalers.items()}
        x, self.filled = encoder.encode_counting(inputs, series.rows, own)
        self.x = self.layout.pad(x, windowing.chunks.padding, 0)
        self.known = self.layout.pad(x, "none", np.nan) if windowing.by_window else self.x
        y = encoder.targets(table, series.rows, own if windowing.scales_targets else None)
        raw = encoder.raw_targets(table, series.rows)
        if y is None or raw is None:
            y = np.full((len(series), encoder.output_shape[1]), np.nan, encoder.dtype)
            raw = np.full((len(series), len(encoder.outputs)), np.nan)
        self.y = self.layout.pad(y, "none", np.nan)
        self.raw = self.layout.pad(raw, "none", np.nan)

    def part(self, points: Rows) -> Part:
        """The examples of these prediction points, places in the series."""
        series, chunks = self.series, self.windowing.chunks
        places = self.layout.places[points]
        slices, codes = series.slices[points], series.codes[points]
        x, center, scale, still = scaled_windows(
            self.encoder,
            Windows(self.x, places + chunks.inputs[0], chunks.input_length),
            self.known,
            self.scalers,
            codes,
        )
        starts = places + chunks.targets[0]
        raw: Any = Windows(self.raw, starts, chunks.target_length)
        y: Any = Windows(self.y, starts, chunks.target_length)
        if self.encoder.classes is not None:
            raw, y = self.raw[starts], self.y[starts]
        elif still is not None:
            scaled = (np.asarray(raw).reshape(center.shape) - center) / scale
            y = np.where(still, np.nan, scaled).astype(self.encoder.dtype)
        elif x.center is not None and x.scale is not None:
            y = Windows(self.y, starts, chunks.target_length, *self._of_targets(x))
        index = np.stack([codes, series.slice_numbers[slices], series.places[points]], axis=1)
        time = None if series.times is None else shown_times(series.times[points])
        rows, lengths = series.rows[points], None
        if chunks.are_segments:
            lengths = np.minimum(series.bounds[slices + 1] - points, chunks.target_length)
        return Part(x, y, raw, rows, center, scale, index, time, series.names, lengths)

    def _of_targets(self, x: Windows) -> tuple[NDArray[Any], NDArray[Any]]:
        """The windows' own scalers of those targets that are inputs, too."""
        center = np.zeros((len(x), self.y.shape[1]), x.dtype)
        scale = np.ones_like(center)
        assert x.center is not None
        assert x.scale is not None
        for k, name in enumerate(self.encoder.outputs):
            if name in self.windowing.by_window and self.windowing.scales_targets:
                feature = self.encoder.features.index(name)
                center[:, k], scale[:, k] = x.center[:, feature], x.scale[:, feature]
        return center, scale


def shown_times(times: NDArray[Any]) -> NDArray[Any]:
    """Times as a `Part` holds them: numbers, or datetime64 (UTC where there are time zones)."""
    return times.astype("datetime64[us]") if times.dtype == np.int64 else times


def scaled_windows(
    encoder: Encoder,
    plain: Windows,
    known: NDArray[Any],
    scalers: dict[str, SeriesScaler],
    codes: NDArray[np.int64],
    *,
    of_training: bool = True,
) -> ScaledWindows:
    """Windows scaled one by one where the encoder does so, and the scalers of their targets.

    Args:
        encoder: of windows.
        plain: n windows of rows scaled by column or series.
        known: the rows of `plain`, with NaN in padding.
        scalers: by column, of each series.
        codes: (n,) number of the series of each window.
        of_training: whether these numbers are those of the training data, others coming after.
    """
    windowing = encoder.windowing
    assert windowing is not None
    K = len(encoder.center_y)
    center, scale = encoder.center_y[None], encoder.scale_y[None]
    own = {
        k: scalers[name].take(codes)
        for k, name in enumerate(encoder.outputs)
        if windowing.scales_targets and name in scalers
    }
    if own:
        shape = (len(codes), K)
        center, scale = (np.broadcast_to(one, shape).copy() for one in (center, scale))
        for k, scaler in own.items():
            center[:, k], scale[:, k] = scaler.center, scaler.scale
    if not windowing.by_window:
        return ScaledWindows(plain, center, scale)
    if windowing.reference is not None:
        each = {name: scalers[name].take(codes) for name in windowing.by_window}
        usual = windowing.usual_of(codes) if of_training else {}
        return by_reference(encoder, plain, known, each, (center, scale), usual)
    features = [encoder.features.index(name) for name in windowing.by_window]
    narrow = Windows(known[:, features], plain.starts, plain.length)
    found = window_scalers(narrow, windowing.method)
    middle = np.zeros((len(plain), known.shape[1]), plain.dtype)
    spread = np.ones_like(middle)
    middle[:, features], spread[:, features] = found
    for k, scaler in own.items():
        if encoder.outputs[k] in windowing.by_window:
            feature = encoder.features.index(encoder.outputs[k])
            center[:, k] = scaler.center + scaler.scale * middle[:, feature]
            scale[:, k] = scaler.scale * spread[:, feature]
    shown = Windows(plain.rows, plain.starts, plain.length, middle, spread)
    return ScaledWindows(shown, center, scale)


def scalers_of(windowing: Windowing, table: Table, series: Series) -> dict[str, SeriesScaler]:
    """By column, the scaler of each of these series: that of the training, else its own.

    Where windows are scaled by themselves the scalers below them cancel out, but for flat windows,
    so that those of series without any may come from the rows at hand.
    """
    found = {}
    new = len(series.names) - len(windowing.series)
    for name, scaler in windowing.scalers.items():
        found[name] = scaler
        unknown = np.append(~scaler.known, np.ones(new, dtype=bool))
        if unknown[series.codes].any():
            values = table.numbers(name)[series.rows]
            moments = group_moments(values, series.codes, len(series.names))
            found[name] = scaler.completed(SeriesScaler.fit(moments, "z-norm"))
    return found


def windows(encoder: Encoder, table: Table, notices: list[str]) -> Part:
    """See `Encoder.windows`."""
    series = arranged(encoder, table, notices)
    windowing = encoder.windowing
    assert windowing is not None
    missing = windowing.missing
    inputs, series = without_gaps(table, series, encoder.inputs, missing, notices)
    windowing.chunks.check_new(series, table.source)
    points = windowing.chunks.points(series, with_targets=False)
    view = View(encoder, table, inputs, series)
    note_filled(view.filled, notices)
    stand = in_training(
        windowing.origins, windowing.step, windowing.chunks, series, series.slices[points], points
    )
    return replace(view.part(points), in_training=stand)


def arranged(encoder: Encoder, table: Table, notices: list[str]) -> Series:
    """The rows of a new table as series, as the training data were arranged.

    Raises:
        UserError: as `series.arrange`; a column is absent, or a series unknown where only those of
            the training can be predicted.
        ValueError: the encoder is one of a plain table.
    """
    windowing = encoder.windowing
    if windowing is None:
        raise ValueError("the encoder is one of a plain table, which has no windows")
    encoder.check_columns(table)
    known = windowing.series
    series = arrange(table, windowing.instance, windowing.time, windowing.step, notices, known)
    unknown = series.names[len(known) :]
    if unknown and windowing.closed:
        row = int(series.rows[series.starts[len(known)]])
        name = unknown[0]
        more = f" ({len(unknown) - 1} more likewise)" if len(unknown) > 1 else ""
        raise UserError(
            f"{table.where(row, windowing.instance)}: '{name}' is no series of the training data"
            f"{more}.{nearest(name, known)} Known: {listing(known)}"
        )
    return series


def note_filled(filled: Counter[str], notices: list[str]) -> None:
    """Remark the values that the encoder filled."""
    if filled:
        notices.append(filled_notice(filled))
