"""Metrics that plugins bring and `metrics` names: reported beside those of the task."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tagi_cli import plugins
from tagi_cli.errors import UserError, listing, nearest

Metric = Callable[..., float]

NUMBERS = ("y", "mu", "var")
"""Arguments of a metric of real numbers; see `training.metrics.regression_metrics`."""

CLASSES = ("labels", "p")
"""Arguments of a metric of classes; see `training.classification.classification_metrics`."""

OWN: Mapping[tuple[str, ...], tuple[str, ...]] = MappingProxyType(
    {
        NUMBERS: (
            "rmse", "mae", "r2", "nll", "crps", "coverage_50", "coverage_90", "coverage_95",
            "width_90", "pit_error", "mase", "nd", "p90", "smape", "noise_floor", "max_angle_deg",
            "subjects", "components",
        ),
        CLASSES: ("error_rate", "nll", "brier", "ece"),
    }
)  # fmt: skip
"""Names in summary.json that are taken, by the arguments of a metric."""

_WORDS = {NUMBERS: "real numbers", CLASSES: "classes"}


def arguments_of(metric: Metric) -> tuple[str, ...]:
    """What a metric is a function of: `NUMBERS` or `CLASSES`.

    Raises:
        TypeError: it is no function of either.
    """
    if callable(metric):
        names = tuple(inspect.signature(metric).parameters)
        if names in OWN:
            return names
    allowed = " or ".join(f"({', '.join(names)})" for names in OWN)
    raise TypeError(f"{metric!r} is no function of {allowed}")


def own_names() -> set[str]:
    """All names that no metric of a plugin may have."""
    return {name for names in OWN.values() for name in names}


def _plugin(name: str, where: str) -> plugins.Plugin:
    if name in own_names():
        raise UserError(f"{where}: '{name}' is reported where the task has it; leave it out here")
    plugin = plugins.find(plugins.METRICS, name, where)
    if plugin is None:
        names = [one.name for one in plugins.installed(plugins.METRICS)]
        allowed = listing(names) if names else "none, as no installed package brings metrics"
        raise UserError(f"{where}: no metric '{name}'.{nearest(name, names)} Allowed: {allowed}")
    return plugin


def faults(names: Sequence[str], classification: bool) -> list[str]:
    """What is wrong with the metrics that a config names."""
    found, wanted = [], CLASSES if classification else NUMBERS
    for number, name in enumerate(names):
        where = f"metrics.{number}"
        try:
            takes = _plugin(name, where).make(where, adopt)
        except UserError as error:
            found.append(str(error))
            continue
        if takes != wanted:
            found.append(
                f"{where}: '{name}' is a metric of {_WORDS[takes]}, but the task predicts "
                f"{_WORDS[wanted]}. Leave it out"
            )
    return found


def values(names: Sequence[str], *predicted: Any) -> dict[str, float]:
    """Each metric by name, of what its arguments stand for.

    Raises:
        UserError: a metric failed, or its value is no number.
    """
    where = "metrics"
    return {
        name: _plugin(name, where).make(where, lambda _, metric: float(metric(*predicted)))
        for name in names
    }


def adopt(name: str, metric: Any) -> tuple[str, ...]:
    """What a plugin's metric is a function of, as `Plugin.make` takes it; see `arguments_of`."""
    return arguments_of(metric)
