"""Attention under pytagi's names: sizes, parameters, files, and steps of training."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest

import tagi_cli.pytagi as pytagi
from tagi_cli import nn as ours
from tagi_cli.errors import UserError
from tagi_cli.pytagi import nn


@pytest.fixture(autouse=True)
def seed() -> None:
    pytagi.manual_seed(0)


def network(**options: object) -> nn.Sequential:
    attention = nn.MultiheadAttention(8, 4, **options)  # type: ignore[arg-type]
    return nn.Sequential(nn.Embedding(6, 8, 5), attention, nn.Linear(40, 2))


IDS = np.random.default_rng(0).integers(0, 6, (3, 5)).astype(np.float32)


def test_names_and_defaults_are_pytagis() -> None:
    parameters = inspect.signature(nn.MultiheadAttention).parameters.values()
    defaults = {p.name: p.default for p in parameters}
    assert list(defaults)[:7] == [
        "embed_dim", "num_heads", "num_kv_heads", "bias", "gain_weight", "gain_bias", "init_method",
    ]  # fmt: skip
    assert list(defaults.values())[2:7] == [None, True, 1.0, 1.0, "Xavier"]


def test_projections_are_one_matrix() -> None:
    layer = nn.MultiheadAttention(8, 4)
    assert (layer.num_weights, layer.num_biases) == (3 * 8 * 8, 3 * 8)
    shared = nn.MultiheadAttention(8, 4, 2, bias=False)
    assert (shared.num_weights, shared.num_biases) == (2 * 8 * 8, 0)
    assert layer.get_layer_info() == "SelfAttention(heads=4, kv_heads=4, emb_size=8)"
    assert layer.get_layer_name() == "MultiheadAttention"


@pytest.mark.parametrize("options", [{}, {"num_kv_heads": 1, "output_projection": True}])
def test_a_row_has_as_many_tokens_as_fit(options: dict[str, object]) -> None:
    """Also where attention comes first, and all of them come out; pytagi sees one, and cuts."""
    net = nn.Sequential(nn.MultiheadAttention(8, 4, **options))  # type: ignore[arg-type]
    mu, var = net(np.random.default_rng(1).normal(size=(3, 40)).astype(np.float32))
    assert mu.shape == var.shape == (3 * 40,)
    assert net.layers[0].output_size == net.layers[0].input_size == 40


def test_later_tokens_are_not_seen() -> None:
    net = nn.Sequential(nn.MultiheadAttention(8, 4))
    x = np.random.default_rng(2).normal(size=(1, 5, 8)).astype(np.float32)
    before, _ = net(x)
    x[:, 4] = 0
    after, _ = net(x)
    np.testing.assert_array_equal(before[:32], after[:32])
    assert (before[32:] != after[32:]).any()


@pytest.mark.parametrize("output_projection", [False, True])
def test_a_step_trains_all_parameters(output_projection: bool) -> None:
    net = network(output_projection=output_projection)
    net(IDS)
    before = net.state_dict()
    names = ["Embedding.0", "MultiheadAttention.1", "Linear.2"]
    assert list(before) == names[:2] + ["Linear.output.1"] * output_projection + names[2:]
    y = np.ones(6, np.float32)
    nn.OutputUpdater(net.device).update(
        net.output_z_buffer, y, np.full(6, 0.1, np.float32), net.input_delta_z_buffer
    )
    net.backward()
    assert (net.layers[1].delta_mu_w != 0).any()
    net.step()
    for name, four in net.state_dict().items():
        for old, new in zip(before[name], four, strict=True):
            assert old.size == 0 or (old != new).any(), name


def test_parameters_travel(tmp_path: Path) -> None:
    net, other = network(), network()
    for one in (net, other):
        one(IDS)
    net.save(tmp_path / "net.bin")
    other.load(tmp_path / "net.bin")
    np.testing.assert_array_equal(net(IDS), other(IDS))
    data = (tmp_path / "net.bin").read_bytes()
    assert b"SelfAttention(heads=4, kv_heads=4, emb_size=8)" in data
    net.save_csv(tmp_path / "net")
    another = network()
    another(IDS)
    another.load_csv(tmp_path / "net")
    np.testing.assert_allclose(net(IDS), another(IDS), rtol=1e-6)


def test_pytagis_file_knows_no_output_projection(tmp_path: Path) -> None:
    net = network(output_projection=True)
    net(IDS)
    with pytest.raises(UserError, match=r"MultiheadAttention\(8,4\): .* no output projection"):
        net.save(tmp_path / "net.bin")
    net.save(tmp_path / "net.safetensors")
    other = network(output_projection=True)
    other(IDS)
    other.load(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(net(IDS), other(IDS))


def test_biases_can_be_left_out_until_the_network_is_built() -> None:
    layer = nn.MultiheadAttention(8, 4, output_projection=True)
    layer.bias = False
    net = nn.Sequential(layer)
    net(np.zeros((1, 16), np.float32))
    assert [four[2].size for four in net.state_dict().values()] == [0, 0]
    assert isinstance(layer.layer, ours.MultiheadAttention)
    with pytest.raises(ValueError, match="bias is False and stays so"):
        layer.bias = True
