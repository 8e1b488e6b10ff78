"""The fully connected layer against sampling, dense Gaussian conditioning and exact regression."""

from __future__ import annotations

import numpy as np
import pytest
from monte_carlo import assert_covariance, assert_moments

from tagi_cli import nn
from tagi_cli.backend import Backend, select
from tagi_cli.nn.rules import RULES


@pytest.fixture(params=["numpy", "auto"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return select(kernels=request.param, precision="float64")


def network(
    layer: nn.Layer, inputs: int, backend: Backend, rule: str = "sum", **options: bool
) -> nn.Network:
    rng = np.random.default_rng(1)
    return nn.Network(layer, (inputs,), rng=rng, backend=backend, rule=rule, **options)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_moments_by_sampling(backend: Backend, scale: float) -> None:
    rng = np.random.default_rng(0)
    layer = nn.Linear(4, 3, gain_weight=0.7, gain_bias=1.3)
    net = network(layer, 4, backend)
    x, var_x = scale * rng.normal(size=(2, 4)), scale**2 * rng.random((2, 4))
    mu, var = net(x, var_x)
    n = 200_000
    w = layer.weight.mu + np.sqrt(layer.weight.var) * rng.standard_normal((n, 3, 4))
    b = layer.bias.mu + np.sqrt(layer.bias.var) * rng.standard_normal((n, 3))
    for row in range(2):
        a = x[row] + np.sqrt(var_x[row]) * rng.standard_normal((n, 4))
        z = np.einsum("noi,ni->no", w, a) + b
        assert_moments(z, mu[row], var[row])
        # The covariances behind the backward pass.
        assert_covariance(z[:, 0], a[:, 1], var_x[row, 1] * layer.weight.mu[0, 1])
        assert_covariance(z[:, 0], w[:, 0, 2], layer.weight.var[0, 2] * x[row, 2])
        assert_covariance(z[:, 0], b[:, 0], layer.bias.var[0])


def dense_posterior(
    mean: np.ndarray, cov: np.ndarray, H: np.ndarray, y: np.ndarray, r: float
) -> tuple[np.ndarray, np.ndarray]:
    """Posterior of `N(mean, cov)` after observing `y = H theta + N(0, r)`, by dense algebra."""
    S = H @ cov @ H.T + r * np.eye(len(y))
    K = np.linalg.solve(S, H @ cov).T
    return mean + K @ (y - H @ mean), cov - K @ H @ cov


@pytest.mark.parametrize("rule", ["sum", "site"])
def test_one_row_is_exact_conditioning(backend: Backend, rule: str) -> None:
    """One output, one row: the diagonal of the exact posterior of weights and bias."""
    layer = nn.Linear(5, 1)
    net = network(layer, 5, backend, rule)
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=5), rng.normal(size=1)
    mean = np.concatenate((layer.weight.mu[0], layer.bias.mu))
    cov = np.diag(np.concatenate((layer.weight.var[0], layer.bias.var)))
    want_mu, want_cov = dense_posterior(mean, cov, np.append(x, 1)[None], y, 0.3)
    net(x)
    nn.OutputUpdater(net).update(y, 0.3)
    net.backward()
    net.step()
    got_mu = np.concatenate((layer.weight.mu[0], layer.bias.mu))
    got_var = np.concatenate((layer.weight.var[0], layer.bias.var))
    np.testing.assert_allclose(got_mu, want_mu, rtol=1e-12)
    np.testing.assert_allclose(got_var, np.diag(want_cov), rtol=1e-12)


@pytest.mark.parametrize("rule", ["sum", "site"])
def test_orthogonal_regression_is_exact_row_by_row(backend: Backend, rule: str) -> None:
    """On an orthogonal design the diagonal posterior is the exact one, whatever the order."""
    layer = nn.Linear(8, 1, bias=False)
    net = network(layer, 8, backend, rule)
    rng = np.random.default_rng(3)
    X = np.repeat(np.eye(8), 6, axis=0) * rng.normal(size=(48, 1))
    y = X @ rng.normal(size=8) + 0.5 * rng.normal(size=48)
    mean, cov = layer.weight.mu[0].copy(), np.diag(layer.weight.var[0])
    want_mu, want_cov = dense_posterior(mean, cov, X, y, 0.25)
    updater = nn.OutputUpdater(net)
    for k in rng.permutation(48):
        net(X[k])
        updater.update(y[k], 0.25)
        net.backward()
        net.step()
    np.testing.assert_allclose(layer.weight.mu[0], want_mu, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(layer.weight.var[0], np.diag(want_cov), rtol=1e-12)


def test_information_is_exact_for_orthogonal_columns_and_known_output_variance(
    backend: Backend,
) -> None:
    """Where the output's own variance vanishes beside the noise, precisions simply add up."""
    layer = nn.Linear(3, 1, bias=False, gain_weight=1e-4)
    net = network(layer, 3, backend, "information")
    X = np.repeat(np.eye(3), 4, axis=0)
    var0 = layer.weight.var[0].copy()
    net(X)
    nn.OutputUpdater(net).update(np.zeros(12), 1.0)
    net.backward()
    net.step()
    np.testing.assert_allclose(1 / layer.weight.var[0], 1 / var0 + 4, rtol=1e-7)


@pytest.mark.parametrize("rule", RULES)
def test_variances_stay_positive_under_every_rule(backend: Backend, rule: str) -> None:
    rng = np.random.default_rng(4)
    layer = nn.Sequential(nn.Linear(6, 20), nn.MixtureReLU(), nn.Linear(20, 2))
    net = network(layer, 6, backend, rule)
    updater = nn.OutputUpdater(net)
    for _ in range(20):
        net(rng.normal(size=(64, 6)))
        updater.update(rng.normal(size=(64, 2)), 1e-3)
        net.backward()
        net.step()
    assert (net.parameters.var > 0).all()
    assert np.isfinite(net.parameters.mu).all()
    if rule.startswith("information") or rule == "site":
        assert net.parameters.floored.sum() == 0


def test_input_innovations_are_the_posterior_of_the_input(backend: Backend) -> None:
    layer = nn.Linear(4, 1, bias=False, gain_weight=1e-9)
    net = network(layer, 4, backend, input_innovation=True)
    rng = np.random.default_rng(5)
    x, var_x, y = rng.normal(size=4), rng.random(4), rng.normal(size=1)
    want_mu, want_cov = dense_posterior(x, np.diag(var_x), layer.weight.mu, y, 0.2)
    net(x, var_x)
    nn.OutputUpdater(net).update(y, 0.2)
    net.backward()
    d_mu, d_var = net.input_innovations()
    np.testing.assert_allclose(x + var_x * d_mu[0], want_mu, rtol=1e-6)
    np.testing.assert_allclose(var_x + var_x**2 * d_var[0], np.diag(want_cov), rtol=1e-6)


def test_missing_targets_teach_nothing(backend: Backend) -> None:
    net = network(nn.Linear(3, 2), 3, backend, "capped")
    updater = nn.OutputUpdater(net)
    x = np.random.default_rng(6).normal(size=(4, 3))
    before = net.state_dict()
    net(x)
    updater.update(np.full((4, 2), np.nan), 0.1)
    net.backward()
    net.step()
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    # A missing row beside others leaves what the others teach.
    y = np.random.default_rng(7).normal(size=(4, 2))
    y[1:] = np.nan
    net(x)
    updater.update(y, 0.1)
    net.backward()
    some = net.parameters.G.copy()
    net(x[:1])
    updater.update(y[:1], 0.1)
    net.backward()
    np.testing.assert_allclose(net.parameters.G, some, rtol=1e-12)


def test_zero_variance_is_the_plain_affine_map(backend: Backend) -> None:
    layer = nn.Linear(3, 2)
    net = network(layer, 3, backend)
    layer.weight.assign(layer.weight.mu.copy(), np.zeros((2, 3)))
    layer.bias.assign(layer.bias.mu.copy(), np.zeros(2))
    x = np.random.default_rng(8).normal(size=(5, 3))
    mu, var = net(x)
    np.testing.assert_allclose(mu, x @ layer.weight.mu.T + layer.bias.mu, rtol=1e-12)
    assert (var == 0).all()


def test_batches_that_grow_and_shrink(backend: Backend) -> None:
    layer = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
    net = network(layer, 3, backend)
    x = np.random.default_rng(9).normal(size=(64, 3))
    want = net(x)
    for B in (1, 64, 7, 33, 2):
        got = net(x[:B])
        np.testing.assert_allclose(got.mu, want.mu[:B], rtol=1e-12)
        np.testing.assert_allclose(got.var, want.var[:B], rtol=1e-12)
    assert net(x[:0]).mu.shape == (0, 1)


def test_a_layer_used_twice_sums_its_innovations(backend: Backend) -> None:
    """`f(f(x))` with shared weights: G is the sum over both uses."""
    shared = nn.Linear(4, 4, gain_weight=0.5)
    net = network(nn.Sequential(shared, shared), 4, backend)
    net(np.random.default_rng(10).normal(size=(3, 4)))
    updater = nn.OutputUpdater(net)
    updater.update(np.ones((3, 4)), 0.5)
    net.backward()
    twice = net.parameters.G.copy()
    # The same with two layers that hold equal values.
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    other = network(nn.Sequential(first, second), 4, backend)
    for layer in (first, second):
        layer.weight.assign(shared.weight.mu, shared.weight.var)
        layer.bias.assign(shared.bias.mu, shared.bias.var)
    other(np.random.default_rng(10).normal(size=(3, 4)))
    nn.OutputUpdater(other).update(np.ones((3, 4)), 0.5)
    other.backward()
    half = other.parameters.G.size // 2
    np.testing.assert_allclose(twice, other.parameters.G[:half] + other.parameters.G[half:])


def test_shape_errors_name_both_layers() -> None:
    layer = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(9, 1))
    message = r"layer 2: Linear\(9,1\) takes 9 units but gets 8 \(8,\) from layer 1, ReLU\(\)"
    with pytest.raises(nn.ShapeError, match=message):
        nn.Network(layer, (3,))


def test_sizes_of_observations_are_checked(backend: Backend) -> None:
    net = network(nn.Linear(3, 2), 3, backend)
    updater = nn.OutputUpdater(net)
    net(np.zeros((4, 3)))
    with pytest.raises(ValueError, match="the output has 8 values, the observations 7"):
        updater.update(np.zeros(7), 0.1)
    with pytest.raises(ValueError, match="error variances 3"):
        updater.update(np.zeros(8), np.ones(3))
    with pytest.raises(ValueError, match=r"input has shape \(7,\)\. Allowed: \(rows, 3\)"):
        net(np.zeros(7))
    with pytest.raises(ValueError, match="12 means but 11 variances"):
        net(np.zeros((4, 3)), np.zeros(11))
    with pytest.raises(ValueError, match="index from 0 to 3: the output has units 1 to 2"):
        updater.update_using_indices(np.zeros(4), np.ones(4), [0, 1, 2, 3])


def test_state_dict_is_checked(backend: Backend) -> None:
    net = network(nn.Linear(3, 2), 3, backend)
    state = net.state_dict()
    with pytest.raises(ValueError, match=r"missing \['weight.mu'\]"):
        net.load_state_dict({k: v for k, v in state.items() if k != "weight.mu"})
    with pytest.raises(ValueError, match=r"weight.mu: shape \(6,\), the network has \(2, 3\)"):
        net.load_state_dict({**state, "weight.mu": np.zeros(6)})
    with pytest.raises(ValueError, match="negative"):
        net.load_state_dict({**state, "weight.var": -np.ones((2, 3))})


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_along_the_last_axis_positions_are_rows(backend: Backend, shape: tuple[int, ...]) -> None:
    """Moments and sums of innovations are those of a batch of all positions."""
    layer, flat = nn.Linear(0, 2, flatten=False), nn.Linear(4, 2)
    net = nn.Network(layer, shape, backend=backend)
    rows = network(flat, 4, backend)
    flat.weight.assign(layer.weight.mu, layer.weight.var)
    flat.bias.assign(layer.bias.mu, layer.bias.var)
    rng = np.random.default_rng(11)
    x, v = rng.normal(size=(5, *shape)), rng.random((5, *shape))
    got, want = net(x, v), rows(x.reshape(-1, 4), v.reshape(-1, 4))
    assert got.mu.shape == (5, *shape[:-1], 2)
    for moments, wanted in zip(got, want, strict=True):
        np.testing.assert_allclose(moments.reshape(-1, 2), wanted, rtol=1e-12)
    y = rng.normal(size=got.mu.shape)
    for each in (net, rows):
        nn.OutputUpdater(each).update(y.reshape(each.outputs().mu.shape), 0.1)
        each.backward()
    np.testing.assert_allclose(net.parameters.G, rows.parameters.G, rtol=1e-10)
    np.testing.assert_allclose(net.parameters.L, rows.parameters.L, rtol=1e-10)
    assert layer.costs()[0].flops == 14 * 8 * int(np.prod(shape[:-1]))
    assert layer.costs()[0].output == (*shape[:-1], 2)
