"""Layers that move values: shapes, sums, joins, parts."""

from __future__ import annotations

import numpy as np
import pytest
from monte_carlo import assert_covariance, assert_moments

from tagi_cli import nn
from tagi_cli.backend import Backend, select


@pytest.fixture(params=["numpy", "auto"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return select(kernels=request.param, precision="float64")


def graph(junction: nn.Layer, parts: tuple[int, ...], axis: int = 0) -> nn.Graph:
    """A junction of the parts of the input."""
    names = tuple(f"cut.{k}" for k in range(len(parts)))
    return nn.Graph([nn.Node("cut", nn.Split(parts, axis)), nn.Node("join", junction, names)])


def network(layer: nn.Layer, shape: tuple[int, ...], backend: Backend) -> nn.Network:
    return nn.Network(layer, shape, backend=backend, input_innovation=True)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 100.0])
@pytest.mark.parametrize("count", [2, 3])
def test_sum_by_sampling(backend: Backend, count: int, scale: float) -> None:
    rng = np.random.default_rng(0)
    x, var_x = rng.normal(size=count), scale * rng.random(count)
    net = network(graph(nn.Add(), (1,) * count), (count,), backend)
    mu, var = net(x, var_x)
    draws = x + np.sqrt(var_x) * rng.standard_normal((50_000, count))
    z = draws.sum(axis=1)
    assert_moments(z, mu[0, 0], var[0, 0], 1e-10)
    # J = 1: innovations pass on unchanged because cov(a, z) = var a.
    for k in range(count):
        assert_covariance(draws[:, k], z, var_x[k], 1e-9)
    for buffer in net.innovations():
        buffer[...] = -0.7
    net.backward()
    for d in net.input_innovations():
        np.testing.assert_array_equal(d, np.full((1, count), -0.7))


def test_the_sum_with_a_certain_value_keeps_the_variance(backend: Backend) -> None:
    """A node that is certain: a reshaped input without variance, next to a learnt one."""
    layer = nn.Linear(2, 2)
    net = network(nn.ResNetBlock(layer), (2,), backend)
    _, var = net(np.zeros((1, 2)))
    np.testing.assert_allclose(var[0], layer.bias.var, rtol=1e-14)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_joining_the_parts_gives_the_whole(backend: Backend, axis: int) -> None:
    rng = np.random.default_rng(1)
    shape, parts = (4, 3, 5), {0: (1, 3), 1: (2, 1), -1: (1, 1, 3)}[axis]
    x, var_x = rng.normal(size=(2, *shape)), rng.random((2, *shape))
    net = network(graph(nn.Concat(axis), parts, axis), shape, backend)
    mu, var = net(x, var_x)
    np.testing.assert_array_equal(mu, x)
    np.testing.assert_array_equal(var, var_x)
    sent = rng.normal(size=(2, 2, *shape))
    for buffer, value in zip(net.innovations(), sent, strict=True):
        buffer[...] = value
    net.backward()
    np.testing.assert_array_equal(net.input_innovations(), sent)
    mu, _ = net(x)
    np.testing.assert_array_equal(mu, x)


def test_parts_along_an_axis_are_slices(backend: Backend) -> None:
    x = np.arange(24.0).reshape(1, 2, 3, 4)
    nodes = [nn.Node("cut", nn.Split((1, 2), 1)), nn.Node("out", nn.Flatten(), ("cut.1",))]
    mu, _ = network(nn.Graph(nodes), (2, 3, 4), backend)(x)
    np.testing.assert_array_equal(mu[0], x[0, :, 1:, :].ravel())


def test_shapes_change_and_values_do_not(backend: Backend) -> None:
    x = np.arange(12.0).reshape(1, 3, 4)
    net = network(nn.Sequential(nn.Reshape((2, -1)), nn.ReLU(), nn.Flatten()), (3, 4), backend)
    assert net.output_shape == (12,)
    assert net.layer[0].output_shape == (2, 6)
    mu, _ = net(x, x)
    np.testing.assert_array_equal(mu, x.reshape(1, 12))
    for buffer in net.innovations():
        buffer[...] = np.arange(12)
    net.backward()
    assert net.input_innovations()[0].shape == (1, 3, 4)
    # ReLU is off at zero.
    np.testing.assert_array_equal(net.input_innovations()[0].ravel(), np.arange(12))


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (nn.Reshape((5, -1)), (12,), r"Reshape\(5,-1\) cannot hold 12 units"),
        (nn.Reshape((5, 2)), (12,), r"Reshape\(5,2\) cannot hold 12 units"),
        (nn.Add(), (3,), "at least two inputs but gets one"),
        (nn.Split((1, 1)), (3,), r"takes 2 units along axis 0 but gets 3"),
        (nn.Split((1, 2)), (3,), r"has 2 outputs: use it in a graph"),
        (nn.Split((3,), 2), (3,), "works along axis 2 but gets a row"),
        (graph(nn.Concat(1), (1, 2)), (3, 4), r"Concat\(1\) cannot join \(1, 4\), \(2, 4\)"),
    ],
)
def test_what_does_not_fit_is_told(
    layer: nn.Layer, shape: tuple[int, ...], message: str, backend: Backend
) -> None:
    with pytest.raises(nn.ShapeError, match=message):
        network(layer, shape, backend)


def test_sizes_must_make_sense() -> None:
    for make in (lambda: nn.Reshape((2, 0)), lambda: nn.Reshape((-1, -1)), lambda: nn.Reshape(())):
        with pytest.raises(ValueError, match="sizes must be positive"):
            make()
    with pytest.raises(ValueError, match="sizes must be positive"):
        nn.Split((1, 0))


def test_costs_name_each_layer(backend: Backend) -> None:
    net = network(nn.ResNetBlock(nn.Linear(3, 3)), (3,), backend)
    assert [(c.name, c.output, c.parameters) for c in net.layer.costs()] == [
        ("Linear(3,3)", (3,), 12),
        ("Add()", (3,), 0),
    ]
