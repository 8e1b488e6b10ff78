"""The numbers behind the figures: what a run's predictions say about themselves, sampled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.experiment.predictions import Floats, Predictions

OUTPUTS_DRAWN = 3
"""Outputs with figures of their own; of more outputs the first ones are drawn."""
POINTS_DRAWN = 600
"""Rows drawn in a scatter; of more rows an even sample is taken. Histograms use every row."""
ROWS_IN_BAND = 120
"""Rows drawn with their intervals side by side."""

Diagnostics = dict[str, Any]


def diagnose(predictions: Predictions) -> list[Diagnostics]:
    """JSON-able numbers for the figures of the first `OUTPUTS_DRAWN` outputs.

    One mapping per output: `name`, `observed` (count), `epistemic_share` (of the predictive
    variance, mean over rows), `scatter` (sampled rows), `band` (fewer rows, by predicted mean),
    `coverage` (nominal and observed share of values inside the central intervals), `pit` and
    `standardised` residuals (histograms), `spread` (root mean squared error in tenths of the rows
    by predicted sd). Outputs without an observed value are left out.
    """
    if predictions.y is None or not len(predictions.places):
        return []
    drawn = []
    for k in range(min(len(predictions.names), OUTPUTS_DRAWN)):
        known = np.flatnonzero(np.isfinite(predictions.y[:, k]))
        if known.size:
            drawn.append(_diagnose_output(predictions, k, known))
    return drawn


def _diagnose_output(predictions: Predictions, k: int, known: NDArray[np.int64]) -> Diagnostics:
    assert predictions.y is not None
    one = Predictions(
        (predictions.names[k],),
        predictions.places.take(known),
        predictions.y[known, k : k + 1],
        predictions.mu[:, known, k : k + 1],
        predictions.var_epistemic[:, known, k : k + 1],
        predictions.var_noise[:, known, k : k + 1],
    )
    assert one.y is not None
    y, mean, sd, pit = one.y[:, 0], one.mean[:, 0], one.sd[:, 0], one.pit[:, 0]
    standardised = (y - mean) / np.where(sd > 0, sd, 1.0)
    sample = _even_sample(len(y), POINTS_DRAWN)
    by_mean = np.argsort(mean, kind="stable")
    band = by_mean[_even_positions(len(y), ROWS_IN_BAND)]
    variance = one.sd_epistemic[:, 0] ** 2 / np.where(sd > 0, sd, 1.0) ** 2
    bins = int(np.clip(len(y) // 8, 4, 20))
    return {
        "name": predictions.names[k],
        "observed": len(y),
        "epistemic_share": float(variance.mean()),
        "scatter": _points(one, sample) | {"standardised": _list(standardised[sample])},
        "band": _points(one, band),
        "coverage": _coverage(pit),
        "pit": _histogram(pit, np.linspace(0, 1, bins + 1)),
        "standardised": _histogram(np.clip(standardised, -4, 4), np.linspace(-4, 4, 2 * bins + 1)),
        "spread": _spread(y - mean, sd),
    }


def _points(one: Predictions, index: NDArray[np.int64]) -> dict[str, list[float]]:
    part = one.take(index)
    assert part.y is not None
    quantiles = {"lo_90": 0.05, "lo_50": 0.25, "hi_50": 0.75, "hi_90": 0.95}
    columns = {"y": part.y, "mu": part.mean, "sd": part.sd}
    columns |= {"sd_epistemic": part.sd_epistemic, "sd_noise": part.sd_noise}
    columns |= {name: part.quantile(p) for name, p in quantiles.items()}
    return {name: _list(values[:, 0]) for name, values in columns.items()}


def _coverage(pit: Floats) -> dict[str, list[float]]:
    """A value lies inside the central interval of level p where |F(y) - 1/2| <= p/2."""
    nominal = np.linspace(0.05, 0.95, 19)
    centred = np.sort(2 * np.abs(pit - 0.5))
    inside = np.searchsorted(centred, nominal + 1e-12, side="right") / len(pit)
    return {"nominal": _list(nominal), "observed": _list(inside)}


def _histogram(values: Floats, edges: Floats) -> dict[str, list[float]]:
    counts, _ = np.histogram(values, edges)
    return {"edges": _list(edges), "counts": [int(count) for count in counts]}


def _spread(error: Floats, sd: Floats) -> dict[str, list[float]]:
    """Root mean squared error beside root mean predicted variance, in groups of equal size."""
    order = np.argsort(sd, kind="stable")
    groups = np.array_split(order, min(10, max(1, len(sd) // 10)))
    predicted = [np.sqrt(np.mean(sd[group] ** 2)) for group in groups]
    seen = [np.sqrt(np.mean(error[group] ** 2)) for group in groups]
    return {"predicted": _list(predicted), "seen": _list(seen), "rows": [len(g) for g in groups]}


def _even_sample(n: int, most: int) -> NDArray[np.int64]:
    """Up to `most` of n rows without replacement, the same ones each time, in their order."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, most, replace=False))


def _even_positions(n: int, most: int) -> NDArray[np.int64]:
    """Up to `most` positions spread evenly over 0..n-1, ends included."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))


def _list(values: Any) -> list[float]:
    """Floats with seven significant digits: what a figure can show, and no more bytes."""
    return [float(f"{value:.7g}") for value in np.asarray(values, dtype=np.float64).tolist()]
