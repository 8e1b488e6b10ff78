"""Pooling against brute force and sampling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from monte_carlo import assert_covariance, assert_moments

from tagi_cli import nn
from tagi_cli.backend import Backend, select


@pytest.fixture(params=["numpy", "auto"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return select(kernels=request.param, precision="float64")


def network(layer: nn.Layer, shape: tuple[int, ...], backend: Backend) -> nn.Network:
    return nn.Network(layer, shape, backend=backend, input_innovation=True)


# Options, then height and width, then the windows' pixels along each axis.
CASES = {
    "side by side": ({"kernel_size": 2}, (4, 6), [[0, 1], [2, 3]], [[0, 1], [2, 3], [4, 5]]),
    "overlapping": ({"kernel_size": 3, "stride": 2}, (5, 6), [[0, 1, 2], [2, 3, 4]],
                    [[0, 1, 2], [2, 3, 4]]),
    "padded, side by side": ({"kernel_size": 2, "padding": 1}, (4, 2), [[0], [1, 2], [3]],
                             [[0], [1]]),
    "padded below and right": ({"kernel_size": 3, "stride": 2, "padding": 1, "padding_type": 2},
                               (4, 4), [[0, 1, 2], [2, 3]], [[0, 1, 2], [2, 3]]),
    "padded on each side": ({"kernel_size": 2, "stride": 1, "padding": ((0, 1), (1, 0))}, (2, 2),
                            [[0, 1], [1]], [[0], [0, 1]]),
    "same": ({"kernel_size": 3, "stride": 2, "padding": "same"}, (4, 3), [[0, 1, 2], [2, 3]],
             [[0, 1], [1, 2]]),
    "not square": ({"kernel_size": (1, 3), "stride": (2, 1)}, (4, 4), [[0], [2]],
                   [[0, 1, 2], [1, 2, 3]]),
    "window smaller than stride": ({"kernel_size": 1, "stride": 3}, (5, 4), [[0], [3]],
                                   [[0], [3]]),
    "the whole image": ({"kernel_size": (3, 2)}, (3, 2), [[0, 1, 2]], [[0, 1]]),
}  # fmt: skip

cases = pytest.mark.parametrize("name", CASES)


def windows(name: str) -> tuple[dict[str, Any], tuple[int, ...], np.ndarray]:
    """Options, shape of the input (2 channels), and `(P, Q, H, W)`: which pixels a window holds."""
    options, (H, W), rows, columns = CASES[name]
    table = np.zeros((len(rows), len(columns), H, W))
    for p, ys in enumerate(rows):
        for q, xs in enumerate(columns):
            table[p, q][np.ix_(ys, xs)] = 1
    return options, (2, H, W), table


@cases
def test_average(name: str, backend: Backend) -> None:
    options, shape, table = windows(name)
    net = network(nn.AvgPool2d(**options), shape, backend)
    k = np.prod(np.broadcast_to(options["kernel_size"], 2))
    rng = np.random.default_rng(0)
    x, var_x = rng.normal(size=(3, *shape)), rng.random((3, *shape))
    mu, var = net(x, var_x)
    np.testing.assert_allclose(mu, np.einsum("pqhw,bchw->bcpq", table, x) / k, atol=1e-14)
    np.testing.assert_allclose(var, np.einsum("pqhw,bchw->bcpq", table, var_x) / k**2, atol=1e-14)
    d_mu, d_var = net.innovations()
    d_mu[...], d_var[...] = rng.normal(size=mu.shape), -rng.random(mu.shape)
    net.backward()
    for got, d, factor in zip(net.input_innovations(), (d_mu, d_var), (k, k**2), strict=True):
        want = np.einsum("pqhw,bcpq->bchw", table, d) / factor
        np.testing.assert_allclose(got, want, atol=1e-14)


@cases
def test_largest_mean(name: str, backend: Backend) -> None:
    options, shape, table = windows(name)
    net = network(nn.MaxPool2d(**{"stride": -1, **options}), shape, backend)
    rng = np.random.default_rng(0)
    # Few different values, so that ties occur; the first in reading order is chosen.
    x, var_x = rng.integers(-2, 1, size=(3, *shape)) / 2, rng.random((3, *shape))
    mu, var = net(x, var_x)
    d_mu, d_var = net.innovations()
    d_mu[...], d_var[...] = rng.normal(size=mu.shape), -rng.random(mu.shape)
    net.backward()
    want_mu, want_var = np.zeros_like(x), np.zeros_like(x)
    for b, c, p, q in np.ndindex(mu.shape):
        best = np.where(table[p, q] > 0, x[b, c], -np.inf).argmax()
        place = (b, c, *np.unravel_index(best, shape[1:]))
        assert (mu[b, c, p, q], var[b, c, p, q]) == (x[place], var_x[place])
        want_mu[place] += d_mu[b, c, p, q]
        want_var[place] += d_var[b, c, p, q]
    for got, want in zip(net.input_innovations(), (want_mu, want_var), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-14)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 100.0])
def test_average_by_sampling(scale: float, backend: Backend) -> None:
    net = network(nn.AvgPool2d(2), (1, 2, 2), backend)
    rng = np.random.default_rng(0)
    x, var_x = scale * rng.normal(size=(1, 1, 2, 2)), scale**2 * rng.random((1, 1, 2, 2))
    mu, var = net(x, var_x)
    a = x + np.sqrt(var_x) * rng.normal(size=(200_000, 1, 2, 2))
    z = a.mean(axis=(2, 3))
    assert_moments(z, mu[0, :, 0], var[0, :, 0])
    assert_covariance(z[:, 0], a[:, 0, 1, 0], var_x[0, 0, 1, 0] / 4)


@pytest.mark.parametrize("gap", [0.0, 1.0, 2.0, 4.0])
def test_the_choice_by_means_errs_as_the_theory_page_says(gap: float, backend: Backend) -> None:
    """A 2 x 2 window of unit variances, one mean `gap` above the others."""
    x = np.zeros((1, 1, 2, 2))
    x[0, 0, 1, 1] = gap
    mu, var = network(nn.MaxPool2d(2), (1, 2, 2), backend)(x, np.ones_like(x))
    a = x + np.random.default_rng(0).normal(size=(400_000, 1, 2, 2))
    largest = a.max(axis=(2, 3))
    error = {0.0: (1.03, 0.49), 1.0: (0.43, 0.57), 2.0: (0.12, 0.78), 4.0: (0.00, 0.99)}[gap]
    assert largest.mean() - mu.item() == pytest.approx(error[0], abs=0.01)
    assert largest.var() / var.item() == pytest.approx(error[1], abs=0.01)


def test_a_certain_input_stays_certain(backend: Backend) -> None:
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    for layer in (nn.AvgPool2d(2), nn.MaxPool2d(2, 2)):
        net = network(layer, (1, 4, 4), backend)
        mu, var = net(x)
        assert not var.any()
        np.testing.assert_array_equal(mu, net(x, np.zeros_like(x)).mu)


def test_infinite_and_low_means_are_chosen_rightly(backend: Backend) -> None:
    """pytagi starts its search at -1e9, and reads a neighbour's pixel below that."""
    x = np.array([-3e9, -np.inf, -2e9, -4e9]).reshape(1, 1, 2, 2)
    assert network(nn.MaxPool2d(2), (1, 2, 2), backend)(x).mu.item() == -2e9


