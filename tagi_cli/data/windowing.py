"""How a table becomes windows of series: the part of an encoder that plain tables do without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.origins import Origins
from tagi_cli.data.points import Chunks
from tagi_cli.data.series_scaling import SeriesScaler
from tagi_cli.data.times import Step

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Windowing:
    """Columns, windows and scalers of series.

    Attributes:
        chunks: the windows of a prediction point.
        instance: column that names the series; None where all rows are one.
        time: column of times; None where rows are taken as they follow one another.
        step: time from row to row; None without times.
        missing: the option `missing`.
        series: names of the series of the training data.
        closed: whether these are the only ones that can be predicted.
        scalers: by column, its scaler for each of these series; empty where columns have one.
        by_window: columns that each window scales by its own input rows, after their scaler.
        method: of the window's scalers.
        scales_targets: whether the scalers of series and windows hold for targets, too.
        season: rows in a season of the forecast; None where there is no forecast.
        reference: targets of windows scaled by themselves count from the value so many rows before,
            or a multiple of it; None from the centre of the inputs.
        usual: by column, `(series,)` root mean square change over `reference` rows, where training.
        naive_error: by target, `(series,)` mean absolute change over a season before the tested
            rows, which scales errors.
        origins: by which new rows find their places in the training data; None where times do not
            tell, and of encoders older than that.
    """

    chunks: Chunks
    instance: str | None = None
    time: str | None = None
    step: Step | None = None
    missing: str = "error"
    series: tuple[str, ...] = ("",)
    closed: bool = False
    scalers: Mapping[str, SeriesScaler] = field(default_factory=dict)
    by_window: tuple[str, ...] = ()
    method: str = "z-norm"
    scales_targets: bool = True
    season: int | None = None
    reference: int | None = None
    usual: Mapping[str, Floats] = field(default_factory=dict)
    naive_error: Mapping[str, Floats] = field(default_factory=dict)
    origins: Origins | None = None

    def usual_of(self, codes: NDArray[np.int64]) -> dict[str, Floats]:
        """By column, `usual` of series by their numbers; 0 for those that are new."""
        new = np.zeros(max(0, int(codes.max(initial=-1)) + 1 - len(self.series)))
        return {name: np.append(values, new)[codes] for name, values in self.usual.items()}

    def later(self, times: NDArray[Any], count: int) -> NDArray[Any]:
        """The times `count` steps after times of a `Part`.

        Raises:
            ValueError: there are no times, or no step between them.
        """
        if self.step is None:
            raise ValueError("series without times have none to come")
        if times.dtype.kind == "M":
            return self.step.after(times.astype(np.int64), count).astype("datetime64[us]")
        return self.step.after(times, count)

    def to_json(self) -> dict[str, Any]:
        """A dict for JSON that `from_json` turns into equal windowing."""
        return {
            "chunks": self.chunks.to_json(),
            "instance": self.instance,
            "time": self.time,
            "step": None if self.step is None else self.step.to_json(),
            "missing": self.missing,
            "series": list(self.series),
            "closed": self.closed,
            "scalers": {name: scaler.to_json() for name, scaler in self.scalers.items()},
            "by_window": list(self.by_window),
            "method": self.method,
            "scales_targets": self.scales_targets,
            "season": self.season,
            "reference": self.reference,
            "usual": {name: values.tolist() for name, values in self.usual.items()},
            "naive_error": {name: values.tolist() for name, values in self.naive_error.items()},
            "origins": None if self.origins is None else self.origins.to_json(),
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Windowing:
        """The windowing that `to_json` wrote."""
        origins = tree.get("origins")
        return cls(
            Chunks.from_json(tree["chunks"]),
            tree["instance"],
            tree["time"],
            None if tree["step"] is None else Step.from_json(tree["step"]),
            tree["missing"],
            tuple(tree["series"]),
            tree["closed"],
            {name: SeriesScaler.from_json(one) for name, one in tree["scalers"].items()},
            tuple(tree["by_window"]),
            tree["method"],
            tree["scales_targets"],
            tree["season"],
            tree["reference"],
            {name: np.array(values, float) for name, values in tree["usual"].items()},
            {name: np.array(values, float) for name, values in tree["naive_error"].items()},
            None if origins is None else Origins.from_json(origins),
        )
