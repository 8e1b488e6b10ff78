"""The features that a network sees, as the columns and lags that a user knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data import Encoder, Part
from tagi_cli.data.inputs import CategoryInput, NumberInput, TimeInput

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Features:
    """The F features of a row, and the T steps of a window, flattened step by step.

    Scaled values are what the network sees. Moments and range are those of the training part.

    Attributes:
        columns: the C columns of the table, and parts of dates.
        column: `(F,)` which of them each feature belongs to.
        categories: `(F,)` the category that a feature stands for; empty for numbers.
        lags: `(T,)` rows by which each step of a window lies before (below 0) or after the
            prediction point; None of plain tables.
        mean: `(F,)` scaled.
        var: `(F,)` scaled.
        low: `(F,)` least value, scaled; NaN where not known.
        high: `(F,)` largest value, scaled.
        center: `(F,)`, a value in the units of the table is `center + scale * scaled`.
        scale: `(F,)`.
        moves: `(F,)` whether it is a number, which can be chosen freely.
    """

    columns: tuple[str, ...]
    column: Numbers
    categories: tuple[str, ...]
    lags: tuple[int, ...] | None
    mean: Floats
    var: Floats
    low: Floats
    high: Floats
    center: Floats
    scale: Floats
    moves: NDArray[np.bool_]

    @classmethod
    def of(cls, encoder: Encoder, statistics: Sequence[Mapping[str, Any]]) -> Features:
        """Those of an encoder.

        Args:
            encoder: of the model.
            statistics: facts of each column in the training part, as in environment.json.
        """
        facts = {fact["name"]: fact for fact in statistics}
        rows: list[tuple[int, str, float, float, float, float, float, float, bool]] = []
        for number, column in enumerate(encoder.columns):
            fact = facts.get(column.name, {})
            if isinstance(column, NumberInput):
                c, s = column.center, column.scale
                mean, sd = (float(fact.get(k, d)) for k, d in (("mean", c), ("sd", s)))
                ends = (float(fact.get(k, np.nan)) for k in ("minimum", "maximum"))
                low, high = ((end - c) / s for end in ends)
                rows.append((number, "", (mean - c) / s, (sd / s) ** 2, low, high, c, s, True))
            elif isinstance(column, CategoryInput):
                counts = {str(k): float(v) for k, v in fact.get("categories", {}).items()}
                total = sum(counts.values()) or 1.0
                for name in column.categories:
                    p = counts.get(name, 0.0) / total
                    rows.append((number, name, p, p * (1 - p), 0.0, 1.0, 0.0, 1.0, False))
            else:
                assert isinstance(column, TimeInput)
                for part in ("sine", "cosine"):
                    rows.append((number, part, 0.0, 0.5, -1.0, 1.0, 0.0, 1.0, False))
        numbers, texts, *values, moving = zip(*rows, strict=True)
        moments = [np.array(one, np.float64) for one in values]
        lags = None
        if encoder.windowing is not None:
            first, last = encoder.windowing.chunks.inputs
            lags = tuple(range(first, last + 1))
        return cls(
            columns=tuple(column.name for column in encoder.columns),
            column=np.array(numbers, np.int64),
            categories=tuple(map(str, texts)),
            lags=lags,
            **dict(zip(("mean", "var", "low", "high", "center", "scale"), moments, strict=True)),
            moves=np.array(moving, bool),
        )

    @property
    def steps(self) -> int:
        """How often the features repeat."""
        return 1 if self.lags is None else len(self.lags)

    def flat(self, values: NDArray[Any]) -> NDArray[Any]:
        """`(..., F)` values of features as those of all inputs, `(..., T * F)`."""
        return np.tile(values, self.steps)

    def label(self, feature: int) -> str:
        """`column`, or `column=category`."""
        name, category = self.columns[self.column[feature]], self.categories[feature]
        return f"{name}={category}" if category else name

    def by_column(self, values: Floats) -> Floats:
        """Sums `(..., T, C)` over the features of a column, of values `(..., T * F)`."""
        apart = values.reshape(*values.shape[:-1], self.steps, len(self.column))
        total = np.zeros((*apart.shape[:-1], len(self.columns)))
        for feature, column in enumerate(self.column):
            total[..., column] += apart[..., feature]
        return total

    def scales_of(self, encoder: Encoder, part: Part) -> Floats:
        """`(n, F)` units of the table per scaled unit, where series and windows have their own."""
        found = np.broadcast_to(self.scale, (len(part), len(self.scale))).copy()
        windowing = encoder.windowing
        if windowing is None or part.index is None:
            return found
        for feature, column in enumerate(self.column):
            scaler = windowing.scalers.get(self.columns[column])
            if scaler is not None:
                codes = part.index[:, 0]
                known = codes < len(windowing.series)
                own = scaler.take(np.where(known, codes, 0))
                found[:, feature] = np.where(known, own.scale, np.nan)
        if part.x.scale is not None:
            found *= part.x.scale
        return found
