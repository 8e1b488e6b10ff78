"""Windows that go on past the end of their series, fed with what is predicted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.inputs import NumberInput
from tagi_cli.data.parts import Part
from tagi_cli.data.reference import last_season
from tagi_cli.data.series_scaling import SeriesScaler
from tagi_cli.data.view import scaled_windows
from tagi_cli.data.windows import Windows

if TYPE_CHECKING:
    from tagi_cli.data.encoder import Encoder

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


class Ahead(NamedTuple):
    """Windows some steps on, and how their targets translate.

    Attributes:
        x: `(n, T_in, C)` means of the inputs.
        var_x: their variances, 0 for what was observed.
        center: `(1 or n, T_out * K)`; a target in original units is `center + scale * scaled`.
        scale: of the same shape.
        var_center: variance of `center`, in squared original units, of the same shape.
        places: `(n, 3)` number of the series, of its slice, and place in the slice, as training
            counts them.
        earliest: `(n,)` as `InTraining.earliest`; None where all windows between are shown.
    """

    x: Windows
    var_x: Windows
    center: Floats
    scale: Floats
    var_center: Floats
    places: Rows
    earliest: Rows | None


class Continuation:
    """The windows of a part, and those that follow them.

    Args:
        encoder: of windows whose targets come after their inputs.
        part: n windows, of series of the training data. Inputs of the rows after them are read from
            where their rows stand; those that are targets are replaced by what is fed.
        steps: rows after the end of the windows that later ones show.
        before: rows before the windows to keep, for networks that carry states along series.
    """

    def __init__(self, encoder: Encoder, part: Part, steps: int, before: int = 0) -> None:
        windowing = encoder.windowing
        assert windowing is not None
        assert part.index is not None
        self._encoder = encoder
        self._chunks = windowing.chunks
        self._before = before
        length = self._chunks.input_length + steps
        offsets = np.arange(-before, length)
        at = np.clip(part.x.starts[:, None] + offsets, 0, len(part.x.rows) - 1)
        self._mu = part.x.rows[at]
        self._var = np.zeros_like(self._mu)
        stand = part.in_training
        self._places = part.index if stand is None else stand.places
        self._earliest = None if stand is None else stand.earliest
        # Place in its slice of each row; before the first there is padding.
        places = part.index[:, 2:] + self._chunks.inputs[0] + offsets
        self._is_known = places >= 0
        self._scalers = dict(windowing.scalers)
        self._codes = part.index[:, 0]

    def repeated(self, count: int) -> Continuation:
        """The same with each window `count` times, one after the other, each fed by itself."""
        made = object.__new__(Continuation)
        made.__dict__.update(self.__dict__)
        for name in ("_mu", "_var", "_places", "_earliest", "_is_known", "_codes"):
            if (own := getattr(self, name)) is not None:
                setattr(made, name, np.repeat(own, count, axis=0))
        return made

    def feed(self, offset: int, mu: Floats, var: Floats | None = None) -> None:
        """Take values as the inputs of the windows to come.

        Args:
            offset: how many steps after the first target they begin.
            mu: `(n, S, K)` in original units.
            var: their variances; None where they are certain.
        """
        encoder = self._encoder
        first = self._chunks.targets[0] - self._chunks.inputs[0] + self._before + offset
        count = min(mu.shape[1], self._mu.shape[1] - first)
        if count <= 0:
            return
        rows = slice(first, first + count)
        for column in encoder.columns:
            if column.name not in encoder.outputs or not isinstance(column, NumberInput):
                continue
            center, scale = scaler_of(column, self._scalers, self._codes)
            k = encoder.outputs.index(column.name)
            feature = encoder.features.index(column.name)
            self._mu[:, rows, feature] = (mu[:, :count, k] - center) / scale
            if var is not None:
                self._var[:, rows, feature] = var[:, :count, k] / scale**2

    def ahead(self, offset: int) -> Ahead:
        """The windows `offset` steps on."""
        n, length, columns = self._mu.shape
        flat = (n * length, columns)
        rows = self._mu.reshape(flat)
        known = np.where(self._is_known[..., None], self._mu, np.nan).reshape(flat)
        starts = np.arange(n) * length + self._before + offset
        plain = Windows(rows, starts, self._chunks.input_length)
        x, center, scale, _ = scaled_windows(
            self._encoder, plain, known, self._scalers, self._codes
        )
        var_rows = self._var.reshape(flat)
        var_x = Windows(var_rows, starts, self._chunks.input_length)
        if x.center is not None and x.scale is not None:
            zero = np.zeros_like(x.center)
            var_x = Windows(var_rows, starts, self._chunks.input_length, zero, x.scale**2)
        times = self._encoder.units // center.shape[1]
        moved = self._places + np.array([0, 0, offset])
        center, scale = np.tile(center, (1, times)), np.tile(scale, (1, times))
        var_center = self._var_of_reference(Windows(var_rows, starts, plain.length), center.shape)
        return Ahead(x, var_x, center, scale, var_center, moved, self._earliest)

    def _var_of_reference(self, var_rows: Windows, shape: tuple[int, ...]) -> Floats:
        """Variance of the values that targets count from, where these are values."""
        encoder, windowing = self._encoder, self._encoder.windowing
        assert windowing is not None
        found = np.zeros(shape)
        lag = windowing.reference
        if lag is None or not self._var.any():
            return found
        K = len(encoder.outputs)
        for name in windowing.by_window:
            if name in encoder.outputs:
                column = Windows(
                    var_rows.rows[:, [encoder.features.index(name)]],
                    var_rows.starts,
                    var_rows.length,
                )
                own = last_season(np.asarray(column, np.float64)[..., 0], lag)
                chosen = own[:, (self._chunks.steps_ahead - 1) % lag]
                scale = self._scalers[name].take(self._codes).scale[:, None]
                found[:, encoder.outputs.index(name) :: K] = chosen * scale**2
        return found


def scaler_of(
    column: NumberInput, scalers: Mapping[str, SeriesScaler], codes: Rows
) -> tuple[Any, Any]:
    """Centre and scale of a column in rows of these series: one for all, or `(n, 1)` each."""
    if column.name not in scalers:
        return column.center, column.scale
    own = scalers[column.name].take(codes)
    return own.center[:, None], own.scale[:, None]
