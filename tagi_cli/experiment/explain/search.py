"""Inputs that an output asks for, by inference of the input from a wanted output.

The input is Gaussian, with the moments of the training part around a start; the wanted output is an
observation of it through the networks. The posterior mean is found by linearising again at each new
mean (iterated extended Kalman filter: Bell & Cathey 1993, IEEE Trans. Autom. Control 38, 294-297),
within the range of the training part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.errors import UserError
from tagi_cli.experiment.explain.explained import networks_of, of_network, refuse_classes
from tagi_cli.experiment.explain.features import Features
from tagi_cli.nn.derivatives import variances, without_rule
from tagi_cli.nn.input_covariance import input_covariances
from tagi_cli.training.learner import Learner

if TYPE_CHECKING:
    from tagi_cli.experiment.model import Model

Floats = NDArray[np.float64]

_ITERATIONS = 100
_HALVINGS = 12
# Scaled units.
_REACHED, _STILL = 1e-3, 1e-6


@dataclass(frozen=True, eq=False)
class Found:
    """Moments of the input given the wanted output; I inputs, K outputs, scaled units.

    Attributes:
        features: what the inputs are.
        start: `(I,)`.
        mean: `(I,)` within the range of the training part.
        sd: `(I,)` 0 where an input is kept as it is.
        at_bound: `(I,)` whether the mean is at the end of the range.
        wanted: `(K,)` in the units of the data, NaN where anything is welcome.
        prediction: `(K,)` the mean that the networks predict there, in the units of the data.
        sd_epistemic, sd_noise: `(K,)` of that prediction.
        reached: whether it is the wanted output; else it is as near as was found.
    """

    features: Features
    start: Floats
    mean: Floats
    sd: Floats
    at_bound: NDArray[np.bool_]
    wanted: Floats
    prediction: Floats
    sd_epistemic: Floats
    sd_noise: Floats
    reached: bool

    def in_units(self, values: Floats) -> Floats:
        """Scaled inputs `(I,)` in the units of the table."""
        flat = self.features.flat
        return np.asarray(flat(self.features.center) + flat(self.features.scale) * values)


def search(
    model: Model,
    statistics: Sequence[Mapping[str, Any]],
    wanted: Floats,
    start: Floats | None = None,
) -> Found:
    """Find the input, nearest to a start, of which the networks predict the wanted output.

    Numbers move; categories and dates stay as they are at the start.

    Args:
        model: of numbers, with one scaler for each column.
        statistics: facts of each column in the training part, as in environment.json.
        wanted: `(K,)` in the units of the data, NaN where anything is welcome.
        start: an encoded input `(T, F)` or `(F,)`; None takes the mean of the training part, and of
            categories the most frequent one.

    Raises:
        UserError: the networks cannot be explained, windows have scalers of their own, nothing can
            move, or nothing is wanted.
    """
    networks, encoder = networks_of(model), model.encoder
    refuse_classes(model)
    windowing = encoder.windowing
    if windowing is not None and (windowing.scalers or windowing.by_window):
        raise UserError(
            "target: series or windows have scalers of their own here, so that an input has no "
            "units. Allowed: data.scaling_by=column"
        )
    features = Features.of(encoder, statistics)
    asked = np.flatnonzero(~np.isnan(wanted))
    moves = np.flatnonzero(features.flat(features.moves) & (features.flat(features.var) > 0))
    if not len(asked):
        raise UserError("target: found no number. Allowed: a value for one output at least")
    if not len(moves):
        raise UserError("target: no input can move: none is a number that varies")
    scale = np.tile(encoder.scale_y, len(wanted) // len(encoder.scale_y))
    center = np.tile(encoder.center_y, len(wanted) // len(encoder.center_y))
    goal = ((wanted - center) / scale)[asked]
    linear = _Linear(networks, encoder.input_shape, of_network(model, networks[0]).weights[asked])
    first = _mean_input(features) if start is None else np.asarray(start, np.float64).ravel()
    low, high = (_ends(features, values, sign) for values, sign in
                 ((features.low, -1.0), (features.high, 1.0)))  # fmt: skip
    low, high = np.minimum(low, first), np.maximum(high, first)
    prior = np.zeros(len(first))
    prior[moves] = features.flat(features.var)[moves]
    x, (mean, H) = first.copy(), linear.at(first)
    for _ in range(_ITERATIONS):
        step = _posterior_mean(first, prior, x, goal - mean, H, low, high) - x
        before = np.abs(goal - mean).max()
        for _ in range(_HALVINGS):
            moved = linear.at(x + step)
            if np.abs(goal - moved[0]).max() <= before or before < _REACHED:
                break
            step = step / 2
        x, (mean, H) = x + step, moved
        if np.abs(step).max() < _STILL:
            break
    laws = [network.predict(_input(x, encoder.input_shape, network)) for network in networks]
    epistemic = np.mean([law.var_epistemic[0] for law in laws], axis=0) + np.var(
        [law.mu[0] for law in laws], axis=0
    )
    gain = prior * H
    S = gain @ H.T + np.diag(epistemic[asked])
    variance = prior - np.einsum("ki,ki->i", gain, np.linalg.solve(S, gain))
    return Found(
        features,
        first,
        x,
        np.sqrt(np.maximum(variance, 0)),
        (prior > 0) & ((x <= low) | (x >= high)),
        wanted,
        center + scale * np.mean([law.mu[0] for law in laws], axis=0),
        scale * np.sqrt(epistemic),
        scale * np.sqrt(np.mean([law.var_noise[0] for law in laws], axis=0)),
        bool(np.abs(goal - mean).max() <= _REACHED),
    )


class _Linear:
    """Predictive mean of the ensemble and its slope at an input."""

    def __init__(
        self, networks: Sequence[Learner], shape: tuple[int, ...], outputs: Floats
    ) -> None:
        self._networks = networks
        self._shape = shape
        self._outputs = outputs
        self._has_rules = without_rule(networks[0].layer) is None

    def at(self, x: Floats) -> tuple[Floats, Floats]:
        """`(K,)` and `(K, I)` at an input `(I,)`."""
        means, slopes = [], []
        for network in self._networks:
            layer, store = network.layer, network.parameters
            row = x.reshape(1, *self._shape)
            found = input_covariances(layer, store, row, np.zeros_like(row), self._outputs)
            means.append(found.mean[0])
            exact = variances(layer, store, row, self._outputs)[0] if self._has_rules else None
            slopes.append(found.slope[0] if exact is None else exact[0])
        return np.mean(means, axis=0), np.mean(slopes, axis=0)


def _posterior_mean(
    first: Floats,
    prior: Floats,
    x: Floats,
    missing: Floats,
    H: Floats,
    low: Floats,
    high: Floats,
) -> Floats:
    """The mean of inputs `N(first, diag(prior))` given that outputs, linear at x, lack nothing.

    Inputs that would leave their range stay at its end, and the others make up for it.
    """
    free, kept = prior > 0, x.copy()
    for _ in range(len(x)):
        P = np.where(free, prior, 0)
        # What is missing once the kept inputs are where they stay, and the others at their prior.
        left = missing + H @ (x - np.where(free, first, kept))
        S = (H * P) @ H.T
        gain = np.linalg.lstsq(S + 1e-12 * np.trace(S) * np.eye(len(S)), left, rcond=None)[0]
        found = np.where(free, first + P * (H.T @ gain), kept)
        out = free & ((found < low) | (found > high))
        if not out.any():
            return np.asarray(found)
        kept = np.where(out, np.clip(found, low, high), kept)
        free = free & ~out
    return np.clip(np.where(free, first, kept), low, high)


def _mean_input(features: Features) -> Floats:
    """The mean of the training part; of categories the most frequent."""
    found = features.mean.copy()
    for column in set(features.column.tolist()):
        own = np.flatnonzero(features.column == column)
        if len(own) > 1 and not features.moves[own].any() and (features.low[own] == 0).all():
            found[own] = np.arange(len(own)) == int(np.argmax(features.mean[own]))
    return features.flat(found)


def _ends(features: Features, values: Floats, sign: float) -> Floats:
    """Ends of the range; where none is known, far away."""
    return features.flat(np.where(np.isnan(values), sign * np.inf, values))


def _input(x: Floats, shape: tuple[int, ...], network: Learner) -> Any:
    return x.reshape(1, *shape).astype(network.backend.dtype)
