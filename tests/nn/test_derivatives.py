"""Moments of derivatives: finite differences of the predictive mean, sampled networks, algebra."""

from __future__ import annotations

import numpy as np
import pytest

from tagi_cli import nn
from tagi_cli.backend import select
from tagi_cli.nn.derivatives import NoRuleError, derivatives, means, variances, without_rule
from tagi_cli.nn.input_covariance import input_covariances

BACKEND = select("cpu", "numpy", "float64")
SMOOTH = [nn.Tanh, nn.Sigmoid, nn.Softplus, nn.MixtureReLU]
Host = np.ndarray


def network(*layers: nn.Layer, inputs: int = 4, seed: int = 1) -> nn.Network:
    rng = np.random.default_rng(seed)
    made = nn.Network(nn.Sequential(*layers), (inputs,), rng=rng, backend=BACKEND)
    made.eval()
    return made


def differences(net: nn.Network, x: Host, step: float = 1e-5) -> Host:
    """Central differences `(B, K, I)` of the predictive mean."""
    columns = []
    for i in range(x.shape[1]):
        e = np.zeros(x.shape[1])
        e[i] = step
        columns.append((net(x + e)[0] - net(x - e)[0]) / (2 * step))
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("activation", [*SMOOTH, nn.ReLU, nn.LeakyReLU])
def test_the_mean_is_the_derivative_of_the_predictive_mean(activation: type[nn.Layer]) -> None:
    net = network(
        nn.Linear(0, 20), activation(), nn.Linear(0, 12), nn.BatchNorm2d(), activation(),
        nn.Dropout(0.8), nn.Sequential(nn.Flatten(), nn.Linear(0, 2)),
    )  # fmt: skip
    rng = np.random.default_rng(2)
    net.train()
    net(rng.normal(size=(60, 4)))
    net.eval()
    x = rng.normal(size=(7, 4))
    found = derivatives(net.layer, net.parameters, x, [0, 1])
    expected = differences(net, x)
    np.testing.assert_allclose(found.mean, expected, atol=1e-8 * np.abs(expected).max())
    # So are variances alone, and one output by itself.
    mean, variance = variances(net.layer, net.parameters, x, [0, 1])
    np.testing.assert_allclose(mean, found.mean, rtol=1e-12)
    np.testing.assert_allclose(variance, found.variance, rtol=1e-12)
    one = derivatives(net.layer, net.parameters, x, [1])
    np.testing.assert_allclose(one.mean[:, 0], found.mean[:, 1], rtol=1e-12)
    np.testing.assert_allclose(one.covariance[:, 0], found.covariance[:, 1], rtol=1e-12)


@pytest.mark.parametrize("activation", [nn.Tanh, nn.Sigmoid, nn.Softplus, nn.ReLU])
def test_the_networks_own_inference_has_the_same_slopes(activation: type[nn.Layer]) -> None:
    """Two ways to one number: linearised activations make the backward pass the derivative."""
    net = network(nn.Linear(0, 20), activation(), nn.Linear(0, 12), activation(), nn.Linear(0, 3))
    x = np.random.default_rng(2).normal(size=(5, 4))
    moments = derivatives(net.layer, net.parameters, x, [0, 2])
    spread = np.full_like(x, 0.7)
    regression = input_covariances(net.layer, net.parameters, x, spread, [0, 2])
    np.testing.assert_allclose(regression.slope, moments.mean, rtol=1e-10)
    mu, var = net(x, spread)
    np.testing.assert_allclose(regression.mean, mu[:, [0, 2]], rtol=1e-12)
    np.testing.assert_allclose(regression.variance, var[:, [0, 2]], rtol=1e-12)


def test_a_linear_layer_gives_its_weights() -> None:
    net = network(nn.Linear(0, 3))
    found = derivatives(net.layer, net.parameters, np.zeros((2, 4)), [0, 1, 2])
    weight = net.layer[0].weight
    for row in range(2):
        np.testing.assert_allclose(found.mean[row], weight.mu)
        np.testing.assert_allclose(found.variance[row], weight.var)
        for k in range(3):
            np.testing.assert_allclose(found.covariance[row, k], np.diag(weight.var[k]))


