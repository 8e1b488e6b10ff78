"""Recurrent layers: sizes and priors, recurrence inside windows, what reaches the layers below."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from plain_lstm import window

import tagi_cli.pytagi as pytagi
from tagi_cli.pytagi import nn

Host = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def seed() -> None:
    pytagi.manual_seed(0)


def certain(layer: nn.BaseLayer) -> None:
    """Take all variance from a layer."""
    layer.var_w, layer.var_b = np.zeros(layer.num_weights), np.zeros(layer.num_biases)


def normal(*shape: int, seed: int = 1) -> Host:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.SLSTM])
def test_sizes_are_those_of_a_step(kind: Any) -> None:
    layer = kind(2, 3, 4)
    for _ in range(2):  # alone, then in a network
        assert (layer.input_size, layer.output_size) == (2, 3)
        assert (layer.num_weights, layer.num_biases, layer.bias) == (4 * 3 * 5, 12, True)
        assert layer.get_max_num_states() == 4 * 3
        assert layer.get_layer_info() == f"{kind.__name__}(2,3)"
        assert layer.get_layer_name() == kind.__name__
        if layer.layer.input_shape is None:
            net = nn.Sequential(layer, nn.Linear(12, 1))
    assert list(net.state_dict()) == [f"{kind.__name__}.0", "Linear.1"]
    assert net(normal(5, 8))[0].shape == (5,)
    for name, value in (("input_size", 3), ("output_size", 4), ("bias", False), ("mu_w", [1])):
        with pytest.raises(ValueError, match=rf"{kind.__name__}\(2,3\): "):
            setattr(layer, name, value)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.SLSTM])
def test_sizes_can_be_set_before_there_is_a_network(kind: Any) -> None:
    layer = kind(2, 3, 4)
    layer.input_size, layer.output_size = 5, 6
    assert (layer.num_weights, layer.num_biases) == (4 * 6 * 11, 24)
    layer.bias = False
    assert (layer.bias, layer.mu_b.size) == (False, 0)
    net = nn.Sequential(layer)
    assert net(normal(3, 20))[0].shape == (3 * 4 * 6,)
    assert [a.size for a in net.state_dict()[f"{kind.__name__}.0"]] == [264, 264, 0, 0]


def test_a_linear_map_of_each_step() -> None:
    """Of windows, too, and without a bias: pytagi's map has one output of one step."""
    layer = nn.SLinear(3, 2, bias=False)
    net = nn.Sequential(nn.SLSTM(1, 3, 4), layer)
    assert (layer.input_size, layer.output_size, layer.get_layer_info()) == (3, 2, "SLinear(3,2)")
    certain(layer)
    mu, _ = net(normal(2, 4))
    (state,) = net.network.current.plan.recurrences.values()
    hidden = state.states[:, :, 0]
    np.testing.assert_allclose(
        mu.reshape(2, 4, 2), hidden @ layer.mu_w.reshape(2, 3).T, rtol=1e-5, atol=1e-6
    )
    alone = nn.Sequential(nn.SLinear(3, 2))
    assert alone(normal(4, 3))[0].shape == (8,)
    for name, value in (("input_size", 2), ("bias", True)):
        with pytest.raises(ValueError, match=r"SLinear\(3,2\): "):
            setattr(layer, name, value)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.SLSTM])
@pytest.mark.parametrize(("method", "scale"), [("He", 1 / 500), ("Xavier", 2 / 800)])
def test_priors_are_those_of_pytagi(kind: Any, method: str, scale: float) -> None:
    """From all inputs of a gate, gains on variances alone, and no bias for remembering."""
    layer = kind(200, 300, 1, gain_weight=0.5, gain_bias=0.25, init_method=method)
    np.testing.assert_allclose(layer.var_w, 0.25 * scale, rtol=1e-5)
    np.testing.assert_allclose(layer.var_b, 0.0625 * scale, rtol=1e-5)
    for mu in (layer.mu_w, *np.split(layer.mu_b, 4)):
        assert abs(mu.mean()) < 6 * np.sqrt(scale / mu.size)
        assert abs(mu.var() / scale - 1) < 6 * np.sqrt(2 / mu.size)


