"""Learnt scales and offsets, and the encoding of positions."""

from __future__ import annotations

import numpy as np
import pytest
from monte_carlo import assert_covariance, assert_moments

from tagi_cli import nn
from tagi_cli.backend import Backend, select

SHAPE = (2, 3)
GROUPS = {"unit": np.arange(6).reshape(SHAPE), "channel": np.array([[0] * 3, [1] * 3]),
          "row": np.zeros(SHAPE, int)}  # fmt: skip


@pytest.fixture(params=["numpy", "auto"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return select(kernels=request.param, precision="float64")


def network(layer: nn.Layer, shape: tuple[int, ...], backend: Backend) -> nn.Network:
    rng = np.random.default_rng(0)
    return nn.Network(layer, shape, backend=backend, rng=rng, rule="sum", input_innovation=True)


@pytest.mark.parametrize("size", [1e-4, 1.0, 30.0])
@pytest.mark.parametrize("kind", [nn.Scale, nn.Offset])
@pytest.mark.parametrize("per", list(GROUPS))
def test_moments_by_sampling(kind: type, per: str, size: float, backend: Backend) -> None:
    rng = np.random.default_rng(1)
    layer = kind(per, spread=1.0, sd=0.7)
    net = network(layer, SHAPE, backend)
    x, var_x = rng.normal(size=SHAPE), size * rng.random(SHAPE)
    mu, var = net(x, var_x)
    n = 40_000
    a = x + np.sqrt(var_x) * rng.standard_normal((n, *SHAPE))
    count = layer.weight.size
    s = layer.weight.mu + np.sqrt(layer.weight.var) * rng.standard_normal((n, count))
    z = a * s[:, GROUPS[per]] if kind is nn.Scale else a + s[:, GROUPS[per]]
    assert_moments(z, mu[0], var[0], 1e-9)
    factor = layer.weight.mu[GROUPS[per]] if kind is nn.Scale else np.ones(SHAPE)
    assert_covariance(a, z, factor * var_x, 1e-8)
    gain = x if kind is nn.Scale else np.ones(SHAPE)
    assert_covariance(s[:, GROUPS[per]], z, layer.weight.var[GROUPS[per]] * gain, 1e-8)


@pytest.mark.parametrize("kind", [nn.Scale, nn.Offset])
@pytest.mark.parametrize("per", list(GROUPS))
def test_innovations_follow_the_covariances(kind: type, per: str, backend: Backend) -> None:
    """Sums of `C d` and `C^2 D`, `C = cov / var`, by explicit loops."""
    rng = np.random.default_rng(2)
    layer = kind(per, spread=1.0)
    net = network(layer, SHAPE, backend)
    B = 4
    x, (d_mu, d_var) = rng.normal(size=(B, *SHAPE)), rng.normal(size=(2, B, *SHAPE))
    net(x, rng.random((B, *SHAPE)))
    for buffer, value in zip(net.innovations(), (d_mu, d_var), strict=True):
        buffer[...] = value
    net.backward()
    G, L = np.zeros((2, layer.weight.size))
    want_mu, want_var = np.zeros((2, B, *SHAPE))
    for b, i, j in np.ndindex(B, *SHAPE):
        g = GROUPS[per][i, j]
        gain = x[b, i, j] if kind is nn.Scale else 1.0
        jac = layer.weight.mu[g] if kind is nn.Scale else 1.0
        G[g] += gain * d_mu[b, i, j]
        L[g] += gain**2 * d_var[b, i, j]
        want_mu[b, i, j] = jac * d_mu[b, i, j]
        want_var[b, i, j] = jac**2 * d_var[b, i, j]
    np.testing.assert_allclose(layer.weight.G, G, rtol=1e-12)
    np.testing.assert_allclose(layer.weight.L, L, rtol=1e-12)
    got_mu, got_var = net.input_innovations()
    np.testing.assert_allclose(got_mu, want_mu, rtol=1e-13)
    np.testing.assert_allclose(got_var, want_var, rtol=1e-13)


def test_without_variance_they_are_plain_arithmetic(backend: Backend) -> None:
    x = np.array([[1.0, -2.0, 3.0]])
    chain = nn.Sequential(nn.Scale(mean=-3.0, sd=0.0), nn.Offset(mean=0.5, sd=0.0))
    mu, var = network(chain, (3,), backend)(x)
    np.testing.assert_allclose(mu, -3 * x + 0.5)
    np.testing.assert_array_equal(var, np.zeros((1, 3)))


def test_a_learnt_offset_equals_conjugate_inference(backend: Backend) -> None:
    """Row by row, the posterior of a mean observed with known noise."""
    net = network(nn.Offset(sd=2.0), (1,), backend)
    y = np.random.default_rng(3).normal(1.0, 0.5, size=20)
    updater = nn.OutputUpdater(net)
    for value in y:
        net(np.zeros((1, 1)))
        updater.update(value, 0.25)
        net.backward()
        net.step()
    precision = 1 / 4 + 20 / 0.25
    offset = net.layer.weight
    np.testing.assert_allclose(offset.var, 1 / precision, rtol=1e-12)
    np.testing.assert_allclose(offset.mu, y.sum() / 0.25 / precision, rtol=1e-12)


def test_unknown_sharing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"per='pixel'\. Allowed: unit, channel, row"):
        nn.Scale("pixel")


def test_sinusoids_by_their_definition(backend: Backend) -> None:
    T, D = 7, 5
    net = network(nn.PositionalEncoding(100.0), (T, D), backend)
    rng = np.random.default_rng(4)
    x, var_x = rng.normal(size=(2, T, D)), rng.random((2, T, D))
    mu, var = net(x, var_x)
    np.testing.assert_array_equal(var, var_x)
    for t, j in np.ndindex(T, D):
        angle = t / 100.0 ** (2 * (j // 2) / D)
        want = np.sin(angle) if j % 2 == 0 else np.cos(angle)
        np.testing.assert_allclose(mu[:, t, j] - x[:, t, j], want, rtol=1e-12, atol=1e-12)
    for buffer in net.innovations():
        buffer[...] = rng.normal()
    net.backward()
    for got, sent in zip(net.input_innovations(), net.innovations(), strict=True):
        np.testing.assert_array_equal(got, sent)
    certain, none = net(x)
    np.testing.assert_array_equal(certain, mu)
    np.testing.assert_array_equal(none, np.zeros_like(mu))


def test_positions_need_a_sequence(backend: Backend) -> None:
    with pytest.raises(nn.ShapeError, match=r"takes rows \(steps, features\) but gets \(3,\)"):
        network(nn.PositionalEncoding(), (3,), backend)
