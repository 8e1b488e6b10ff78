"""Innovations of the LSTM: chains of Jacobians through h and c over all steps of a window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from plain_lstm import cell

from tagi_cli import nn
from tagi_cli.backend import select

Host = np.ndarray[Any, Any]
KINDS = ["numpy", "auto"]


def network(layer: nn.Layer, shape: tuple[int, ...], kernels: str) -> nn.Network:
    """In double precision and with certain parameters: Jacobians are derivatives."""
    net = nn.Network(
        layer, shape, backend=select(kernels=kernels, precision="float64"),
        rng=np.random.default_rng(0), input_innovation=True,
    )  # fmt: skip
    for tensor in net.parameters.tensors.values():
        tensor.assign(1.5 * tensor.mu, np.zeros(tensor.shape))
    return net


def send_back(net: nn.Network, d_mu: Host, d_var: Host) -> tuple[Host, Host]:
    """Innovations of the input for those of the output."""
    for buffer, value in zip(net.innovations(), (d_mu, d_var), strict=True):
        buffer[...] = value
    net.backward()
    return net.input_innovations()


def derivative(function: Callable[[Host], Host], at: Host, step: float = 1e-6) -> Host:
    """Jacobian by central differences: the shape of `function(at)`, then that of `at`."""
    columns = []
    for k in range(at.size):
        shift = np.zeros(at.size)
        shift[k] = step
        shift = shift.reshape(at.shape)
        columns.append((function(at + shift) - function(at - shift)) / (2 * step))
    return np.stack(columns, axis=-1).reshape(*columns[0].shape, *at.shape)


LAYERS: list[tuple[Callable[[], nn.Layer], tuple[int, ...]]] = [
    (lambda: nn.LSTM(2, 3), (4, 2)),
    (lambda: nn.LSTM(2, 3, depth=2, bidirectional=True), (3, 2)),
    (lambda: nn.LSTM(2, 3, bidirectional=True, output="last"), (3, 2)),
    (lambda: nn.LSTM(2, 3, depth=2, output="last", recurrent=False), (3, 2)),
    (lambda: nn.LSTM(2, 3, bias=False, covariance="peer"), (3, 2)),
    # pytagi drops the Jacobian of an activation before an LSTM.
    (lambda: nn.Sequential(nn.Tanh(), nn.LSTM(2, 3), nn.Sigmoid(), nn.Linear(0, 2)), (3, 2)),
]


@pytest.mark.parametrize("kernels", KINDS)
@pytest.mark.parametrize(("make", "shape"), LAYERS)
def test_innovations_of_means_are_derivatives(
    make: Callable[[], nn.Layer], shape: tuple[int, ...], kernels: str
) -> None:
    net = network(make(), shape, kernels)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, *shape))
    d = rng.normal(size=net(x).mu.shape)

    def out(_: Host) -> Host:
        return np.array((net(x).mu * d).sum())

    def of_input(value: Host) -> Host:
        return np.array((net(value).mu * d).sum())

    want = derivative(of_input, x)
    net(x)
    got, _ = send_back(net, d, np.zeros(d.shape))
    np.testing.assert_allclose(got, want, atol=1e-8)
    sums = {name: np.array(tensor.G) for name, tensor in net.parameters.tensors.items()}
    for name, tensor in net.parameters.tensors.items():
        kept = np.array(tensor.mu)

        def of_parameter(value: Host, tensor: nn.Parameter = tensor) -> Host:
            tensor.mu[...] = value
            return out(value)

        np.testing.assert_allclose(
            sums[name], derivative(of_parameter, kept), atol=1e-8, err_msg=name
        )
        tensor.mu[...] = kept


@pytest.mark.parametrize("kernels", KINDS)
def test_innovations_of_variances_are_squares_of_total_jacobians(kernels: str) -> None:
    # From its definition: a step's h and c are two sources, and what they depend on gets the square
    # of each source's total Jacobian times its innovation.
    B, T, I, H = 2, 4, 2, 3
    layer = nn.LSTM(I, H)
    net = network(layer, (T, I), kernels)
    assert layer.weight is not None
    assert layer.bias is not None
    w, b = layer.weight.mu, layer.bias.mu
    rng = np.random.default_rng(1)
    x, d_out = rng.normal(size=(B, T, I)), -rng.random((B, T, H))
    net(x)
    _, got = send_back(net, np.zeros((B, T, H)), d_out)
    L = np.zeros(w.shape)
    L_b = np.zeros(b.shape)
    for r in range(B):
        h, c, inputs = np.zeros(H), np.zeros(H), []
        for t in range(T):
            inputs.append((np.concatenate([x[r, t], h]), c))
            h, c = cell(*inputs[-1], w, b)
        d_h, d_c = np.zeros(H), np.zeros(H)
        for t in reversed(range(T)):
            u, c = inputs[t]
            d_h = d_h + d_out[r, t]

            def squares(
                function: Callable[[Host], tuple[Host, Host]],
                at: Host,
                d_h: Host = d_h,
                d_c: Host = d_c,
            ) -> Host:
                jac = derivative(lambda value: np.stack(function(value)), at) ** 2
                return np.tensordot(d_h, jac[0], 1) + np.tensordot(d_c, jac[1], 1)

            L += squares(lambda value, u=u, c=c: cell(u, c, value, b), w)
            L_b += squares(lambda value, u=u, c=c: cell(u, c, w, value), b)
            d_u = squares(lambda value, c=c: cell(value, c, w, b), u)
            d_c = squares(lambda value, u=u: cell(u, value, w, b), c)
            np.testing.assert_allclose(got[r, t], d_u[:I], rtol=1e-6)
            d_h = d_u[I:]
    np.testing.assert_allclose(layer.weight.L, L, rtol=1e-6)
    np.testing.assert_allclose(layer.bias.L, L_b, rtol=1e-6)


@pytest.mark.parametrize("kernels", KINDS)
def test_jacobians_are_covariances_over_variances(kernels: str) -> None:
    # cov(x, h) / var(x) by sampling, with uncertain weights: the first-order part of the moments.
    n, I, H = 200_000, 2, 2
    layer = nn.LSTM(I, H)
    net = network(layer, (1, I), kernels)
    rng = np.random.default_rng(0)
    x, v = rng.normal(size=(1, I)), np.full((1, I), 0.01)
    assert layer.weight is not None
    assert layer.bias is not None
    for tensor in (layer.weight, layer.bias):
        tensor.assign(tensor.mu, np.full(tensor.shape, 0.01))
    u = np.zeros((n, I + H))
    u[:, :I] = x + np.sqrt(v) * rng.standard_normal((n, I))
    w = layer.weight.mu + 0.1 * rng.standard_normal((n, *layer.weight.shape))
    b = layer.bias.mu + 0.1 * rng.standard_normal((n, *layer.bias.shape))
    h, _ = cell(u, np.zeros((n, H)), w, b)
    net(x, v)
    for j in range(H):
        one = np.zeros((1, 1, H))
        one[..., j] = 1
        d_mu, d_var = send_back(net, one, -one)
        sampled = np.cov(u[:, :I].T, h[:, j])[:I, I] / v.ravel()
        np.testing.assert_allclose(d_mu.ravel(), sampled, atol=0.02)
        np.testing.assert_allclose(d_var, -(d_mu**2), rtol=1e-9)


def test_a_layer_used_twice_adds_up() -> None:
    layer = nn.LSTM(2, 2)
    net = network(nn.Sequential(layer, layer), (3, 2), "auto")
    rng = np.random.default_rng(0)
    x, d = rng.normal(size=(2, 3, 2)), rng.normal(size=(2, 3, 2))
    net(x)
    send_back(net, d, np.zeros(d.shape))
    assert layer.weight is not None
    got, kept = np.array(layer.weight.G), np.array(layer.weight.mu)

    def out(value: Host) -> Host:
        assert layer.weight is not None
        layer.weight.mu[...] = value
        return np.array((net(x).mu * d).sum())

    np.testing.assert_allclose(got, derivative(out, kept), atol=1e-8)


@pytest.mark.parametrize("recurrent", [True, False])
def test_only_a_recurrent_layer_learns_what_came_earlier(recurrent: bool) -> None:
    T, n = 5, 512
    rng = np.random.default_rng(0)
    net = nn.Network(
        nn.Sequential(nn.LSTM(1, 8, output="last", recurrent=recurrent), nn.Linear(0, 1)), (T, 1),
        rng=rng, rule="information_capped",
    )  # fmt: skip
    updater = nn.OutputUpdater(net)
    x = rng.normal(size=(n, T, 1))
    y = x[:, 1]
    for _ in range(12):
        order = rng.permutation(n)
        for rows in np.split(order, n // 16):
            net(x[rows])
            updater.update(y[rows], np.array([0.05]))
            net.backward()
            net.step()
    fresh = rng.normal(size=(500, T, 1))
    error = np.sqrt(np.mean((net(fresh).mu - fresh[:, 1]) ** 2))
    assert error < 0.2 if recurrent else error > 0.9