def test_two_linear_layers_give_the_moments_of_a_product() -> None:
    """`d_i = sum_j V_j W_ji`: Isserlis, with V and W independent."""
    net = network(nn.Linear(0, 6), nn.Linear(0, 1))
    W, V = net.layer[0].weight, net.layer[1].weight
    found = derivatives(net.layer, net.parameters, np.ones((1, 4)), [0])
    v, s = V.mu[0], V.var[0]
    np.testing.assert_allclose(found.mean[0, 0], v @ W.mu)
    expected = W.mu.T @ np.diag(s) @ W.mu + np.diag((s + v * v) @ W.var)
    np.testing.assert_allclose(found.covariance[0, 0], expected)


def sampled(
    net: nn.Network, x: Host, slope: object, draws: int, seed: int = 0
) -> tuple[Host, Host]:
    """Mean and covariance of the derivative over networks drawn from the posterior."""
    rng = np.random.default_rng(seed)
    linear = [layer for layer in net.layer if isinstance(layer, nn.Linear)]
    found = np.empty((draws, x.shape[1]))
    for draw in range(draws):
        a, chain = x[0], np.eye(x.shape[1])
        for number, layer in enumerate(linear):
            W = rng.normal(layer.weight.mu, np.sqrt(layer.weight.var))
            b = rng.normal(layer.bias.mu, np.sqrt(layer.bias.var))
            a, chain = W @ a + b, W @ chain
            if number < len(linear) - 1:
                a, g = slope(a)  # type: ignore[operator]
                chain = g[:, None] * chain
        found[draw] = chain[0]
    return found.mean(axis=0), np.cov(found.T)


def _tanh(z: Host) -> tuple[Host, Host]:
    a = np.tanh(z)
    return a, 1 - a * a


def _relu(z: Host) -> tuple[Host, Host]:
    return np.maximum(z, 0), (z > 0).astype(float)


@pytest.mark.parametrize(
    ("activation", "slope", "gain", "within"),
    [(nn.Tanh, _tanh, 0.2, 0.05), (nn.MixtureReLU, _relu, 1.0, 0.1)],
    ids=["tanh, small variances", "mixture relu, prior variances"],
)
def test_the_covariance_is_that_of_sampled_networks(
    activation: type[nn.Layer], slope: object, gain: float, within: float
) -> None:
    """One hidden layer; slopes count as Gaussian, and those of tanh as linear in z."""
    net = network(
        nn.Linear(0, 10, gain_weight=gain, gain_bias=gain), activation(),
        nn.Linear(0, 1, gain_weight=gain, gain_bias=gain), inputs=3,
    )  # fmt: skip
    x = np.array([[0.8, -1.2, 0.3]])
    found = derivatives(net.layer, net.parameters, x, [0])
    mean, covariance = sampled(net, x, slope, 40_000)
    sd = np.sqrt(np.diag(covariance))
    assert (np.abs(found.mean[0, 0] - mean) <= 3 * within * sd).all()
    np.testing.assert_allclose(np.sqrt(found.variance[0, 0]), sd, rtol=within)
    scale = np.outer(sd, sd)
    assert (np.abs(found.covariance[0, 0] - covariance) <= 2 * within * scale).all()


def test_two_hidden_layers_come_close_to_sampled_networks() -> None:
    """What is left out, how the slopes of a layer depend on the weights below it, is small."""
    gain = {"gain_weight": 0.2, "gain_bias": 0.2}
    net = network(
        nn.Linear(0, 10, **gain), nn.Tanh(), nn.Linear(0, 8, **gain), nn.Tanh(),
        nn.Linear(0, 1, **gain), inputs=3,
    )  # fmt: skip
    x = np.array([[0.8, -1.2, 0.3]])
    found = derivatives(net.layer, net.parameters, x, [0])
    _, covariance = sampled(net, x, _tanh, 20_000)
    np.testing.assert_allclose(
        np.sqrt(found.variance[0, 0]), np.sqrt(np.diag(covariance)), rtol=0.15
    )


