"""Embedding: looked-up moments, innovations per row of the table, ids that are refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tagi_cli import nn
from tagi_cli.backend import select

IDS = np.array([[2, 0, 2], [4, 2, 1]], float)


def network(layer: nn.Layer, shape: tuple[int, ...] = (3,), kernels: str = "numpy") -> nn.Network:
    backend = select(kernels=kernels, precision="float64")
    rng = np.random.default_rng(0)
    return nn.Network(layer, shape, backend=backend, rule="sum", rng=rng)


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
def test_moments_are_rows_of_the_table(kernels: str) -> None:
    layer = nn.Embedding(5, 4)
    mu, var = network(layer, kernels=kernels)(IDS)
    index = IDS.astype(int)
    assert mu.shape == (2, 3, 4)
    np.testing.assert_array_equal(mu, layer.weight.mu[index])
    np.testing.assert_array_equal(var, layer.weight.var[index])


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
def test_each_row_gathers_the_innovations_of_its_uses(kernels: str) -> None:
    """One-hot rows through a Linear layer without bias are the same map."""
    layer = nn.Embedding(5, 4)
    net = network(layer, kernels=kernels)
    net(IDS)
    rng = np.random.default_rng(1)
    d_mu, d_var = net.innovations()
    d_mu[...], d_var[...] = rng.normal(size=(2, 2, 3, 4))
    net.backward()
    hot = np.eye(5)[IDS.astype(int)]
    np.testing.assert_allclose(layer.weight.G, np.einsum("blv,bld->vd", hot, d_mu), rtol=1e-12)
    np.testing.assert_allclose(layer.weight.L, np.einsum("blv,bld->vd", hot, d_var), rtol=1e-12)


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
def test_a_step_uses_its_own_batch_and_the_squared_variance(kernels: str) -> None:
    """pytagi adds up all batches so far, and takes the first power of the variance."""
    layer = nn.Embedding(5, 2, scale=0.5)
    net = network(layer, kernels=kernels)
    for step in range(3):
        before = layer.weight.mu.copy(), layer.weight.var.copy()
        net(IDS[:1] if step < 2 else np.full((1, 3), 3.0))
        for d, value in zip(net.innovations(), (0.1, -0.2), strict=True):
            d.fill(value)
        net.backward()
        net.step()
        count = np.bincount(IDS[0].astype(int) if step < 2 else [3, 3, 3], minlength=5)[:, None]
        np.testing.assert_allclose(layer.weight.mu, before[0] + before[1] * 0.1 * count)
        np.testing.assert_allclose(layer.weight.var, before[1] - before[1] ** 2 * 0.2 * count)


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
def test_padding_is_zero_and_never_learnt(kernels: str) -> None:
    layer = nn.Embedding(5, 4, padding_idx=2)
    net = network(layer, kernels=kernels)
    mu, var = net(IDS)
    padded = IDS == 2
    assert (mu[padded] == 0).all()
    assert (var[padded] == 0).all()
    assert (mu[~padded] != 0).all()
    for d in net.innovations():
        d.fill(1)
    net.backward()
    assert (layer.weight.G[2] == 0).all()
    assert (layer.weight.G[0] == 1).all()


def test_priors_are_drawn_from_the_networks_generator() -> None:
    tables = []
    for _ in range(2):
        layer = nn.Embedding(2000, 5, scale=0.3)
        network(layer)
        tables.append(layer.weight.mu.copy())
        np.testing.assert_allclose(layer.weight.var, 0.09)
    np.testing.assert_array_equal(*tables)
    assert abs(tables[0].std() - 0.3) < 0.01


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("wrong", [5, -1, 1.5, np.nan, np.inf])
def test_ids_outside_the_table_are_refused(wrong: float, kernels: str) -> None:
    ids = IDS.copy()
    ids[1, 1] = wrong
    chain = nn.Sequential(nn.Embedding(5, 4), nn.Linear(0, 2))
    with pytest.raises(ValueError, match=r"Embedding\(5,4\): id .*whole numbers from 0 to 4"):
        network(chain, kernels=kernels)(ids)


def _graph(*nodes: tuple[str, nn.Layer] | tuple[str, nn.Layer, str]) -> nn.Graph:
    return nn.Graph([nn.Node(*node) for node in nodes])


@pytest.mark.parametrize(
    "make",
    [
        lambda table: nn.Sequential(nn.Reshape((3, 1)), nn.Flatten(), table),
        lambda table: nn.Sequential(nn.Select((1, 0)), nn.Sequential(nn.Flatten(), table)),
        lambda table: nn.Sequential(nn.Reshape((1, 3)), nn.Transpose((1, 0)), table),
        lambda table: _graph(("table", table)),
        lambda table: nn.ResNetBlock(nn.Sequential(table, nn.Flatten()), nn.Linear(0, 12)),
        lambda table: _graph(
            ("cut", nn.Split((1, 2))),
            ("ids", table, "cut.1"),
            ("flat", nn.Flatten()),
            ("rest", nn.Linear(0, 2), "cut.0"),
            ("all", nn.Concat(), ("flat", "rest")),
        ),
    ],
)  # fmt: skip
def test_ids_are_checked_behind_layers_that_only_move_them(
    make: Callable[[nn.Layer], nn.Layer],
) -> None:
    net = network(make(nn.Embedding(5, 4)))
    net.flat_input = True
    for shape in ((2, 3), (6,)):
        net(np.array([[0.0, 4.0, 1.0], [2.0, 3.0, 2.0]]).reshape(shape))
        with pytest.raises(ValueError, match=r"Embedding\(5,4\): id 5: ids are whole"):
            net(np.array([[0.0, 4.0, 1.0], [2.0, 5.0, 2.0]]).reshape(shape))


def test_values_that_are_no_ids_are_not_checked() -> None:
    graph = _graph(
        ("cut", nn.Split((1, 2))),
        ("ids", nn.Embedding(5, 4), "cut.0"),
        ("flat", nn.Flatten()),
        ("all", nn.Concat(), ("flat", "cut.1")),
    )
    assert np.isfinite(network(graph)(np.array([[4.0, 5.0, -0.5]])).mu).all()


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
def test_an_id_that_a_layer_made_wrong_shows_as_nan(kernels: str) -> None:
    chain = nn.Sequential(nn.ReLU(), nn.Embedding(5, 4))
    mu, var = network(chain, kernels=kernels)(np.array([[1.0, 7.0, -3.0]]))
    assert np.isnan(mu[0, 1]).all()
    assert np.isnan(var[0, 1]).all()
    assert np.isfinite(mu[0, [0, 2]]).all()


def test_ids_get_no_innovation() -> None:
    backend = select(kernels="numpy", precision="float64")
    net = nn.Network(nn.Embedding(5, 4), (3,), backend=backend, input_innovation=True)
    net(IDS)
    for d in net.innovations():
        d.fill(1)
    net.backward()
    np.testing.assert_array_equal(net.input_innovations(), np.zeros((2, 2, 3)))


def test_wrong_sizes_and_options_are_refused() -> None:
    with pytest.raises(nn.ShapeError, match="takes 4 ids but gets 3"):
        network(nn.Embedding(5, 2, input_size=4))
    with pytest.raises(ValueError, match="padding_idx is 5, ids are 0 to 4"):
        nn.Embedding(5, 2, padding_idx=5)
    with pytest.raises(ValueError, match="sizes and scale must be positive"):
        nn.Embedding(0, 2)
    with pytest.raises(ValueError, match="exact up to 16777216"):
        nn.Embedding(2**24 + 1, 1)
