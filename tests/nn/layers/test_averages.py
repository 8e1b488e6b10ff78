"""Running averages of values and of posteriors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tagi_cli import nn
from tagi_cli.backend import select


def network(layer: nn.Layer, n: int = 3, kernels: str = "numpy") -> nn.Network:
    backend = select(kernels=kernels, precision="float64")
    return nn.Network(layer, (n,), backend=backend, input_innovation=True)


def weights(layer: nn.Layer, rows: int) -> np.ndarray:
    """How much each row counts in each output, by definition; earlier rows are `init_value`."""
    if isinstance(layer, nn.MovingAverage):
        W = layer.buffer_size
        return np.tril(np.ones((rows, rows))) * np.tri(rows, rows, W - 1).T / W
    b, beta = np.arange(rows), layer.momentum
    return np.tril((1 - beta) * beta ** np.maximum(b[:, None] - b, 0))


LAYERS = [lambda: nn.MovingAverage(3), lambda: nn.ExponentialMovingAverage(0.7)]
CUTS = [[0, 8], [0, 1, 8], [0, 2, 4, 5, 8], list(range(9))]


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("make", LAYERS)
def test_batches_are_one_series(make: object, cuts: list[int], kernels: str) -> None:
    """However a series is cut into batches, outputs are the weighted sums of all rows so far."""
    rng = np.random.default_rng(0)
    x, v = rng.normal(size=(8, 3)), rng.random((8, 3))
    layer = make()
    net = network(layer, 3, kernels)
    parts = [net(x[a:b], v[a:b]) for a, b in itertools.pairwise(cuts)]
    w = weights(layer, 8)
    np.testing.assert_allclose(np.concatenate([p.mu for p in parts]), w @ x, rtol=1e-12)
    np.testing.assert_allclose(np.concatenate([p.var for p in parts]), w**2 @ v, rtol=1e-12)


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("make", LAYERS)
def test_backward_is_the_adjoint(make: object, kernels: str) -> None:
    layer = make()
    net = network(layer, 3, kernels)
    rng = np.random.default_rng(0)
    net(rng.normal(size=(6, 3)), rng.random((6, 3)))
    d_mu, d_var = net.innovations()
    d_mu[...], d_var[...] = rng.normal(size=(2, 6, 3))
    net.backward()
    got = net.input_innovations()
    w = weights(layer, 6)
    np.testing.assert_allclose(got[0], w.T @ d_mu, rtol=1e-12)
    np.testing.assert_allclose(got[1], (w**2).T @ d_var, rtol=1e-12)


def test_the_past_starts_at_the_initial_value() -> None:
    moving, decaying = nn.MovingAverage(4, 100.0), nn.ExponentialMovingAverage(0.9, 100.0)
    mu, var = network(moving)(np.zeros((1, 3)))
    np.testing.assert_allclose(mu, 75)
    assert (var == 0).all()
    np.testing.assert_allclose(network(decaying)(np.zeros((1, 3)))[0], 90)


@pytest.mark.parametrize("make", LAYERS)
def test_a_loaded_network_goes_on_averaging(make: object) -> None:
    nets = [network(make()), network(make())]
    x = np.random.default_rng(0).normal(size=(5, 3))
    nets[0](x)
    nets[1].load_state_dict(nets[0].state_dict())
    np.testing.assert_array_equal(nets[0](x), nets[1](x))


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one row is averaged"):
        nn.MovingAverage(0)
    with pytest.raises(ValueError, match="momentum lies in 0 to 1"):
        nn.ExponentialMovingAverage(1.1)


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
def test_posterior_average_is_the_mixture_of_all_posteriors(kernels: str) -> None:
    net = network(nn.Linear(3, 2), 3, kernels)
    average = nn.PosteriorAverage(net.parameters, momentum=0.8)
    store, rng = net.parameters, np.random.default_rng(0)
    members = [(store.mu.copy(), store.var.copy())]
    for _ in range(6):
        store.mu[...], store.var[...] = rng.normal(size=store.size), rng.random(store.size)
        members.append((store.mu.copy(), store.var.copy()))
        average.update()
    share = 0.2 * 0.8 ** np.arange(6, -1, -1.0)
    share[0] = 0.8**6
    mu, var = (np.stack(part) for part in zip(*members, strict=True))
    mean = share @ mu
    np.testing.assert_allclose(average.mu, mean, rtol=1e-12)
    np.testing.assert_allclose(average.var, share @ (var + mu**2) - mean**2, rtol=1e-12)


def test_posterior_average_is_applied_for_a_while() -> None:
    net = network(nn.Linear(3, 2))
    x = np.random.default_rng(0).normal(size=(4, 3))
    average = nn.PosteriorAverage(net.parameters, momentum=0.5)
    first = net(x)
    net.parameters.mu += 1
    average.update()
    moved = net(x)
    with average.applied():
        inside = net(x)
    np.testing.assert_allclose(inside.mu, (first.mu + moved.mu) / 2, rtol=1e-12)
    assert (inside.var > first.var).all()
    np.testing.assert_array_equal(net(x), moved)
    with pytest.raises(RuntimeError), average.applied():
        raise RuntimeError
    np.testing.assert_array_equal(net(x), moved)


def test_posterior_average_is_saved() -> None:
    net = network(nn.Linear(3, 2))
    averages = [nn.PosteriorAverage(net.parameters) for _ in range(2)]
    net.parameters.mu += 1
    averages[0].update()
    averages[1].load_state_dict(averages[0].state_dict())
    np.testing.assert_array_equal(averages[1].mu, averages[0].mu)
    with pytest.raises(ValueError, match="average of 8 parameters: 'mu' is nothing"):
        averages[0].load_state_dict({})
    with pytest.raises(ValueError, match=r"'var' is \(3,\)"):
        averages[0].load_state_dict({"mu": np.zeros(8), "var": np.zeros(3)})
    with pytest.raises(ValueError, match="momentum is -1"):
        nn.PosteriorAverage(net.parameters, -1)