@pytest.mark.parametrize("activation", [nn.Tanh, nn.MixtureReLU])
def test_a_sum_of_outputs_is_one_more_layer_whose_weights_are_certain(
    activation: type[nn.Layer],
) -> None:
    weights = np.array([[1.0, -0.5, -0.5], [0.0, 2.0, 1.0]])
    top = (), (nn.Linear(0, 2, bias=False),)
    net, longer = (network(nn.Linear(0, 9), activation(), nn.Linear(0, 3), *more) for more in top)
    last = longer.layer[-1].weight
    last.mu[:], last.var[:] = weights, 0
    for short, long in zip(net.layer, longer.layer, strict=False):
        if isinstance(short, nn.Linear):
            for name in ("weight", "bias"):
                ours, theirs = getattr(short, name), getattr(long, name)
                theirs.mu[:], theirs.var[:] = ours.mu, ours.var
    x = np.random.default_rng(4).normal(size=(5, 4))
    found = derivatives(net.layer, net.parameters, x, weights)
    expected = derivatives(longer.layer, longer.parameters, x, [0, 1])
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-10)
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(means(net.layer, net.parameters, x, weights), longer(x)[0])
    assert means(net.layer, net.parameters, x[:0], weights).shape == (0, 2)
    spread = np.full_like(x, 0.1)
    one, other = (
        input_covariances(at.layer, at.parameters, x, spread, outputs)
        for at, outputs in ((net, weights), (longer, [0, 1]))
    )
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10)


def test_certain_parameters_leave_nothing_open() -> None:
    net = network(nn.Linear(0, 8), nn.Tanh(), nn.Linear(0, 8), nn.MixtureReLU(), nn.Linear(0, 1))
    net.parameters.var[:] = 0
    x = np.random.default_rng(0).normal(size=(4, 4))
    found = derivatives(net.layer, net.parameters, x, [0])
    assert found.variance.max() <= 1e-24
    np.testing.assert_allclose(found.mean, differences(net, x), atol=1e-8)


def test_the_head_of_a_varying_noise_passes_the_predictions_on() -> None:
    net = network(nn.Linear(0, 8), nn.Tanh(), nn.Linear(0, 4), nn.EvenExp())
    bare = network(nn.Linear(0, 8), nn.Tanh(), nn.Linear(0, 4))
    x = np.random.default_rng(0).normal(size=(3, 4))
    found = derivatives(net.layer, net.parameters, x, [0, 2])
    expected = derivatives(bare.layer, bare.parameters, x, [0, 2])
    np.testing.assert_array_equal(found.mean, expected.mean)
    np.testing.assert_array_equal(found.covariance, expected.covariance)


def test_rows_do_not_matter_to_each_other() -> None:
    net = network(nn.Linear(0, 8), nn.MixtureReLU(), nn.Linear(0, 1))
    x = np.random.default_rng(0).normal(size=(5, 4))
    whole = derivatives(net.layer, net.parameters, x, [0])
    for row in range(5):
        one = derivatives(net.layer, net.parameters, x[row : row + 1], [0])
        np.testing.assert_allclose(one.covariance[0], whole.covariance[row], rtol=1e-12)
    assert derivatives(net.layer, net.parameters, x[:0], [0]).covariance.shape == (0, 1, 4, 4)


def test_variances_alone_below_layers_that_move_nothing() -> None:
    for layers in (
        [nn.Flatten(), nn.Dropout(0.5), nn.Linear(0, 6), nn.Tanh(), nn.Linear(0, 1)],
        [nn.BatchNorm2d(), nn.Tanh(), nn.Linear(0, 1)],
        [nn.Tanh()],
    ):
        net = network(*layers)
        x = np.random.default_rng(0).normal(size=(3, 4))
        found = derivatives(net.layer, net.parameters, x, [0])
        mean, variance = variances(net.layer, net.parameters, x, [0])
        np.testing.assert_allclose(mean, found.mean, rtol=1e-12)
        np.testing.assert_allclose(variance, found.variance, rtol=1e-12)


