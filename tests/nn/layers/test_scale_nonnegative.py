"""Scales by absolute value."""

from __future__ import annotations

import numpy as np
import pytest
from monte_carlo import assert_covariance, assert_moments

from tagi_cli import nn
from tagi_cli.backend import Backend, select


@pytest.fixture(params=["numpy", "auto"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return select(kernels=request.param, precision="float64")


def test_moments_and_covariances_by_sampling(backend: Backend) -> None:
    layer = nn.Scale(mean=0.3, spread=0.5, sd=0.6, nonnegative=True)
    net = nn.Network(
        layer, (5,), backend=backend, rng=np.random.default_rng(3), rule="sum",
        input_innovation=True,
    )  # fmt: skip
    rng = np.random.default_rng(1)
    x, var_x = rng.normal(size=5), rng.random(5)
    mu, var = net(x[None], var_x[None])
    assert layer.weight is not None
    s_mu, s_var = layer.weight.mu.copy(), layer.weight.var.copy()
    assert (s_mu < 0).any()
    n = 200_000
    s = s_mu + np.sqrt(s_var) * rng.standard_normal((n, 5))
    a = x + np.sqrt(var_x) * rng.standard_normal((n, 5))
    z = np.abs(s) * a
    assert_moments(z, mu[0], var[0], 1e-9)
    for buffer, value in zip(net.innovations(), (1.0, -1.0), strict=True):
        buffer[...] = value
    net.backward()
    gain, _ = net.input_innovations()
    assert_covariance(a, z, gain[0] * var_x, 1e-8)
    assert layer.weight.G is not None
    assert layer.weight.L is not None
    assert_covariance(s, z, layer.weight.G * s_var, 1e-8)
    np.testing.assert_allclose(layer.weight.L, -(layer.weight.G**2))