def test_a_pool_adds_to_what_another_use_of_its_input_sends(backend: Backend) -> None:
    pools = [nn.AvgPool2d(3, 1, "same"), nn.MaxPool2d(3, 1, "same")]
    graph = nn.Graph(
        [
            nn.Node("left", pools[0], ("input",)),
            nn.Node("right", pools[1], ("input",)),
            nn.Node("sum", nn.Add(), ("left", "right")),
        ]
    )
    net = network(graph, (1, 4, 4), backend)
    rng = np.random.default_rng(0)
    x, d = rng.normal(size=(2, 1, 4, 4)), rng.normal(size=(2, 1, 4, 4))
    net(x)
    for buffer in net.innovations():
        buffer[...] = d
    net.backward()
    alone = []
    for layer in (nn.AvgPool2d(3, 1, "same"), nn.MaxPool2d(3, 1, "same")):
        other = network(layer, (1, 4, 4), backend)
        other(x)
        for buffer in other.innovations():
            buffer[...] = d
        other.backward()
        alone.append(other.input_innovations())
    for got, first, second in zip(net.input_innovations(), *alone, strict=True):
        np.testing.assert_allclose(got, first + second, atol=1e-14)


def test_costs_and_names() -> None:
    layer = nn.AvgPool2d((2, 3))
    nn.output_shape(layer, (5, 4, 6))
    assert layer.costs() == [nn.Cost("AvgPool2d(2x3,2x3)", (5, 2, 2), 0, 4 * 20 * 6)]
