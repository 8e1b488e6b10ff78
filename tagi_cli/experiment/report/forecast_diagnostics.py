"""The numbers behind the figures of a forecast: by step, and of some series beside their past."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.experiment.forecasting import Forecasts
from tagi_cli.experiment.report import diagnostics
from tagi_cli.experiment.report.diagnostics import OUTPUTS_DRAWN, Diagnostics
from tagi_cli.training import mixture
from tagi_cli.training.mixture import Floats

SERIES_DRAWN = 6
"""Series with a fan of their own; of more, some that are forecast well, and some badly."""

_LEVELS = {"lo_90": 0.05, "lo_50": 0.25, "median": 0.5, "hi_50": 0.75, "hi_90": 0.95}


def diagnose(law: Forecasts) -> list[Diagnostics]:
    """`diagnostics.diagnose`, with `forecast` besides: `metrics_by_step`, and `fans` of series.

    A fan has `name` of the series, `past` and `y` (None where not known), `naive`, quantiles, and
    `time` of the past and of the steps, empty where that is not known.
    """
    drawn = diagnostics.diagnose(law.by_component)
    places = {name: k for k, name in enumerate(law.names[:OUTPUTS_DRAWN])}
    for one in drawn:
        k = places[one["name"]]
        chosen = _chosen(law, k)
        one["forecast"] = law.metrics_by_step(k) | {"fans": [fan(law, k, i) for i in chosen]}
    return drawn


def _chosen(law: Forecasts, k: int) -> list[int]:
    """One forecast, the latest, of each of some series, evenly spread by their errors."""
    errors, _, unit, series = law.component(k)
    assert law.places.index is not None
    order = np.lexsort((law.places.index[:, 2], law.places.index[:, 1], series))
    latest = order[np.append(np.diff(series[order]) != 0, True)]
    scale = np.where(unit[latest] > 0, unit[latest], 1.0)
    known = ~np.isnan(errors.absolute[latest])
    total = np.where(known, errors.absolute[latest], 0).sum(axis=1)
    size = total / np.maximum(known.sum(axis=1), 1) / scale
    latest, size = latest[known.any(axis=1)], size[known.any(axis=1)]
    by_size = latest[np.argsort(size, kind="stable")]
    spread = np.unique(np.linspace(0, len(by_size) - 1, min(SERIES_DRAWN, len(by_size))).round())
    return [int(by_size[int(place)]) for place in spread]


def fans_ahead(law: Forecasts) -> list[Diagnostics]:
    """Fans of some series, evenly spread over all, for forecasts without anything to compare."""
    n, C = len(law.places), len(law.names)
    spread = np.unique(np.linspace(0, n - 1, min(SERIES_DRAWN, n)).round().astype(int))
    return [
        {"component": law.names[k], **fan(law, k, i)}
        for k in range(min(C, OUTPUTS_DRAWN))
        for i in spread.tolist()
    ]


def fan(law: Forecasts, k: int, i: int) -> dict[str, Any]:
    """The numbers of one forecast and component."""
    assert law.places.index is not None
    C = len(law.names)
    mu, var = law.mu[:, i, k::C], law.var[:, i, k::C]
    quantiles = {name: _list(mixture.quantile(p, mu, var)) for name, p in _LEVELS.items()}
    return {
        "name": law.places.series[law.places.index[i, 0]],
        "past": [] if law.past is None else _list(law.past[i, :, k]),
        "y": [] if law.y is None else _list(law.y[i, k::C]),
        "naive": [] if law.naive is None else _list(law.naive[i, k::C]),
        "time": _times(law, i),
        **quantiles,
    }


def _times(law: Forecasts, i: int) -> list[str] | list[float]:
    """Of a forecast's past and steps: dates in ISO 8601, or numbers; empty where rows have none."""
    one = law.places.take(np.array([i]))
    if one.time is None or one.clock is None or not one.clock.cuts:
        return []
    first = law.steps[0]
    past = 0 if law.past is None else law.past.shape[1]
    found = np.concatenate([one.times(k) for k in (*range(first - past, first), *law.steps)])
    if found.dtype.kind == "M":
        return [str(moment).removesuffix(".000000") for moment in found]
    return [float(moment) for moment in found]


def _list(values: Floats | NDArray[Any]) -> list[float | None]:
    """Seven significant digits; None for what is not known."""
    floats = np.asarray(values, dtype=np.float64).tolist()
    return [float(f"{value:.7g}") if value == value else None for value in floats]
