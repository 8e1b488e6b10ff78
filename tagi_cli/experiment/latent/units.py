"""Units of the data, by column or by subject."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tagi_cli.data import Encoder
from tagi_cli.data.inputs import NumberInput
from tagi_cli.data.series_scaling import SeriesScaler

Host = np.ndarray[Any, Any]


class Units(NamedTuple):
    """A value in the units of the data is `center + scale * scaled`.

    Attributes:
        center_x: of the features, `(F,)`; 0 where they are not scaled.
        scale_x: likewise; 1 there.
        center_y: of the outputs, `(K,)`.
        scale_y: likewise.
    """

    center_x: Host
    scale_x: Host
    center_y: Host
    scale_y: Host

    @classmethod
    def of(cls, encoder: Encoder, subject: str = "") -> Units:
        """Those of a subject's rows; subjects differ under `data.scaling_by: instance` alone."""
        own = scalers_of(encoder, subject)
        center, scale = [], []
        for column in encoder.columns:
            at, by = 0.0, 1.0
            if isinstance(column, NumberInput):
                at, by = column.center, column.scale
                if column.name in own:
                    at, by = own[column.name].center[0], own[column.name].scale[0]
            center += [at] * len(column.features)
            scale += [by] * len(column.features)
        center_y, scale_y = encoder.center_y.copy(), encoder.scale_y.copy()
        for k, name in enumerate(encoder.outputs):
            if name in own and encoder.windowing is not None and encoder.windowing.scales_targets:
                center_y[k], scale_y[k] = own[name].center[0], own[name].scale[0]
        return cls(np.asarray(center), np.asarray(scale), center_y, scale_y)


def scalers_of(encoder: Encoder, subject: str, rows: int = 1) -> dict[str, SeriesScaler]:
    """A subject's scalers by column, repeated for so many rows; empty where columns have one."""
    windowing = encoder.windowing
    if windowing is None or not windowing.scalers:
        return {}
    code = windowing.series.index(subject)
    return {name: one.take(np.full(rows, code)) for name, one in windowing.scalers.items()}
