"""How the outputs of a model move with its inputs, row by row and on the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data import Part
from tagi_cli.errors import UserError
from tagi_cli.experiment.explain.explained import networks_of, of_network
from tagi_cli.experiment.explain.features import Features
from tagi_cli.experiment.places import Places
from tagi_cli.nn.derivatives import means, variances, without_rule
from tagi_cli.nn.input_covariance import input_covariances

if TYPE_CHECKING:
    from tagi_cli.experiment.model import Model

Floats = NDArray[np.float64]

METHODS = ("auto", "derivative", "covariance")
"""How sensitivities are found; see `Explanation.method`."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """Sensitivities and attributions of n examples, K outputs (of all steps) and I inputs.

    Inputs are those of the network: F features, of windows at each of T steps. Standardised values
    are in scaled units, mostly standard deviations of the training part. Outputs of classes are
    their log-odds (`explained.of_network`), which are in no other units.

    Attributes:
        features: what the inputs are.
        names: the components, or the classes; `K = len(steps) * len(names)`.
        odds: whether outputs are the log-odds of classes.
        steps: rows by which each predicted row lies behind the prediction point.
        places: of the examples.
        method: `derivative`: moments of `dy/dx` through the layers; or, where layers have no rule
            for these, `covariance`: `cov(y, x) / var x` of the network's own inference, with inputs
            as uncertain as in the training part.
        slope: `(n, K, I)` the mean of the derivative, standardised.
        slope_sd: `(n, K, I)` its standard deviation, from what is not known of the networks; NaN
            for `covariance`, whose only uncertainty is that between networks.
        prediction: `(n, K)` mean, in the units of the data.
        baseline: `(n, K)` the same at the mean of the training inputs.
        contribution: `(n, K, T, C)` by column: how far it moves the prediction from the baseline,
            `sum cov(y, x) / var x (x - mean)`, in the units of the data.
        scale_y: `(n, K)` units of the data per scaled unit of the outputs.
        scale_x: `(n, F)` the same of the inputs.
    """

    features: Features
    names: tuple[str, ...]
    odds: bool
    steps: tuple[int, ...]
    places: Places
    method: str
    slope: Floats
    slope_sd: Floats
    prediction: Floats
    baseline: Floats
    contribution: Floats
    scale_y: Floats
    scale_x: Floats

    @property
    def derivative(self) -> Floats:
        """`(n, K, I)` in units of the output per unit of the column (of a category, per row)."""
        return np.asarray(self.slope * self._units)

    @property
    def derivative_sd(self) -> Floats:
        """`(n, K, I)` its standard deviation."""
        return np.asarray(self.slope_sd * self._units)

    @property
    def _units(self) -> Floats:
        return np.asarray(self.scale_y[:, :, None] / self.features.flat(self.scale_x)[:, None])

    @property
    def remainder(self) -> Floats:
        """`(n, K)` what contributions leave of the difference between prediction and baseline."""
        return np.asarray(self.prediction - self.baseline - self.contribution.sum(axis=(2, 3)))

    @property
    def share(self) -> Floats:
        """`(K, T, C)` of each column in the variance of the output, to first order; sums to one.

        The mean over rows of `g' cov(x) g` for the slopes g and the covariance x of the column's
        features in the training part, as if columns and steps were independent.
        """
        features, F = self.features, len(self.features.column)
        g = self.slope.reshape(*self.slope.shape[:2], features.steps, F)
        whole = features.by_column((g**2 * features.var).reshape(self.slope.shape))
        # Indicators of one column exclude each other: cov = diag(p) - p p'.
        is_category = np.array([bool(text) for text in features.categories]) & (features.low == 0)
        p = np.where(is_category, features.mean, 0)
        mean = features.by_column((g * p).reshape(self.slope.shape))
        square = features.by_column((g**2 * p**2).reshape(self.slope.shape))
        effect = (whole - mean**2 + square).mean(axis=0)
        total = effect.sum(axis=(1, 2), keepdims=True)
        return np.asarray(effect / np.where(total > 0, total, 1))


def explain(
    model: Model,
    part: Part,
    statistics: Sequence[Mapping[str, Any]],
    *,
    method: str = "auto",
    notices: list[str] | None = None,
) -> Explanation:
    """Explain the predictions for some examples.

    Args:
        model: of a table or of windows; of numbers, or of classes with a softmax.
        part: the examples.
        statistics: facts of each column in the training part, as in environment.json.
        method: one of `METHODS`.
        notices: collects remarks for the user.

    Raises:
        UserError: the networks cannot be explained, or a layer has no rule for `derivative`.
    """
    if method not in METHODS:
        raise UserError(f"method: found '{method}'. Allowed: {', '.join(METHODS)}")
    networks = networks_of(model)
    features = Features.of(model.encoder, statistics)
    missing = without_rule(of_network(model, networks[0]).layer)
    if missing is not None and method == "derivative":
        raise UserError(
            f"method: there is no rule for the moments of derivatives through {missing}. Allowed: "
            "method=covariance, which takes them from the network's own inference"
        )
    if missing is not None and method == "auto" and notices is not None:
        notices.append(
            f"sensitivities are cov(y, x) / var x of the network's own inference: there is no rule "
            f"for the moments of derivatives through {missing}"
        )
    if method == "auto":
        method = "derivative" if missing is None else "covariance"
    x = np.asarray(part.x, np.float64)
    n, shape = len(x), x.shape[1:]
    mean, var = (features.flat(values).reshape(shape) for values in (features.mean, features.var))
    slopes, spreads, own, predicted, bases = [], [], [], [], []
    for network in networks:
        (layer, outputs), store = of_network(model, network), network.parameters
        regression = input_covariances(layer, store, x, np.broadcast_to(var, x.shape), outputs)
        own.append(regression.slope)
        predicted.append(means(layer, store, x, outputs))
        bases.append(means(layer, store, mean[None], outputs))
        if method == "derivative":
            mean_slope, variance = variances(layer, store, x, outputs)
            slopes.append(mean_slope)
            spreads.append(variance)
        else:
            slopes.append(regression.slope)
            spreads.append(np.full_like(regression.slope, np.nan))
    slope = np.mean(slopes, axis=0)
    spread = np.mean(spreads, axis=0) + np.var(slopes, axis=0)
    units = (part.center, part.scale) if model.classes is None else (0.0, 1.0)
    center, scale_y = (np.broadcast_to(v, (n, slope.shape[1])) for v in units)
    away = (x - mean).reshape(n, 1, -1)
    contribution = features.by_column(np.mean(own, axis=0) * away) * scale_y[:, :, None, None]
    windowing = model.encoder.windowing
    steps: tuple[int, ...] = (0,)
    if windowing is not None:
        steps = tuple(range(windowing.chunks.targets[0], windowing.chunks.targets[1] + 1))
    return Explanation(
        features,
        model.outputs if model.classes is None else model.classes,
        model.classes is not None,
        steps,
        Places.of(part),
        method,
        slope,
        np.sqrt(np.maximum(spread, 0)),
        center + scale_y * np.mean(predicted, axis=0),
        center + scale_y * np.mean(bases, axis=0),
        contribution,
        scale_y,
        features.scales_of(model.encoder, part),
    )
