"""What a model says about examples: numbers or classes, in the units of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tagi_cli.data import Encoder
from tagi_cli.data.images.encoder import takes_images
from tagi_cli.experiment import class_predictions, extra_metrics, predictions, reconstructions
from tagi_cli.experiment.class_predictions import ClassPredictions
from tagi_cli.experiment.forecasting import Forecasts
from tagi_cli.experiment.places import Places, cell
from tagi_cli.experiment.predictions import Floats, Predictions
from tagi_cli.experiment.reconstructions import Reconstructions
from tagi_cli.experiment.report import class_diagnostics, diagnostics, forecast_diagnostics
from tagi_cli.training.interface import Prediction
from tagi_cli.training.metrics import regression_metrics

Law = Predictions | ClassPredictions


def in_original_units(
    encoder: Encoder,
    members: Sequence[Prediction],
    places: Places,
    y: Floats | None,
    center: Floats,
    scale: Floats,
    lengths: Any = None,
) -> Law:
    """The members' predictions, made in scaled units, in those of the data.

    Args:
        encoder: of the model.
        members: what each of M networks predicts.
        places: of the n examples.
        y: `(n, K)` targets in original units, of classes their numbers `(n, 1)`; None without.
        center: `(1 or n, K)`, a target in original units is `center + scale * scaled`.
        scale: `(1 or n, K)`.
        lengths: `(n,)` how many steps of its windows each example has; None for all.
    """
    mu = np.stack([member.mu for member in members])
    epistemic = np.stack([member.var_epistemic for member in members])
    if encoder.classes is not None:
        label = None if y is None else y[:, 0]
        return ClassPredictions(encoder.classes, places, label, mu, epistemic)
    noise = np.stack([member.var_noise for member in members])
    # In place: of images they are large.
    mu *= scale
    mu += center
    for var in (epistemic, noise):
        var *= scale**2
    if takes_images(encoder):
        steps = tuple(range(encoder.units))
        return Reconstructions(encoder.outputs, places, y, mu, epistemic, noise, steps)
    steps = (0,)
    if encoder.windowing is not None:
        first, last = encoder.windowing.chunks.targets
        steps = tuple(range(first, last + 1))
        places = replace(places, clock=encoder.windowing.step)
    return Predictions(encoder.outputs, places, y, mu, epistemic, noise, steps, lengths)


def is_observed(law: Law) -> bool:
    """Whether there is anything to compare with."""
    return law.y is not None and bool(np.isfinite(law.y).any())


def metrics(law: Law, extra: Sequence[str] = ()) -> dict[str, Any]:
    """The metrics of summary.json; empty where there is no example or no observed value.

    Args:
        law: what is predicted, and what was observed.
        extra: names of metrics of plugins.

    Raises:
        UserError: a metric of a plugin failed.
    """
    if not is_observed(law):
        return {}
    if isinstance(law, ClassPredictions):
        assert law.label is not None
        return law.metrics() | extra_metrics.values(extra, law.label, law.mean)
    apart = law.by_component
    assert apart.y is not None
    found = regression_metrics(apart.y, apart.mu, apart.var, apart.names)
    components = found.pop("components")
    if isinstance(law, Forecasts):
        found |= law.metrics()
    found |= extra_metrics.values(extra, apart.y, apart.mu, apart.var)
    return found | {"components": components}


def write_csv(path: Path, law: Law) -> None:
    """Write predictions/<split>.csv.

    Raises:
        UserError: the file cannot be written.
    """
    if isinstance(law, ClassPredictions):
        class_predictions.write_csv(path, law)
    elif isinstance(law, Reconstructions):
        reconstructions.write_csv(path, law)
    else:
        predictions.write_csv(path, law)


def csv_header(law: Law) -> str:
    """The first line of what `write_csv` writes."""
    if isinstance(law, ClassPredictions):
        columns = class_predictions.columns(law)
    elif isinstance(law, Reconstructions):
        columns = reconstructions.columns(law)
    else:
        columns = predictions.columns(law)
    return ",".join(map(cell, columns)) + "\n"


def csv_lines(law: Law) -> str:
    """The other lines of it."""
    if isinstance(law, ClassPredictions):
        return class_predictions.lines(law)
    if isinstance(law, Reconstructions):
        return reconstructions.lines(law)
    return predictions.lines(law)


def diagnose(law: Law) -> list[dict[str, Any]]:
    """JSON-able numbers for the figures, one mapping for each group of them."""
    if isinstance(law, ClassPredictions):
        return class_diagnostics.diagnose(law)
    if isinstance(law, Forecasts):
        return forecast_diagnostics.diagnose(law)
    return diagnostics.diagnose(law.by_component)
