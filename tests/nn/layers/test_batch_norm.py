"""Batch normalisation: statistics, sampling given them, running averages, modes."""

from __future__ import annotations

import numpy as np
import pytest
from affine_oracle import assert_sampled, build, units

from tagi_cli import nn
from tagi_cli.backend.reference import KERNELS

# Row shape, and how a batch norm of that many features sees it.
SHAPES = [((4,), 4, 1), ((3, 5), 3, 5), ((2, 3, 2), 2, 6), ((2, 3, 2), 12, 1), ((2, 3, 2), 6, 2)]


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize(("shape", "features", "positions"), SHAPES)
def test_moments_and_innovations_by_sampling(
    shape: tuple[int, ...], features: int, positions: int, kernels: str
) -> None:
    layer = nn.BatchNorm2d(features)
    net = build(layer, shape, kernels)
    assert_sampled(net, layer, units(6, *shape), (6, features, positions), per_row=False)


@pytest.mark.parametrize("scale", [1e-10, 1e-4, 1e4])
def test_moments_and_innovations_at_other_scales(scale: float) -> None:
    """Of the input's variances, from next to none to far more than the means are apart."""
    layer = nn.BatchNorm2d(3)
    net = build(layer, (3, 5), "auto")
    mu, var = units(6, 3, 5)
    assert_sampled(net, layer, (mu, scale * var), (6, 3, 5), per_row=False)


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("statistics", ["peer", "mixture"])
@pytest.mark.parametrize(("shape", "features", "positions"), SHAPES)
def test_statistics_of_a_batch(
    shape: tuple[int, ...], features: int, positions: int, statistics: str, kernels: str
) -> None:
    layer = nn.BatchNorm2d(features, statistics=statistics)
    net = build(layer, shape, kernels)
    mu, var = units(6, *shape)
    net(mu, var)
    got = net.current.plan.statistics[layer]
    elements = mu.reshape(6, features, positions).swapaxes(0, 1).reshape(features, -1)
    spread = var.reshape(6, features, positions).sum(axis=(0, 2))
    n = 6 * positions
    divisor = n - 1 if statistics == "peer" else n
    np.testing.assert_allclose(got[0], elements.mean(axis=1), rtol=1e-12)
    want = (elements.var(axis=1) * n + spread) / divisor
    np.testing.assert_allclose(got[1], want, rtol=1e-12)


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
def test_a_large_offset_costs_no_digits(kernels: str) -> None:
    layer = nn.BatchNorm2d(3, statistics="mixture")
    net = build(layer, (3,), kernels)
    x = np.random.default_rng(0).normal(size=(50, 3))
    net(x + 1e6)
    np.testing.assert_allclose(net.current.plan.statistics[layer][1], x.var(axis=0), rtol=1e-9)


def test_without_any_variance_it_is_the_deterministic_layer() -> None:
    layer = nn.BatchNorm2d(5, statistics="mixture", eps=1e-3)
    net = build(layer, (5, 4))
    assert layer.weight is not None
    assert layer.bias is not None
    for tensor in (layer.weight, layer.bias):
        tensor.assign(tensor.mu, np.zeros(5))
    x = np.random.default_rng(0).normal(size=(8, 5, 4))
    mean, var = x.mean(axis=(0, 2), keepdims=True), x.var(axis=(0, 2), keepdims=True)
    w, b = (tensor.mu.reshape(1, 5, 1) for tensor in (layer.weight, layer.bias))
    mu, var_z = net(x)
    np.testing.assert_allclose(mu, w * (x - mean) / np.sqrt(var + 1e-3) + b, rtol=1e-12)
    assert (var_z == 0).all()


def test_the_first_batch_sets_the_running_statistics_and_later_ones_move_them() -> None:
    """pytagi does so with one thread only; with more its first batch counts a tenth."""
    layer = nn.BatchNorm2d(3, momentum=0.75)
    net = build(layer, (3,))
    rng = np.random.default_rng(0)
    mean, var = None, None
    for _ in range(4):
        x = rng.normal(2, 3, size=(7, 3))
        net(x)
        new = x.mean(axis=0), x.var(axis=0, ddof=1)
        old = new if mean is None else (mean, var)
        mean, var = (0.75 * a + 0.25 * b for a, b in zip(old, new, strict=True))
        np.testing.assert_allclose(layer.running_mean.value, mean, rtol=1e-12)
        np.testing.assert_allclose(layer.running_var.value, var, rtol=1e-12)


