"""Convolutions against dense matrices, scipy, sampling and each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dense_convolution import written_out
from monte_carlo import assert_covariance, assert_moments
from scipy.signal import correlate

from tagi_cli import nn
from tagi_cli.backend import Backend, select


@pytest.fixture(params=["numpy", "auto"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return select(kernels=request.param, precision="float64")


def network(
    layer: nn.Layer, shape: tuple[int, ...], backend: Backend, **options: Any
) -> nn.Network:
    rng = np.random.default_rng(1)
    options = {"rule": "sum", "input_innovation": True, **options}
    return nn.Network(layer, shape, rng=rng, backend=backend, **options)


def learn(net: nn.Network, x: np.ndarray, var_x: np.ndarray | None, seed: int) -> None:
    """Forward, then innovations drawn at random, then backward."""
    rng = np.random.default_rng(seed)
    net(x, var_x)
    d_mu, d_var = net.innovations()
    d_mu[...], d_var[...] = rng.normal(size=d_mu.shape), -rng.random(d_var.shape)
    net.backward()


# Options, then the shape of the input.
CASES = {
    "plain": ({"kernel_size": 3}, (2, 6, 7)),
    "no bias": ({"kernel_size": 2, "bias": False}, (2, 4, 4)),
    "kernel not square": ({"kernel_size": (2, 3), "padding": 1}, (2, 4, 6)),
    "padded below and right": ({"kernel_size": 3, "padding": 1, "padding_type": 2}, (2, 5, 6)),
    "padded on each side": ({"kernel_size": 3, "padding": ((1, 0), (0, 2))}, (2, 4, 5)),
    "same": ({"kernel_size": (4, 3), "padding": "same"}, (2, 5, 6)),
    "same, strided": ({"kernel_size": 3, "stride": (2, 3), "padding": "same"}, (2, 7, 8)),
    "valid": ({"kernel_size": 3, "padding": "valid", "stride": 2}, (2, 8, 6)),
    "dilated": ({"kernel_size": (2, 3), "dilation": (3, 2)}, (2, 5, 7)),
    "groups": ({"kernel_size": 3, "groups": 2, "padding": 1}, (4, 4, 5)),
    "kernel smaller than stride": ({"kernel_size": 1, "stride": 2}, (2, 5, 6)),
    "one pixel": ({"kernel_size": 1}, (2, 1, 1)),
}


@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_equals_the_dense_layer_it_stands_for(
    name: str, transposed: bool, certain: bool, backend: Backend
) -> None:
    """Moments, innovations of the input, and those of each weight summed over its places."""
    options, shape = CASES[name]
    make = nn.ConvTranspose2d if transposed else nn.Conv2d
    layer = make(shape[0], 4, gain_weight=0.7, gain_bias=1.3, **options)
    net = network(layer, shape, backend)
    dense, table = written_out(layer)
    other = network(dense, (table.shape[1],), backend)
    rng = np.random.default_rng(3)
    x = rng.normal(size=(3, table.shape[1]))
    var_x = None if certain else rng.random(x.shape)
    for got, want in zip(net(x, var_x), other(x, var_x), strict=True):
        np.testing.assert_allclose(got.reshape(want.shape), want, rtol=1e-11, atol=1e-12)
    learn(net, x, var_x, 5)
    learn(other, x, var_x, 5)
    for got, want in zip(net.input_innovations(), other.input_innovations(), strict=True):
        np.testing.assert_allclose(got.reshape(want.shape), want, rtol=1e-11, atol=1e-11)
    joined = table >= 0
    for what in ("G", "L"):
        shared = np.bincount(table[joined], getattr(dense.weight, what)[joined], layer.weight.size)
        got = getattr(layer.weight, what)
        np.testing.assert_allclose(got.ravel(), shared, rtol=1e-11, atol=1e-11)
        if layer.bias is not None:
            per_pixel = getattr(dense.bias, what).reshape(4, -1)
            np.testing.assert_allclose(
                getattr(layer.bias, what), per_pixel.sum(axis=1), rtol=1e-11, atol=1e-11
            )


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_means_equal_scipy(stride: int, backend: Backend) -> None:
    layer = nn.Conv2d(3, 2, (3, 2), stride=stride)
    net = network(layer, (3, 9, 8), backend)
    x = np.random.default_rng(0).normal(size=(2, 3, 9, 8))
    mu, _ = net(x)
    for row in range(2):
        for channel in range(2):
            whole = correlate(x[row], layer.weight.mu[channel], mode="valid")[0]
            want = whole[::stride, ::stride] + layer.bias.mu[channel]
            np.testing.assert_allclose(mu[row, channel], want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
@pytest.mark.parametrize("transposed", [False, True])
def test_moments_by_sampling(transposed: bool, scale: float, backend: Backend) -> None:
    """Each output by itself: what outputs share through a common kernel is left out."""
    make = nn.ConvTranspose2d if transposed else nn.Conv2d
    layer = make(2, 1, 2, stride=2, padding=1, gain_weight=0.6)
    net = network(layer, (2, 3, 3), backend)
    rng = np.random.default_rng(0)
    x, var_x = scale * rng.normal(size=18), scale**2 * rng.random(18)
    mu, var = (moment.ravel() for moment in net(x, var_x))
    n = 100_000
    w = layer.weight.mu.ravel() + np.sqrt(layer.weight.var.ravel()) * rng.normal(
        size=(n, layer.weight.size)
    )
    b = layer.bias.mu + np.sqrt(layer.bias.var) * rng.normal(size=(n, 1))
    a = x + np.sqrt(var_x) * rng.normal(size=(n, 18))
    _, table = written_out(layer)
    joined = np.where(table < 0, 0, 1)
    z = (
        np.stack(
            [(a * w[:, row] * some).sum(axis=1) for row, some in zip(table, joined, strict=True)], 1
        )
        + b
    )
    assert_moments(z, mu, var)
    # The covariances behind the backward pass, where the first output sees its last pixel.
    out, pixel = np.argwhere(table >= 0)[-1]
    tap = table[out, pixel]
    mean, spread = layer.weight.mu.ravel()[tap], layer.weight.var.ravel()[tap]
    assert_covariance(z[:, out], a[:, pixel], var_x[pixel] * mean)
    assert_covariance(z[:, out], w[:, tap], spread * x[pixel])
    assert_covariance(z[:, out], b[:, 0], layer.bias.var[0])


@pytest.mark.parametrize("padding", [0, 1, "same", "valid"])
@pytest.mark.parametrize("kernel", [2, 3, 4])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_transposed_is_the_adjoint(
    stride: int, kernel: int, padding: Any, backend: Backend
) -> None:
    """`<convT(x), g> = <x, conv(g)>` with the same weights, as objax has it for its paddings."""
    transposed = nn.ConvTranspose2d(2, 3, kernel, stride=stride, padding=padding, bias=False)
    up = network(transposed, (2, 5, 4), backend)
    plain = nn.Conv2d(3, 2, kernel, stride=stride, padding=padding, bias=False)
    down = network(plain, up.output_shape, backend)
    assert down.output_shape == (2, 5, 4)
    plain.weight.assign(transposed.weight.mu, transposed.weight.var)
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=(1, 2, 5, 4)), rng.normal(size=(1, *up.output_shape))
    np.testing.assert_allclose((up(x).mu * g).sum(), (x * down(g).mu).sum(), rtol=1e-12)


@pytest.mark.parametrize("transposed", [False, True])
def test_without_variance_it_is_the_plain_layer(transposed: bool, backend: Backend) -> None:
    make = nn.ConvTranspose2d if transposed else nn.Conv2d
    layer = make(2, 3, 3, stride=2, padding=1)
    net = network(layer, (2, 7, 7), backend)
    for parameter in (layer.weight, layer.bias):
        parameter.assign(parameter.mu.copy(), np.zeros(parameter.shape))
    x = np.random.default_rng(0).normal(size=(2, 2, 7, 7))
    certain, uncertain = net(x), net(x, np.zeros_like(x))
    assert not certain.var.any()
    assert not uncertain.var.any()
    np.testing.assert_allclose(certain.mu, uncertain.mu, rtol=1e-13, atol=1e-13)
    before = layer.weight.mu.copy()
    learn(net, x, None, 0)
    net.step()
    np.testing.assert_array_equal(layer.weight.mu, before)


def test_a_batch_may_grow_and_shrink(backend: Backend) -> None:
    x = np.random.default_rng(0).normal(size=(64, 1, 6, 6))
    net = network(nn.Conv2d(1, 3, 3, padding=1), (1, 6, 6), backend)
    few, many, none = net(x[:4]), net(x), net(x[:0])
    np.testing.assert_allclose(few.mu, many.mu[:4], rtol=1e-12)
    np.testing.assert_allclose(few.var, many.var[:4], rtol=1e-12)
    assert none.mu.shape == (0, 3, 6, 6)


def test_large_batches_get_scratch_for_the_squares_of_their_maps(backend: Backend) -> None:
    layer = nn.ConvTranspose2d(3, 1, 1)
    parameters = nn.Parameters(backend)
    layer.build((3, 40, 40), parameters, np.random.default_rng(0))
    parameters.allocate()
    plan = nn.Plan(backend, parameters, 700, training=True, differentiable=True)
    layer.trace(plan, plan.value((3, 40, 40))).send()
    plan.emit_backward()
    (innovation,) = (c for c in plan.take() if c.kernel.endswith("innovation"))
    assert innovation.arguments[7].size >= 700 * 3 * 40 * 40


def test_an_empty_batch_teaches_nothing(backend: Backend) -> None:
    layer = nn.Conv2d(1, 3, 3)
    net = network(layer, (1, 6, 6), backend)
    learn(net, np.ones((5, 1, 6, 6)), None, 0)
    assert layer.weight.G.any()
    learn(net, np.ones((0, 1, 6, 6)), None, 0)
    assert not layer.weight.G.any()
    assert not layer.bias.L.any()


def test_parameters_set_before_the_first_batch_are_kept_and_trained(backend: Backend) -> None:
    """pytagi crashes when a convolution initialised early is trained."""
    layer = nn.Conv2d(1, 2, 3)
    layer.draw(np.random.default_rng(5))
    layer.weight.assign(np.full(18, 0.25), np.full(18, 0.5))
    net = network(layer, (1, 4, 4), backend)
    assert (layer.weight.mu == 0.25).all()
    learn(net, np.ones((2, 1, 4, 4)), None, 0)
    net.step()
    assert (layer.weight.mu != 0.25).all()


def test_used_twice_a_layer_sums_what_both_uses_teach(backend: Backend) -> None:
    first, second, shared = (nn.Conv2d(2, 2, 3, padding="same") for _ in range(3))
    apart = network(nn.Sequential(first, nn.ReLU(), second), (2, 4, 5), backend)
    twice = network(nn.Sequential(shared, nn.ReLU(), shared), (2, 4, 5), backend)
    for layer in (first, second):
        layer.weight.assign(shared.weight.mu, shared.weight.var)
        layer.bias.assign(shared.bias.mu, shared.bias.var)
    x = np.random.default_rng(0).normal(size=(3, 2, 4, 5))
    learn(apart, x, None, 1)
    learn(twice, x, None, 1)
    for what in ("G", "L"):
        for tensor in ("weight", "bias"):
            parts = [getattr(getattr(layer, tensor), what) for layer in (first, second)]
            np.testing.assert_allclose(
                getattr(getattr(shared, tensor), what), sum(parts), rtol=1e-12, atol=1e-12
            )


def test_prior_variances_follow_the_fans_of_a_group(backend: Backend) -> None:
    layer = nn.Conv2d(4, 6, (2, 3), groups=2, gain_weight=0.5, gain_bias=2.0)
    network(layer, (4, 4, 4), backend)
    np.testing.assert_allclose(layer.weight.var, 0.25 / 12)
    np.testing.assert_allclose(layer.bias.var, 4 / 12)
    transposed = nn.ConvTranspose2d(4, 6, 3, init_method="Xavier")
    network(transposed, (4, 4, 4), backend)
    np.testing.assert_allclose(transposed.weight.var, 2 / (9 * 10))


def test_the_spread_of_the_means_has_its_own_gain(backend: Backend) -> None:
    layer = nn.Conv2d(1, 2, 3, gain_mean=0.0)
    network(layer, (1, 4, 4), backend)
    assert not layer.weight.mu.any()
    assert layer.weight.var.all()


def test_costs_count_weights_and_seven_products() -> None:
    layer = nn.Conv2d(2, 6, 3, groups=2, padding=1)
    nn.output_shape(layer, (2, 5, 4))
    (cost,) = layer.costs()
    assert cost == nn.Cost("Conv2d(2,6,3)", (6, 5, 4), 6 * 9 + 6, 14 * 6 * 9 * 20)


def test_learns_a_filter_from_images(backend: Backend) -> None:
    """A linear task with little noise: the weights find the filter that made the data."""
    rng = np.random.default_rng(0)
    filters = rng.normal(size=(1, 2, 3, 3))
    layer = nn.Conv2d(2, 1, 3)
    net = network(layer, (2, 3, 3), backend)
    updater = nn.OutputUpdater(net)
    for x in rng.normal(size=(400, 2, 3, 3)):
        net(x[None])
        updater.update((x * filters[0]).sum(), 1e-4)
        net.backward()
        net.step()
    np.testing.assert_allclose(layer.weight.mu, filters, atol=0.02)
