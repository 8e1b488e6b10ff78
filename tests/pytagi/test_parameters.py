"""Parameters of layers and networks: reading, setting, innovations, names, counts."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tagi_cli.pytagi as pytagi
from tagi_cli.pytagi import nn


@pytest.fixture(autouse=True)
def seed() -> None:
    pytagi.manual_seed(0)


def images(batch: int = 4, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(batch, 1, 6, 6)).astype(np.float32)


def convolutional() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, in_width=6, in_height=6),
        nn.ReLU(),
        nn.ResNetBlock(
            nn.LayerBlock(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(4)),
            nn.Conv2d(4, 4, 1, bias=False),
        ),
        nn.LayerBlock(nn.AvgPool2d(3), nn.Linear(16, 3)),
        nn.Linear(3, 2),
    )


def learn(net: nn.Sequential, x: np.ndarray, seed: int = 2) -> None:
    y = np.random.default_rng(seed).normal(size=net(x)[0].size).astype(np.float32)
    nn.OutputUpdater(net.device).update(
        net.output_z_buffer, y, np.full(y.size, 0.1, np.float32), net.input_delta_z_buffer
    )
    net.backward()
    net.step()


NAMES = [
    "Conv2d.0", "Conv2d.main.2.0", "BatchNorm2d.main.2.2", "Conv2d.shortcut.2", "Linear.3.1",
    "Linear.4",
]  # fmt: skip


def test_layers_are_named_by_class_and_place() -> None:
    net = convolutional()
    assert list(net.state_dict()) == NAMES
    sizes = [[a.size for a in entry] for entry in net.state_dict().values()]
    assert sizes == [[36, 36, 4, 4], [144, 144, 4, 4], [4, 4, 4, 4], [16, 16, 0, 0],
                     [48, 48, 3, 3], [6, 6, 2, 2]]  # fmt: skip
    for listed, (name, entry) in zip(net.parameters(), net.state_dict().items(), strict=True):
        assert len(listed) == 4, name
        for a, b in zip(listed, entry, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "carry", [lambda d: d, copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))]
)
def test_a_state_dict_carries_all_that_a_prediction_needs(carry: object) -> None:
    """Running statistics and what lies in blocks included; pytagi loses both."""
    net, other = convolutional(), convolutional()
    for step in range(3):
        learn(net, images(seed=step))
    x = images(seed=9)
    for one in (net, other):
        one.eval()
    assert (net(x)[0] != other(x)[0]).any()
    other.load_state_dict(carry(net.state_dict()))  # type: ignore[operator]
    for got, want in zip(other(x), net(x), strict=True):
        np.testing.assert_array_equal(got, want)
    fresh = convolutional()
    fresh.params_from(net)
    fresh.eval()
    np.testing.assert_array_equal(fresh(x)[0], net(x)[0])


def test_plain_tuples_and_lists_are_loaded_too() -> None:
    net, other = convolutional(), convolutional()
    plain = {name: tuple(a.tolist() for a in entry) for name, entry in net.state_dict().items()}
    other.load_state_dict(plain)
    np.testing.assert_array_equal(other(images())[0], net(images())[0])


def test_what_does_not_fit_changes_nothing() -> None:
    net = convolutional()
    before = net(images())[0]
    good = dict(convolutional().state_dict())
    for change, message in (
        (
            {"Linear.4": good["Linear.3.1"]},
            r"Linear\.4: 48 means and 48 variances of weights, the la",
        ),
        ({"Linear.4": good["Linear.4"][:3]}, r"Linear\.4: 3 arrays; needed are mu_w"),
        ({"Linear.9": good["Linear.4"]}, r"unknown \['Linear\.9'\]"),
        (
            {"Linear.4": (*good["Linear.4"][:3], -good["Linear.4"][3])},
            "variance of biases is negat",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            net.load_state_dict(good | change)
        np.testing.assert_array_equal(net(images())[0], before)
    with pytest.raises(ValueError, match=r"missing \['Linear\.4'\]"):
        net.load_state_dict({k: v for k, v in good.items() if k != "Linear.4"})


def test_properties_are_copies_and_are_set_with_their_size() -> None:
    layer = nn.Linear(3, 2)
    mu = layer.mu_w
    mu[:] = 9
    assert (layer.mu_w != 9).all()
    layer.mu_w, layer.var_w = np.arange(6), np.full((2, 3), 0.5)
    layer.mu_b, layer.var_b = [1, 2], [3, 4]
    net = nn.Sequential(layer)
    np.testing.assert_allclose(net(np.ones(3, np.float32))[0], [0 + 1 + 2 + 1, 3 + 4 + 5 + 2])
    np.testing.assert_allclose(net(np.ones(3, np.float32))[1], [1.5 + 3, 1.5 + 4])
    layer.mu_w = np.zeros(6)
    np.testing.assert_array_equal(net(np.ones(3, np.float32))[0], [1, 2])
    for name, value in (("mu_w", np.zeros(5)), ("var_b", np.zeros(3))):
        with pytest.raises(ValueError, match=rf"Linear\(3,2\): .* has . values, {value.size} were"):
            setattr(layer, name, value)
    with pytest.raises(ValueError, match="negative or not a number"):
        layer.var_w = -np.ones(6)


def test_a_layer_without_parameters_has_none() -> None:
    layer = nn.ReLU()
    for name in ("mu_w", "var_w", "mu_b", "var_b", "delta_mu_w", "delta_var_b"):
        assert getattr(layer, name).size == 0
    assert (layer.num_weights, layer.num_biases, layer.bias) == (0, 0, False)
    with pytest.raises(ValueError, match="mu of weight has 0 values, 2 were given"):
        layer.mu_w = np.zeros(2)


def test_sizes_can_be_read_and_set() -> None:
    layer = nn.Linear(3, 2)
    assert (layer.input_size, layer.output_size, layer.get_max_num_states()) == (3, 2, 3)
    assert (layer.num_weights, layer.num_biases, layer.bias) == (6, 2, True)
    layer.input_size = 5
    assert layer.mu_w.size == layer.num_weights == 10
    layer.bias = False
    assert layer.mu_b.size == 0
    layer.num_weights, layer.num_biases = 10, 0
    conv = nn.Conv2d(2, 3, 3)
    conv.in_width, conv.in_height = 5, 7
    net = nn.Sequential(conv, nn.ReLU(), nn.Linear(3 * 5 * 3, 1))
    sizes = {name: getattr(conv, name) for name in ("in_channels", "in_height", "in_width",
             "out_channels", "out_height", "out_width", "input_size", "output_size")}  # fmt: skip
    assert list(sizes.values()) == [2, 7, 5, 3, 5, 3, 70, 45]
    assert net.layers[1].input_size == net.layers[1].output_size == 45
    for name, value in sizes.items():
        setattr(conv, name, value)
        with pytest.raises(
            ValueError, match=rf"{name} is {value} in this network, not {value + 1}"
        ):
            setattr(conv, name, value + 1)
    for name, wrong in (("bias", False), ("num_weights", 3), ("num_biases", 9), ("in_width", -1)):
        with pytest.raises(ValueError, match=r"Conv2d\(2,3,3,5,3\): "):
            setattr(conv, name, wrong)


def test_sizes_set_ahead_are_checked_when_the_network_is_built() -> None:
    layer = nn.ReLU()
    layer.output_size = 4
    assert layer.output_size == 4
    nn.Sequential(nn.Linear(3, 4), layer)
    other = nn.ReLU()
    other.output_size = 5
    with pytest.raises(ValueError, match=r"ReLU\(\): output_size is 4 in this network, not 5"):
        nn.Sequential(nn.Linear(3, 4), other)


@pytest.mark.parametrize("power", [1, 2])
def test_innovations_of_parameters_are_the_uncapped_step(power: int) -> None:
    """`var G` and `var^2 L`, from sums over the batch by hand; the step limits them."""
    net = nn.Sequential(nn.Linear(3, 2))
    layer = net.layers[0]
    assert (layer.delta_mu_w == 0).all()
    x = np.random.default_rng(3).normal(size=(4, 3)).astype(np.float32)
    var_w, var_b, mu_w = layer.var_w, layer.var_b, layer.mu_w
    mu, var = (a.reshape(4, 2) for a in net(x))
    nn.OutputUpdater("cpu").update(
        net.output_z_buffer, np.zeros(8, np.float32), np.full(8, 0.1, np.float32),
        net.input_delta_z_buffer,
    )  # fmt: skip
    net.backward()
    d = -mu / (var + 0.1) if power == 1 else -1 / (var + 0.1)
    weight = (d.T @ x**power).ravel() * var_w**power
    bias = d.sum(axis=0) * var_b**power
    names = ("delta_mu_w", "delta_mu_b") if power == 1 else ("delta_var_w", "delta_var_b")
    for _ in range(2):
        np.testing.assert_allclose(getattr(layer, names[0]), weight, rtol=1e-4)
        np.testing.assert_allclose(getattr(layer, names[1]), bias, rtol=1e-4)
        if not net._stepped:
            net.step()  # kept over the step, as they were read before it
    if power == 1:
        bar = np.sqrt(var_w) / 2
        np.testing.assert_allclose(layer.mu_w - mu_w, np.clip(weight, -bar, bar), rtol=1e-3)


def test_innovations_of_parameters_can_be_set() -> None:
    net = nn.Sequential(nn.Linear(2, 1))
    layer = net.layers[0]
    learn(net, np.ones((4, 2), np.float32))
    with pytest.raises(RuntimeError, match=r"hold from backward\(\) to step\(\)"):
        layer.delta_mu_w  # noqa: B018
    net(np.ones((4, 2), np.float32))
    net.backward()
    before = layer.mu_w, layer.var_w
    layer.delta_mu_w, layer.delta_var_w = [1e-3, -2e-3], [-1e-4, 0]
    np.testing.assert_allclose(layer.delta_mu_w, [1e-3, -2e-3], rtol=1e-6)
    net.step()
    np.testing.assert_allclose(layer.mu_w - before[0], [1e-3, -2e-3], rtol=1e-3)
    np.testing.assert_allclose(layer.var_w - before[1], [-1e-4, 0], rtol=1e-3, atol=1e-7)
    with pytest.raises(ValueError, match="delta of weight has 2 values, 3 were given"):
        layer.delta_mu_w = np.zeros(3)
    with pytest.raises(RuntimeError, match="not part of a network yet"):
        nn.Linear(2, 1).delta_mu_w = np.zeros(2)


def test_new_priors_can_be_drawn() -> None:
    net = convolutional()
    before = net.state_dict()
    for layer in net.layers:
        layer.init_weight_bias()
    after = net.state_dict()
    for name in NAMES:
        same = "BatchNorm" in name  # nothing is random there
        assert (after[name][0] == before[name][0]).all() == same, name
        np.testing.assert_array_equal(after[name][1], before[name][1])


def test_variances_that_would_not_stay_positive_are_counted() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1), nn.ReLU(), nn.Linear(1, 1))
    assert net.get_neg_var_w_counter() == {
        "Linear(2,3)": 0, "ReLU()": 0, "Linear(3,1)": 0, "Linear(1,1)": 0
    }  # fmt: skip
    layer = net.layers[4]
    layer.var_w, layer.mu_w = [1e-2], [0.0]
    net(np.ones((2, 2), np.float32))
    net.backward()
    layer.delta_var_w = [-1.0]
    net.step()
    assert net.get_neg_var_w_counter()["Linear(1,1)"] == 1
    np.testing.assert_allclose(layer.var_w, [1e-5])
    assert net.get_neg_var_w_counter()["Linear(1,1)"] == 0


def test_statistics_of_normalisation_layers() -> None:
    net = nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm2d(4, momentum=0.5), nn.LayerBlock(nn.LayerNorm([4])),
        nn.Linear(4, 1),
    )  # fmt: skip
    net(np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32))
    first = net.get_norm_mean_var()
    assert list(first) == ["BatchNorm2d()_1", "LayerNorm()_2.0"]
    assert [a.size for a in first["BatchNorm2d()_1"]] == [4, 4, 4, 4]
    assert [a.size for a in first["LayerNorm()_2.0"]] == [8, 8, 0, 0]
    net(np.random.default_rng(1).normal(size=(8, 3)).astype(np.float32))
    second = net.get_norm_mean_var()
    for part in (0, 1):
        now, running = second["BatchNorm2d()_1"][part], second["BatchNorm2d()_1"][part + 2]
        old = first["BatchNorm2d()_1"][part + 2]
        np.testing.assert_allclose(running, 0.5 * old + 0.5 * now, rtol=1e-5)


def test_a_bare_layer_has_sizes_and_does_nothing() -> None:
    layer = nn.BaseLayer()
    layer.input_size = 3
    assert (layer.input_size, layer.output_size, layer.mu_w.size) == (3, 0, 0)
    assert layer.get_layer_info() == "BaseLayer()"
    with pytest.raises(TypeError, match="BaseLayer is no layer by itself"):
        nn.Sequential(layer)


def test_a_layer_belongs_to_one_network() -> None:
    layer = nn.Linear(2, 2)
    nn.Sequential(layer)
    with pytest.raises(ValueError, match="already belongs to another network"):
        nn.Sequential(layer)