def test_a_cold_start_averages_from_zero_and_one() -> None:
    layer = nn.BatchNorm2d(3, momentum=0.9, statistics="mixture", warm_start=False)
    net = build(layer, (3,))
    x = np.random.default_rng(0).normal(2, 3, size=(7, 3))
    net(x)
    np.testing.assert_allclose(layer.running_mean.value, 0.1 * x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(layer.running_var.value, 0.9 + 0.1 * x.var(axis=0), rtol=1e-12)


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
def test_prediction_uses_running_statistics_and_leaves_them(kernels: str) -> None:
    layer = nn.BatchNorm2d(4)
    net = build(layer, (4,), kernels)
    net(*units(9, 4))
    kept = {name: value.copy() for name, value in net.state_dict().items()}
    net.eval()
    x = units(1, 4, seed=5)
    assert_sampled(net, layer, x, (1, 4, 1), per_row=False)
    mean, var = net.current.plan.statistics[layer]
    np.testing.assert_array_equal(mean, layer.running_mean.value)
    np.testing.assert_array_equal(var, layer.running_var.value)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, kept[name])


def test_a_loaded_network_predicts_the_same_and_goes_on_averaging() -> None:
    """pytagi loses the running statistics on the way, and would set them anew."""
    nets = [build(nn.BatchNorm2d(4), (4,)) for _ in range(2)]
    first, second = units(9, 4), units(9, 4, seed=1)
    nets[0](*first)
    nets[1].load_state_dict(nets[0].state_dict())
    for net in nets:
        net(*second)
        net.eval()
    x = units(3, 4, seed=2)
    np.testing.assert_array_equal(nets[0](*x), nets[1](*x))


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("rows", [0, 1])
def test_tiny_batches_are_finite(rows: int, kernels: str) -> None:
    """One value has no sample variance; none leaves the running statistics alone."""
    layer = nn.BatchNorm2d(3)
    net = build(layer, (3,), kernels)
    before = {name: value.copy() for name, value in net.state_dict().items()}
    mu, var = net(*units(rows, 3))
    net.innovations()[0].fill(1)
    net.innovations()[1].fill(-1)
    net.backward()
    assert np.isfinite(mu).all()
    assert np.isfinite(var).all()
    assert np.isfinite(net.parameters.G).all()
    if not rows:
        for name, value in net.state_dict().items():
            np.testing.assert_array_equal(value, before[name])


def test_shards_merge_to_the_whole_batch() -> None:
    """Moments of shards of any sizes give the statistics of their union."""
    rng = np.random.default_rng(0)
    mu, var = rng.normal(size=(13, 4, 3)), rng.random((13, 4, 3))
    results = []
    for cuts in ([0, 13], [0, 1, 6, 6, 13]):
        moments = np.zeros((len(cuts) - 1, 9))
        for row, a, b in zip(moments, cuts[:-1], cuts[1:], strict=True):
            KERNELS["channel_moments"](row, mu[a:b], var[a:b], b - a, 4, 3)
        out = np.zeros((5, 4))
        KERNELS["batch_norm_statistics"](*out, np.zeros(1), moments, len(moments), 4, 1, 1e-5, 0.9)
        results.append(out)
    np.testing.assert_allclose(results[0], results[1], rtol=1e-13)


def test_a_vector_behind_an_image_is_normalised_unit_by_unit() -> None:
    """pytagi's backward takes such a layer for an image, and fills the first deltas only."""
    layer = nn.BatchNorm2d(12)
    net = build(nn.Sequential(nn.Linear(0, 12), layer), (3, 2, 2))
    rng = np.random.default_rng(0)
    z, _ = net(rng.normal(size=(6, 3, 2, 2)))
    d_mu, d_var = net.innovations()
    d_mu[...], d_var[...] = rng.normal(size=(2, 6, 12))
    t = (z - layer.bias.mu) / layer.weight.mu
    net.backward()
    np.testing.assert_allclose(layer.weight.G, (t * d_mu).sum(axis=0), rtol=1e-10)
    np.testing.assert_allclose(layer.weight.L, (t**2 * d_var).sum(axis=0), rtol=1e-10)


def test_wrong_sizes_and_options_are_refused() -> None:
    with pytest.raises(nn.ShapeError, match=r"BatchNorm2d\(5\) takes 5 channels or units but gets"):
        build(nn.BatchNorm2d(5), (4, 2))
    with pytest.raises(ValueError, match="momentum is 2"):
        nn.BatchNorm2d(3, momentum=2)
    with pytest.raises(ValueError, match="eps is 0"):
        nn.BatchNorm2d(3, eps=0)
    with pytest.raises(ValueError, match="statistics 'biased': allowed are peer, mixture"):
        nn.BatchNorm2d(3, statistics="biased")


def test_priors() -> None:
    layer = nn.BatchNorm2d(8, gain_weight=0.5, gain_bias=2)
    nn.Network(layer, (8,))
    np.testing.assert_array_equal(layer.weight.mu, 1)
    np.testing.assert_allclose(layer.weight.var, 0.03125)
    np.testing.assert_array_equal(layer.bias.mu, 0)
    np.testing.assert_allclose(layer.bias.var, 0.5)
    assert nn.Network(nn.BatchNorm2d(bias=False), (8, 2)).parameters.size == 8
