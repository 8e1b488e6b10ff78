"""Moments of the derivatives of a network's outputs with respect to its inputs, in closed form.

Weights, units and the slopes of activations are Gaussian, and so the derivative
`dy/dx = W1 f'(z1) W2 f'(z2) ...` is a product of uncertain factors. Its moments are propagated from
the output back to the input, layer by layer; see the page docs/explaining.md for the formulas.

The mean is the derivative of the network's own predictive mean, exactly: that mean depends on
means and variances of the units, and both ways are followed. The covariance counts the weights of a
layer as independent of what lies above it, but for the slopes `f'(z)` of the units that they feed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit, ndtr

from tagi_cli.backend import Array, collective
from tagi_cli.nn.layer import Layer
from tagi_cli.nn.layers.activations import (
    EvenExp,
    LeakyReLU,
    MixtureReLU,
    ReLU,
    Sigmoid,
    Softplus,
    Tanh,
)
from tagi_cli.nn.layers.batch_norm import BatchNorm2d
from tagi_cli.nn.layers.dropout import Dropout
from tagi_cli.nn.layers.linear import Linear
from tagi_cli.nn.layers.structure import Flatten, Reshape
from tagi_cli.nn.parameters import Parameters, flat_size
from tagi_cli.nn.plan import Plan, Value
from tagi_cli.nn.sequential import Sequential

Host = np.ndarray[Any, Any]

_DENSITY = 1 / np.sqrt(2 * np.pi)
# Elements of the covariances that are held at once, and rows of predictions.
_HELD, _ROWS = 1 << 23, 1024


class NoRuleError(ValueError):
    """A layer for which there is no rule; the text names it."""


class Derivatives(NamedTuple):
    """Moments of `dy_k/dx_i` for B rows, K outputs and I inputs.

    Attributes:
        mean: `(B, K, I)`.
        covariance: `(B, K, I, I)`, between the derivatives of one output.
    """

    mean: Host
    covariance: Host

    @property
    def variance(self) -> Host:
        """`(B, K, I)`."""
        return np.asarray(np.einsum("bkii->bki", self.covariance))


class _Units(NamedTuple):
    """Means and variances `(B, n)` of the units between two layers."""

    mu: Host
    var: Host


class _Way(NamedTuple):
    """What is known of the derivative with respect to the units between two layers.

    Attributes:
        of_mean: `(B, n)`, of the predictive mean with respect to the units' means: the mean of the
            derivative.
        of_var: `(B, n)`, of the predictive mean with respect to the units' variances.
        covariance: `(B, n, n)` of the derivative.
        bend: `(B, n)`, `E f''(z_j) E dy/da_j`; times `cov(W, z_j)` it is the covariance of the
            derivative with respect to unit j and a weight `W` that feeds it.
    """

    of_mean: Host
    of_var: Host
    covariance: Host
    bend: Host


Rule = Callable[[Any, _Units, _Way], _Way]


@dataclass(frozen=True)
class _Slopes:
    """An activation at B rows of n units: mean and variance of `f'(z)`, mean of `f''(z)`, and how
    the variance of `f(z)` changes with the mean and the variance of z, and its mean with that
    variance.
    """

    slope: Host
    slope_var: Host
    curvature: Host
    var_by_mean: Host
    var_by_var: Host
    mean_by_var: Host | float = 0.0


def _linearised(slope: Host, curvature: Host, var: Host) -> _Slopes:
    """An activation that is linearised at the mean: `E f(z) = f(mu)`, `var f(z) = f'(mu)^2 var`."""
    return _Slopes(slope, curvature**2 * var, curvature, 2 * slope * curvature * var, slope * slope)


def _tanh(layer: Layer, z: _Units) -> _Slopes:
    a = np.tanh(z.mu)
    return _linearised(1 - a * a, -2 * a * (1 - a * a), z.var)


def _sigmoid(layer: Layer, z: _Units) -> _Slopes:
    s = expit(z.mu)
    slope = s * (1 - s)
    return _linearised(slope, slope * (1 - 2 * s), z.var)


def _softplus(layer: Layer, z: _Units) -> _Slopes:
    s = expit(z.mu)
    return _linearised(s, s * (1 - s), z.var)


def _relu(layer: Layer, z: _Units) -> _Slopes:
    return _linearised((z.mu > 0).astype(float), np.zeros_like(z.mu), z.var)


def _leaky_relu(layer: LeakyReLU, z: _Units) -> _Slopes:
    slope = np.where(z.mu > 0, 1.0, layer.negative_slope)
    return _linearised(slope, np.zeros_like(z.mu), z.var)


def _mixture_relu(layer: Layer, z: _Units) -> _Slopes:
    """Exact moments of the rectifier: its slope is 1 with probability `P(z > 0)`, else 0."""
    sd = np.sqrt(z.var)
    some = sd > 0
    t = z.mu / np.where(some, sd, 1)
    P = np.where(some, ndtr(t), z.mu > 0)
    density = np.where(some, _DENSITY * np.exp(-0.5 * t * t) / np.where(some, sd, 1), 0)
    mean = z.mu * P + z.var * density
    return _Slopes(P, P * (1 - P), density, 2 * mean * (1 - P), P - mean * density, 0.5 * density)


def _even_exp(layer: Layer, z: _Units) -> _Slopes:
    """The predictions among the units pass; the variances between them are not explained."""
    even = np.zeros_like(z.mu)
    even[:, ::2] = 1
    none = np.zeros_like(z.mu)
    return _Slopes(even, none, none, none, even)


_ACTIVATIONS: dict[type[Layer], Callable[[Any, _Units], _Slopes]] = {
    EvenExp: _even_exp,
    LeakyReLU: _leaky_relu,
    MixtureReLU: _mixture_relu,
    ReLU: _relu,
    Sigmoid: _sigmoid,
    Softplus: _softplus,
    Tanh: _tanh,
}


def _through_activation(layer: Layer, z: _Units, way: _Way) -> _Way:
    """From the activations to the units below: `dy/dz = f'(z) dy/da`, the two independent."""
    f = _ACTIVATIONS[type(layer)](layer, z)
    spread = np.einsum("bii->bi", way.covariance)
    covariance = way.covariance * f.slope[:, :, None] * f.slope[:, None, :]
    np.einsum("bii->bi", covariance)[...] += f.slope_var * (way.of_mean**2 + spread)
    return _Way(
        f.slope * way.of_mean + f.var_by_mean * way.of_var,
        f.mean_by_var * way.of_mean + f.var_by_var * way.of_var,
        covariance,
        f.curvature * way.of_mean,
    )


def _through_linear(layer: Linear, x: _Units, way: _Way) -> _Way:
    """From the outputs of a fully connected layer to its inputs: `dy/dx = W' dy/dz`."""
    W, V = _weights(layer)
    spread = np.einsum("bii->bi", way.covariance)
    covariance = W.T @ way.covariance @ W
    np.einsum("bii->bi", covariance)[...] += (spread + way.of_mean**2) @ V
    # cov(W_ji, z_j) = mu_x_i var_W_ji bends the slope at z_j with the weight itself.
    bent = way.bend[:, :, None] * x.mu[:, None, :] * V
    straight = way.of_mean[:, :, None] * W
    cross = np.swapaxes(straight, 1, 2) @ bent
    covariance += cross + np.swapaxes(cross, 1, 2) + np.swapaxes(bent, 1, 2) @ bent
    return _Way(
        _mean_through_linear(layer, x, way),
        way.of_var @ (W**2 + V),
        covariance,
        np.zeros_like(x.mu),
    )


def _weights(layer: Linear) -> tuple[Host, Host]:
    """Means and variances of the weights `(O, I)`."""
    assert layer.weight is not None
    return _host(layer.weight.mu), _host(layer.weight.var)


def _through_batch_norm(layer: BatchNorm2d, x: _Units, way: _Way) -> _Way:
    """Through the gains of a normalisation by running statistics, `dy/dx = g dy/dz / sd`."""
    assert layer.running_var is not None
    assert layer.weight is not None
    positions = x.mu.shape[1] // layer.features
    if positions > 1:
        raise NoRuleError(f"{layer.describe()} of channels with several positions")
    running_mean, running_var = layer.running_mean, layer.running_var
    assert running_mean is not None
    scale = 1 / np.sqrt(_host(running_var.value) + layer.eps)
    W, V = _host(layer.weight.mu) * scale, _host(layer.weight.var) * scale**2
    centred = x.mu - _host(running_mean.value)
    spread = np.einsum("bii->bi", way.covariance)
    covariance = way.covariance * W[:, None] * W
    np.einsum("bii->bi", covariance)[...] += V * (spread + way.of_mean**2)
    bent = way.bend * centred * V
    np.einsum("bii->bi", covariance)[...] += bent * (bent + 2 * way.of_mean * W)
    return _Way(
        way.of_mean * W + 2 * centred * V * way.of_var,
        way.of_var * (W**2 + V),
        covariance,
        way.bend * W**2,
    )


def _unchanged(layer: Layer, x: _Units, way: _Way) -> _Way:
    if isinstance(layer, Dropout) and layer.at_eval:
        raise NoRuleError(f"{layer.describe()} that drops units in prediction")
    return way


_RULES: dict[type[Layer], Rule] = {
    Linear: _through_linear,
    BatchNorm2d: _through_batch_norm,
    Dropout: _unchanged,
    Flatten: _unchanged,
    Reshape: _unchanged,
    **dict.fromkeys(_ACTIVATIONS, _through_activation),
}


def without_rule(layer: Layer) -> str | None:
    """The first layer without a rule, as it is called in listings; None where all have one."""
    for leaf in _leaves(layer):
        if type(leaf) not in _RULES:
            return leaf.describe()
        if isinstance(leaf, Linear) and not leaf.flatten and len(leaf.input_shape or ()) > 1:
            return f"{leaf.describe()} along one axis of several"
    return None


def combinations(outputs: Sequence[int] | Host, units: int) -> Host:
    """Outputs as sums of units: weights `(K, units)` as they are, numbers of units as ones."""
    found = np.asarray(outputs)
    return found if found.ndim == 2 else np.eye(units)[found.astype(int)]


def means(layer: Layer, parameters: Parameters, x: Host, outputs: Sequence[int] | Host) -> Host:
    """Predictive means `(B, K)` of some outputs, inputs being certain; as in `derivatives`."""
    leaves, found = _leaves(layer), []
    for begin in range(0, max(len(x), 1), _ROWS):
        mu = _forward(leaves, parameters, x[begin : begin + _ROWS])[-1].mu
        found.append(mu @ combinations(outputs, mu.shape[1]).T)
    return np.concatenate(found)


def derivatives(
    layer: Layer, parameters: Parameters, x: Host, outputs: Sequence[int] | Host
) -> Derivatives:
    """Moments of the derivatives of some outputs with respect to all inputs, inputs being certain.

    Args:
        layer: a built network: layers one after the other.
        parameters: its store.
        x: inputs `(B, ...)`.
        outputs: which units of the flattened output; or sums of them, weights `(K, units)`.

    Raises:
        NoRuleError: a layer has no rule; the text names it.
    """
    return Derivatives(*_moments(layer, parameters, x, outputs, whole=True))


def variances(
    layer: Layer, parameters: Parameters, x: Host, outputs: Sequence[int] | Host
) -> tuple[Host, Host]:
    """Mean and variance of `derivatives`, `(B, K, I)` each, at less cost where inputs are many."""
    return _moments(layer, parameters, x, outputs, whole=False)


def _moments(
    layer: Layer, parameters: Parameters, x: Host, outputs: Sequence[int] | Host, *, whole: bool
) -> tuple[Host, Host]:
    """Means, and covariances or variances, block by block."""
    missing = without_rule(layer)
    if missing is not None:
        raise NoRuleError(missing)
    leaves, I = _leaves(layer), flat_size(x.shape[1:])
    widest = max(flat_size(leaf.output_shape or ()) for leaf in leaves)
    block = max(1, _HELD // max(widest * max(widest, I), I * I if whole else 0))
    shape = len(x), len(outputs), I
    mean, second = np.empty(shape), np.empty((*shape, I) if whole else shape)
    for begin in range(0, len(x), block):
        rows = slice(begin, begin + block)
        units = _forward(leaves, parameters, x[rows])
        for k, weights in enumerate(combinations(outputs, units[-1].mu.shape[1])):
            mean[rows, k], second[rows, k] = _of_output(leaves, units, weights, whole=whole)
    return mean, second


def _of_output(
    leaves: Sequence[Layer], units: Sequence[_Units], weights: Host, *, whole: bool
) -> tuple[Host, Host]:
    """Mean, and covariance or variance, of the derivatives of a sum of outputs."""
    B, n = units[-1].mu.shape
    way = _Way(np.tile(weights, (B, 1)), np.zeros((B, n)), np.zeros((B, n, n)), np.zeros((B, n)))
    bottom = next((i for i, leaf in enumerate(leaves) if _RULES[type(leaf)] != _unchanged), -1)
    for place in range(len(leaves) - 1, -1, -1):
        leaf, before = leaves[place], units[place]
        if place == bottom and isinstance(leaf, Linear) and not whole:
            return _mean_through_linear(leaf, before, way), _variance(leaf, before, way)
        way = _RULES[type(leaf)](leaf, before, way)
    return way.of_mean, way.covariance if whole else np.einsum("bii->bi", way.covariance)


def _mean_through_linear(layer: Linear, x: _Units, way: _Way) -> Host:
    W, V = _weights(layer)
    return np.asarray(way.of_mean @ W + 2 * x.mu * (way.of_var @ V))


def _variance(layer: Linear, x: _Units, way: _Way) -> Host:
    """The diagonal of the covariance that `_through_linear` gives."""
    W, V = _weights(layer)
    spread = np.einsum("bii->bi", way.covariance)
    found = ((way.covariance @ W) * W).sum(axis=1) + (spread + way.of_mean**2) @ V
    found += 2 * x.mu * ((way.of_mean * way.bend) @ (W * V))
    return np.asarray(found + x.mu**2 * (way.bend**2 @ V**2))


def _forward(leaves: list[Layer], parameters: Parameters, x: Host) -> list[_Units]:
    """Moments before the first layer and after each, as the network itself has them."""
    plan = Plan(parameters.backend, parameters, len(x), training=False, differentiable=False)
    values: list[Value] = [plan.value(x.shape[1:], certain=True)]
    for leaf in leaves:
        values.append(leaf.trace(plan, values[-1]))
    parameters.backend.write(values[0].mu, x)
    collective.bind(parameters.backend, plan.take()).run(1)
    found = []
    for value in values:
        mu = _host(value.mu).reshape(len(x), flat_size(value.shape))
        var = np.zeros_like(mu) if value.var is None else _host(value.var).reshape(mu.shape)
        found.append(_Units(mu, var))
    return found


def _leaves(layer: Layer) -> list[Layer]:
    """The layers of nested chains, in order."""
    if isinstance(layer, Sequential):
        return [leaf for inner in layer for leaf in _leaves(inner)]
    return [layer]


def _host(array: Array) -> Host:
    """An array of any device, in double precision."""
    return np.asarray(array.get() if hasattr(array, "get") else array, np.float64)