@pytest.mark.parametrize(
    ("layers", "shape", "named"),
    [
        ([nn.LSTM(0, 3), nn.Linear(0, 1)], (5, 4), r"LSTM\(4,3\)"),
        ([nn.Conv2d(0, 2, 3), nn.Linear(0, 1)], (1, 5, 5), r"Conv2d\(1,2,"),
        ([nn.LayerNorm((4,)), nn.Linear(0, 1)], (4,), "LayerNorm"),
        ([nn.Linear(0, 3, flatten=False), nn.Linear(0, 1)], (5, 4), "along one axis"),
        ([nn.Dropout(0.5, at_eval=True), nn.Linear(0, 1)], (4,), "drops units in prediction"),
        ([nn.Conv2d(0, 2, 1), nn.BatchNorm2d()], (1, 2, 2), "Conv2d"),
    ],
)
def test_layers_without_a_rule_are_named(
    layers: list[nn.Layer], shape: tuple[int, ...], named: str
) -> None:
    net = nn.Network(nn.Sequential(*layers), shape, backend=BACKEND)
    net.eval()
    with pytest.raises(NoRuleError, match=named):
        derivatives(net.layer, net.parameters, np.zeros((2, *shape)), [0])


def test_chains_of_layers_with_rules_are_known_as_such() -> None:
    assert without_rule(network(nn.Linear(0, 2), nn.Tanh()).layer) is None


@pytest.mark.parametrize("depth", [1, 2])
def test_recurrent_windows_by_their_own_inference(depth: int) -> None:
    """Slopes of an LSTM against differences: covariances of gates add a little."""
    layer = nn.Sequential(nn.LSTM(0, 6, depth=depth, output="last"), nn.Linear(0, 1))
    net = nn.Network(layer, (5, 2), rng=np.random.default_rng(1), backend=BACKEND)
    net.parameters.var[:] *= 0.01
    net.eval()
    x = np.random.default_rng(2).normal(size=(3, 5, 2))
    found = input_covariances(layer, net.parameters, x, np.full_like(x, 1e-6), [0]).slope
    flat = x.reshape(3, -1)
    expected = np.stack(
        [
            (net((flat + e).reshape(x.shape))[0] - net((flat - e).reshape(x.shape))[0]) / 2e-5
            for e in 1e-5 * np.eye(10)
        ],
        axis=-1,
    )
    np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())


def test_small_variances_have_the_covariance_of_first_order() -> None:
    """One hidden layer: `J diag(var) J'` with the derivatives J of `dy/dx` by all parameters."""
    net = network(nn.Linear(0, 7), nn.Tanh(), nn.Linear(0, 1), inputs=3)
    store = net.parameters
    store.var[:] = np.random.default_rng(3).uniform(0.5, 2, store.var.shape) * 1e-8
    hidden, output = net.layer[0], net.layer[2]
    x = np.array([[1.5, -2.0, 0.7]])

    def gradient() -> Host:
        slope = 1 - np.tanh(hidden.weight.mu @ x[0] + hidden.bias.mu) ** 2
        return (output.weight.mu[0] * slope) @ hidden.weight.mu

    columns = []
    for place in range(store.mu.size):
        ends = []
        for step in (1e-6, -1e-6):
            store.mu[place] += step
            ends.append(gradient())
            store.mu[place] -= step
        columns.append((ends[0] - ends[1]) / 2e-6)
    J = np.stack(columns, axis=1)
    found = derivatives(net.layer, store, x, [0])
    expected = (J * store.var) @ J.T
    np.testing.assert_allclose(found.covariance[0, 0], expected, atol=1e-5 * expected.max())
