"""Blocks: also of fully connected layers and of single ones, which pytagi cannot train."""

from __future__ import annotations

import numpy as np
import pytest

import tagi_cli.pytagi as pytagi
from tagi_cli.pytagi import nn


@pytest.fixture(autouse=True)
def seed() -> None:
    pytagi.manual_seed(0)


def rows(count: int = 4) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, 3)).astype(np.float32)


def condition(net: nn.Sequential, x: np.ndarray) -> None:
    n = net(x)[0].size
    nn.OutputUpdater("cpu").update(
        net.output_z_buffer, np.ones(n, np.float32), np.full(n, 0.1, np.float32),
        net.input_delta_z_buffer,
    )  # fmt: skip
    net.backward()


def test_a_block_is_its_layers_one_after_the_other() -> None:
    found = []
    for block in (False, True):
        pytagi.manual_seed(2)
        inner = [nn.Linear(3, 5), nn.ReLU()]
        layers = [nn.LayerBlock(*inner)] if block else inner
        net = nn.Sequential(*layers, nn.Linear(5, 1))
        condition(net, rows())
        net.step()
        found.append([a for entry in net.parameters() for a in entry])
    for got, want in zip(*found, strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_block_of_one_layer_learns() -> None:
    net = nn.Sequential(nn.LayerBlock(nn.Linear(3, 3)), nn.Tanh(), nn.Linear(3, 1))
    before = net.state_dict()["Linear.0.0"][0]
    condition(net, rows())
    net.step()
    assert (net.state_dict()["Linear.0.0"][0] != before).all()


@pytest.mark.parametrize("projected", [False, True])
def test_a_residual_block_of_vectors_and_its_buffers(projected: bool) -> None:
    main, shortcut = nn.Linear(3, 3), nn.Linear(3, 3) if projected else None
    block = nn.ResNetBlock(main, shortcut)
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), block)
    assert block.main_block is main
    assert block.shortcut is shortcut
    condition(net, rows())
    x = block.input_z.mu_a.reshape(4, 3)
    np.testing.assert_allclose(block.input_z.jcb.reshape(4, 3), 1 - x**2, rtol=1e-5)

    def affine(layer: nn.BaseLayer) -> np.ndarray:
        return x @ layer.mu_w.reshape(3, 3).T + layer.mu_b

    side = x if shortcut is None else affine(shortcut)
    np.testing.assert_allclose(block.shortcut_output_z.mu_a.reshape(4, 3), side, rtol=1e-5)
    total = affine(main) + side
    np.testing.assert_allclose(net.get_outputs()[0].reshape(4, 3), total, rtol=1e-4, atol=1e-6)
    sent = net.input_delta_z_buffer.delta_mu
    np.testing.assert_array_equal(block.shortcut_output_delta_z.delta_mu, sent)
    weights = main.mu_w.reshape(3, 3) + (
        np.eye(3) if shortcut is None else shortcut.mu_w.reshape(3, 3)
    )
    want = sent.reshape(4, 3) @ weights
    np.testing.assert_allclose(
        block.input_delta_z.delta_mu.reshape(4, 3), want, rtol=1e-4, atol=1e-5
    )


def test_buffers_of_a_block_can_be_set_and_cleared() -> None:
    block = nn.ResNetBlock(nn.Linear(3, 3), nn.Linear(3, 3))
    with pytest.raises(RuntimeError, match=r"ResNetBlock\(.*\) is not part of a network yet"):
        block.input_z  # noqa: B018
    net = nn.Sequential(nn.Linear(3, 3), block)
    condition(net, rows(2))
    states, deltas = nn.BaseHiddenStates(6, 2), nn.BaseDeltaStates(6, 2)
    states.mu_a = deltas.delta_mu = np.arange(6)
    block.input_z = block.shortcut_output_z = states
    block.input_delta_z = block.shortcut_output_delta_z = deltas
    for got in (block.input_z.mu_a, block.shortcut_output_z.mu_a, block.input_delta_z.delta_mu,
                block.shortcut_output_delta_z.delta_mu):  # fmt: skip
        np.testing.assert_array_equal(got, np.arange(6))
    block.init_input_buffer()
    block.init_shortcut_state()
    block.init_shortcut_delta_state()
    for got in (block.input_z.mu_a, block.shortcut_output_z.mu_a,
                block.shortcut_output_delta_z.delta_mu):  # fmt: skip
        assert (got == 0).all()


def test_layers_can_be_replaced_until_the_network_is_built() -> None:
    block, chain = nn.ResNetBlock(nn.Linear(3, 2)), nn.LayerBlock(nn.Linear(9, 9))
    block.main_block, block.shortcut = nn.Linear(3, 3), nn.Linear(3, 3)
    chain.layers = [nn.Linear(3, 4), nn.ReLU()]
    net = nn.Sequential(block, chain)
    assert net(rows())[0].size == 16
    for owner, name, value in ((block, "shortcut", None), (block, "main_block", nn.Linear(3, 3)),
                               (chain, "layers", [])):  # fmt: skip
        with pytest.raises(ValueError, match="its network is built, its layers stay"):
            setattr(owner, name, value)
    assert len(chain.layers) == 2
    assert block.get_layer_info() == "ResNetBlock(3,3)"
    assert chain.get_layer_info() == "LayerBlock(3,4)"
    if not pytagi.cuda.is_available():
        with pytest.raises(RuntimeError, match="0 CUDA devices"):
            chain.switch_to_cuda()