def test_new_priors_are_drawn_for_all_kinds() -> None:
    net = nn.Sequential(nn.LSTM(1, 2, 1), nn.SLSTM(2, 2, 1), nn.SLinear(2, 1))
    before = net.state_dict()
    for layer in net.layers:
        layer.init_weight_bias()
    for name, entry in net.state_dict().items():
        assert (entry[0] != before[name][0]).any()
        np.testing.assert_array_equal(entry[1], before[name][1])


def test_windows_are_recurrent_for_any_number_of_rows() -> None:
    """With certain parameters they are the plain recurrence; in pytagi steps forget each other."""
    layers = [nn.LSTM(2, 3, 5), nn.LSTM(3, 4, 5)]
    net = nn.Sequential(*layers)
    for layer in layers:
        certain(layer)
    for rows in (1, 4, 2, 30):
        x = normal(rows, 5, 2)
        want = x
        for layer in layers:
            weight = layer.mu_w.reshape(-1, layer.input_size + layer.output_size)
            want = window(want, weight, layer.mu_b)
        # The output of a last layer of steps is that of all steps.
        np.testing.assert_allclose(net(x)[0].reshape(want.shape), want, rtol=1e-4, atol=1e-6)


def test_without_recurrence_each_step_stands_for_itself() -> None:
    x = normal(3, 4, 2)
    window_, step = (
        nn.Sequential(nn.LSTM(2, 3, 4, recurrent=False)),
        nn.Sequential(nn.LSTM(2, 3, 1)),
    )
    step.params_from(window_)
    for got, want in zip(window_(x), step(x), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)
    recurrent = nn.Sequential(nn.LSTM(2, 3, 4))
    recurrent.params_from(window_)
    assert (recurrent(x)[0] != window_(x)[0]).mean() > 0.7
    assert window_.get_lstm_states() == {}
    with pytest.raises(TypeError, match="positional"):
        nn.LSTM(2, 3, 4, True, 1.0, 1.0, "He", False)  # type: ignore[misc]


def test_the_slope_of_an_activation_in_front_is_not_lost() -> None:
    """pytagi leaves it out."""
    front = nn.Linear(2, 2)
    layers = [front, nn.Tanh(), nn.LSTM(2, 3, 1), nn.Linear(3, 1)]
    net = nn.Sequential(*layers)
    for layer in layers[2:]:
        certain(layer)
    small = 1e-6
    front.var_w = np.full(4, small)
    front.var_b = np.zeros(2)
    x = normal(1, 2)

    def output(mu_w: Host) -> float:
        front.mu_w = mu_w
        net.reset_lstm_states()
        return float(net(x)[0][0])

    mu_w, step = front.mu_w, 1e-2
    slopes = [(output(mu_w + step * e) - output(mu_w - step * e)) / (2 * step) for e in np.eye(4)]
    output(mu_w)
    net.set_delta_z([1], [0])
    net.backward()
    np.testing.assert_allclose(front.delta_mu_w / small, slopes, rtol=2e-2, atol=1e-4)
    assert np.abs(slopes).max() > 0.01


@pytest.mark.parametrize(("recurrent", "low", "high"), [(True, 0, 0.05), (False, 0.9, 1.1)])
def test_what_ties_two_steps_together_is_learnt(recurrent: bool, low: float, high: float) -> None:
    """The product of the first and the last of three signs; guessing is wrong by 1."""
    x = np.sign(normal(1200, 3))
    y = x[:, 0] * x[:, 2]
    net = nn.Sequential(nn.LSTM(1, 20, 3, recurrent=recurrent), nn.Linear(60, 1))
    updater = nn.OutputUpdater(net.device)
    noise = np.full(10, 0.3**2, np.float32)
    for rows in np.tile(np.arange(1000).reshape(-1, 10), (10, 1)):
        net(x[rows])
        updater.update(net.output_z_buffer, y[rows], noise, net.input_delta_z_buffer)
        net.backward()
        net.step()
    error = np.sqrt(np.mean((net(x[1000:])[0] - y[1000:]) ** 2))
    assert low <= error < high
