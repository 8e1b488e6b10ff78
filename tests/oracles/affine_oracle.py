"""Sampling oracle of a layer `z = w (a - m) s + b` whose statistics `m, s` are given."""

from __future__ import annotations

from typing import Any

import numpy as np
from monte_carlo import assert_covariance, assert_moments

from tagi_cli import nn
from tagi_cli.backend import select

Host = np.ndarray[Any, Any]
DRAWS = 20_000


def build(layer: nn.Layer, shape: tuple[int, ...], kernels: str = "numpy") -> nn.Network:
    """A network of this layer alone, in double precision, with parameters of no special values."""
    net = nn.Network(
        layer,
        shape,
        backend=select(kernels=kernels, precision="float64"),
        rule="sum",
        input_innovation=True,
    )
    rng = np.random.default_rng(7)
    for tensor in net.parameters.tensors.values():
        tensor.assign(rng.normal(1, 0.5, tensor.shape), 0.1 + 0.3 * rng.random(tensor.shape))
    return net


def units(*shape: int, seed: int = 0) -> tuple[Host, Host]:
    """Means and variances of several scales."""
    rng = np.random.default_rng(seed)
    return rng.normal(1, 2, shape), rng.random(shape) * 10.0 ** rng.integers(-3, 2, shape)


def assert_sampled(
    net: nn.Network,
    layer: Any,
    x: tuple[Host, Host],
    elements: tuple[int, int, int],
    per_row: bool,
) -> None:
    """Assert moments of the output, and innovations of input and parameters, by sampling.

    The gain that turns an innovation of `z` into one of `a`, `w` or `b` is the covariance with `z`
    over the variance; innovations of one element of `z` at a time are sent back.

    Args:
        net: the network, in training mode.
        layer: its layer.
        x: means and variances of the input.
        elements: rows, features and positions as which the layer sees the input.
        per_row: whether the layer's statistics are those of rows.
    """
    mu_z, var_z = net(*x)
    m, s = net.current.plan.statistics[layer]
    spread = (-1, 1, 1) if per_row else (1, -1, 1)
    scale = 1 / np.sqrt(s + layer.eps)
    rng = np.random.default_rng(3)

    def draw(mu: Host, var: Host) -> Host:
        return mu + np.sqrt(var) * rng.standard_normal((DRAWS, *mu.shape))

    a = draw(*(part.reshape(elements) for part in x))
    w = draw(layer.weight.mu, layer.weight.var)
    b = 0 * w if layer.bias is None else draw(layer.bias.mu, layer.bias.var)
    t = (a - m.reshape(spread)) * scale.reshape(spread)
    z = w[:, None, :, None] * t + b[:, None, :, None]
    assert_moments(z, mu_z.reshape(elements), var_z.reshape(elements))

    rows, features, positions = elements
    for element in ((0, 0, 0), (rows - 1, features - 1, positions - 1)):
        d_mu, d_var = (d.reshape(elements) for d in net.innovations())
        d_mu.fill(0)
        d_var.fill(0)
        d_mu[element], d_var[element] = 1, -1
        net.backward()
        jac, squared = (d.reshape(elements) for d in net.input_innovations())
        target = z[(slice(None), *element)]
        var_a = x[1].reshape(elements)
        assert_covariance(a[(slice(None), *element)], target, jac[element] * var_a[element])
        np.testing.assert_allclose(squared, -(jac**2), rtol=1e-12)
        c = element[1]
        for tensor, samples in ((layer.weight, w), (layer.bias, b)):
            if tensor is None:
                continue
            assert_covariance(samples[:, c], target, tensor.G[c] * tensor.var[c])
            np.testing.assert_allclose(tensor.L, -(tensor.G**2), rtol=1e-12)
