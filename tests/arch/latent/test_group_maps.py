"""Maps between latents do what their plain counterparts do."""

from __future__ import annotations

import numpy as np
import pytest

from tagi_cli import nn
from tagi_cli.arch.latent import group_maps
from tagi_cli.backend import select

D = (2, 3)


def run(layer: nn.Layer, x: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The layer's output with random certain parameters, and those."""
    backend = select(precision="float64")
    net = nn.Network(layer, x.shape[1:], rng=np.random.default_rng(0), backend=backend)
    rng = np.random.default_rng(1)
    for tensor in net.parameters.tensors.values():
        tensor.assign(rng.normal(size=tensor.shape), np.zeros(tensor.shape))
    return net(x).mu, {name: t.mu for name, t in net.parameters.tensors.items()}


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(4, sum(D)))


def test_identity(x: np.ndarray) -> None:
    np.testing.assert_array_equal(run(group_maps.identity(), x)[0], x)


def test_linear(x: np.ndarray) -> None:
    y, w = run(group_maps.linear(D, (1, 3), bias=True), x)
    np.testing.assert_allclose(y, x @ w["weight"].T + w["bias"])
    start = group_maps.linear(D, (4,))
    assert isinstance(start, nn.Linear)
    assert start.weight is not None
    np.testing.assert_array_equal(start.weight.mu, np.eye(4, 5))


def test_matrices_are_the_groups_own(x: np.ndarray) -> None:
    y, w = run(group_maps.matrices(D, (4, 1)), x)
    first, second = w["group0.weight"], w["group1.weight"]
    want = np.concatenate([x[:, :2] @ first.T, x[:, 2:] @ second.T], axis=1)
    np.testing.assert_allclose(y, want)


def test_nets_of_each_group_and_elementwise(x: np.ndarray) -> None:
    y, _ = run(group_maps.per_group(D, [nn.Tanh(), nn.ReLU()]), x)
    np.testing.assert_allclose(y[:, :2], np.tanh(x[:, :2]), rtol=1e-6)
    np.testing.assert_array_equal(y[:, 2:], np.maximum(x[:, 2:], 0))


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("offsets", [False, True])
def test_scale_and_offset(x: np.ndarray, nonnegative: bool, offsets: bool) -> None:
    y, w = run(group_maps.scale_and_offset(offsets, nonnegative), x)
    values = list(w.values())
    scale = np.abs(values[0]) if nonnegative else values[0]
    assert not nonnegative or (values[0] < 0).any()
    np.testing.assert_allclose(y, x * scale + (values[1] if offsets else 0))


def test_concatenate_takes_whole_groups(x: np.ndarray) -> None:
    layer = group_maps.concatenate(D, [[False, True], [True, True]])
    np.testing.assert_array_equal(run(layer, x)[0], np.concatenate([x[:, 2:], x], axis=1))


def test_select_takes_latents_in_the_order_of_groups(x: np.ndarray) -> None:
    layer = group_maps.select(D, [[[1], None], [[0, 1], [2, 0]]])
    np.testing.assert_array_equal(run(layer, x)[0], x[:, [1, 0, 1, 4, 2]])


def test_dense_sees_all_that_comes_before(x: np.ndarray) -> None:
    y, w = run(group_maps.dense([4, 3], (2,), nn.Tanh), x)
    weights = [name for name in w if name.endswith("weight")]
    seen = x
    for name in weights[:-1]:
        hidden = np.tanh(seen @ w[name].T + w[name.replace("weight", "bias")])
        seen = np.concatenate([seen, hidden], axis=1)
    want = seen @ w[weights[-1]].T + w[weights[-1].replace("weight", "bias")]
    np.testing.assert_allclose(y, want, rtol=1e-6)


FEW = "found 1 layers for 2 groups of latents. Allowed: 2"


def test_wrong_sizes_are_named() -> None:
    for make, text in (
        (
            lambda: group_maps.per_group(D, [nn.ReLU()]),
            FEW,
        ),
        (
            lambda: group_maps.matrices(D, (1,)),
            FEW,
        ),
        (lambda: group_maps.concatenate(D, [[True]]), "each row says of 2 input groups"),
        (lambda: group_maps.select(D, [[[2], None]]), "latent 2 of group 0: it has 0 to 1"),
        (lambda: group_maps.select(D, [[[1], None, [0]]]), "lists 3 input groups, there are 2"),
    ):
        with pytest.raises(ValueError, match=text):
            make()
