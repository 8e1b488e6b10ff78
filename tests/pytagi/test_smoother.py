"""Smoothing through the stand-in: what it returns, when a series begins and ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tagi_cli.pytagi as pytagi
from tagi_cli import nn as library
from tagi_cli.pytagi import nn

Host = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def seed() -> None:
    pytagi.manual_seed(0)


def series(steps: int, rows: int = 1, length: int = 1, outputs: int = 1) -> tuple[Host, Host]:
    """Windows `(steps / length, rows, length, 2)` and their targets, some missing."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(steps // length, rows, length, 2)).astype(np.float32)
    y = rng.normal(size=(steps // length, rows, length, outputs)).astype(np.float32)
    y[1] = np.nan
    return x, y


def network(length: int = 1, outputs: int = 1) -> nn.Sequential:
    layers = [nn.SLSTM(2, 4, length), nn.SLSTM(4, 3, length), nn.SLinear(3, outputs)]
    return nn.Sequential(*layers)


def go_through(
    net: nn.Sequential, x: Host, y: Host, *, learn: bool = False, var_y: float = 0.2
) -> None:
    updater = nn.OutputUpdater(net.device)
    for inputs, targets in zip(x, y, strict=True):
        net(inputs)
        noise = np.full(targets.size, var_y, np.float32)
        updater.update(net.output_z_buffer, targets.ravel(), noise, net.input_delta_z_buffer)
        net.backward()
        if learn:
            net.step()


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("length", [1, 4])
def test_outputs_of_all_steps_rows_and_units(outputs: int, rows: int, length: int) -> None:
    """pytagi's smoother has one output of one row in windows of one step."""
    steps = 12
    x, y = series(steps, rows, length, outputs)
    net = network(length, outputs)
    go_through(net, x, y)
    mu, var = net.smoother()
    assert mu.shape == var.shape == (steps * rows * outputs,)
    assert mu.dtype == var.dtype == np.float32
    assert (var > 0).all()
    for got, want in zip(net.get_outputs_smoother(), (mu, var), strict=True):
        np.testing.assert_array_equal(got, want)
    # Rows are series of their own, and the first axis is time.
    for row in range(rows):
        alone = network(length, outputs)
        alone.params_from(net)
        go_through(alone, x[:, [row]], y[:, [row]])
        for part, got in zip(alone.smoother(), (mu, var), strict=True):
            own = got.reshape(steps, rows, outputs)[:, row]
            np.testing.assert_allclose(own.ravel(), part, rtol=1e-4, atol=1e-6)


def test_it_is_the_smoother_of_the_library() -> None:
    x, y = series(10)
    net = network()
    layers = [
        kind(*sizes, covariance="peer", forget_bias=0) if kind is library.SLSTM else kind(*sizes)
        for kind, sizes in (
            (library.SLSTM, (2, 4, 1)), (library.SLSTM, (4, 3, 1)), (library.SLinear, (3, 1)),
        )
    ]  # fmt: skip
    twin = library.Network(library.Sequential(*layers), (1, 2), rule="capped")
    library.interop.load_state_dict(twin.layer, net.state_dict())
    go_through(net, x, y, learn=True)
    smoother, updater = library.Smoother(twin), library.OutputUpdater(twin)
    for inputs, targets in zip(x, y, strict=True):
        twin(inputs)
        updater.update(targets, np.array([0.2]))
        twin.backward()
        smoother.record()
        twin.step()
    for got, want in zip(net.smoother(), smoother.smooth(), strict=False):
        np.testing.assert_allclose(got, want.ravel(), rtol=1e-5, atol=1e-6)


def test_later_observations_reach_back() -> None:
    x, y = series(8)
    y[:] = np.nan
    net = network()
    go_through(net, x, y)
    prior, before = net.smoother(), [net.get_lstm_states(step) for step in range(8)]
    y[-1] = 3
    go_through(net, x, y)
    posterior = net.smoother()
    moved = np.abs(posterior[0] - prior[0])
    assert (np.diff(moved[-5:]) > 0).all()
    assert moved[-5] > 0
    assert abs(posterior[0][-1] - 3) < abs(prior[0][-1] - 3)
    for step in range(8):
        for key, state in net.get_lstm_states(step).items():
            for k in (1, 3):
                assert (state[k] <= before[step][key][k] * (1 + 1e-6)).all()
                assert step < 6 or (state[k] < before[step][key][k]).any()


def test_states_in_each_step() -> None:
    """The last one is what the series ended in; those that follow start anew."""
    x, y = series(6)
    net = network()
    go_through(net, x, y)
    last = net.get_lstm_states()
    assert all(a.any() for state in last.values() for a in state)
    mu, var = net.smoother()
    for key, state in net.get_lstm_states(5).items():
        for got, want in zip(state, last[key], strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7)
    assert not any(a.any() for state in net.get_lstm_states().values() for a in state)
    # The output is the linear map of the smoothed hidden states of the layer below it.
    head = net.layers[2]
    for step in range(6):
        states = net.get_lstm_states(time_step=step)
        assert [[a.shape for a in state] for state in states.values()] == [[(4,)] * 4, [(3,)] * 4]
        mu_h, var_h = states[1][:2]
        np.testing.assert_allclose(mu[step], head.mu_w @ mu_h + head.mu_b[0], rtol=1e-4)
        want = (head.mu_w**2 + head.var_w) @ var_h + head.var_w @ mu_h**2 + head.var_b[0]
        np.testing.assert_allclose(var[step], want, rtol=1e-4)
    # They can be what another series begins with.
    net.set_lstm_states(net.get_lstm_states(2))
    np.testing.assert_array_equal(net.get_lstm_states()[0][0], net.get_lstm_states(2)[0][0])
    for step in (6, -2):
        with pytest.raises(IndexError, match=rf"time_step {step}: the series has steps 0 to 5"):
            net.get_lstm_states(step)


def test_a_series_begins_where_the_one_before_was_smoothed() -> None:
    x, y = series(5)
    net = network()
    go_through(net, x, y)
    first = net.smoother()
    go_through(net, x, y)
    for got, want in zip(net.smoother(), first, strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("anew", ["reset", "set", "rows", "load"])
def test_or_where_states_are_put_to_something_else(anew: str, tmp_path: Any) -> None:
    x, y = series(5)
    net = network()
    go_through(net, x, y)
    want = net.smoother()
    net.save(tmp_path / "net.safetensors")
    go_through(net, x[:3], y[:3])
    if anew == "reset":
        net.reset_lstm_states()
    elif anew == "set":
        net.set_lstm_states({0: [np.zeros(4)] * 4, 1: [np.zeros(3)] * 4})
    elif anew == "load":
        net.load(tmp_path / "net.safetensors")
    else:
        net(np.repeat(x[0], 2, axis=0))
    go_through(net, x, y)
    for got, value in zip(net.smoother(), want, strict=True):
        np.testing.assert_allclose(got, value, rtol=1e-6)


def test_states_that_are_set_are_where_smoothing_ends() -> None:
    x, y = series(5)
    net = network()
    states = {0: [np.full(4, v) for v in (0.5, 0.1, 1, 0.2)], 1: [np.full(3, 0.3)] * 4}
    net.set_lstm_states(states)
    go_through(net, x, y)
    got = net.smoother()
    go_through(net, x, y)
    assert all((a != b).all() for a, b in zip(got, net.smoother(), strict=True))


def test_predictions_take_no_part() -> None:
    x, y = series(5)
    net = network()
    go_through(net, x, y)
    net.eval()
    go_through(net, x[:2], y[:2])
    assert net.smoother()[0].shape == (5,)


@pytest.mark.parametrize("samples", [0, 3, 5, 100])
def test_the_number_of_steps_need_not_be_told(samples: int) -> None:
    """pytagi must know it, and writes beyond its arrays where there are more."""
    x, y = series(5)
    net, other = network(), network()
    other.params_from(net)
    net.num_samples = samples
    for each in (net, other):
        go_through(each, x, y)
    for got, want in zip(net.smoother(), other.smoother(), strict=True):
        np.testing.assert_array_equal(got, want)
    assert net.num_samples == samples


def test_variances_that_come_out_negative_are_told() -> None:
    """Where many units tell of one, and each is taken for the only one that does, as in pytagi."""
    H = 6
    lstm, head = nn.SLSTM(1, H, 1), nn.SLinear(H, H)
    candidates = np.zeros((4, H, 1 + H))
    candidates[2, :, 1] = 2
    head.mu_w = np.eye(H)
    lstm.mu_w, lstm.mu_b = candidates, np.zeros(4 * H)
    for layer in (lstm, head):
        layer.var_w, layer.var_b = np.zeros(layer.num_weights), np.zeros(layer.num_biases)
    net = nn.Sequential(lstm, head)
    nothing = np.zeros(H)
    net.set_lstm_states({0: [nothing, nothing, nothing, np.eye(H)[0]]})
    go_through(net, np.zeros((3, 1)), np.array([nothing + np.nan, nothing, nothing]), var_y=1e-6)
    with pytest.warns(RuntimeWarning, match="^1 smoothed variances came out negative and were set"):
        _, var = net.smoother()
    assert (var >= 0).all()


def test_what_cannot_be_smoothed_is_told() -> None:
    plain = nn.Sequential(nn.LSTM(2, 3, 1), nn.Linear(3, 1))
    behind = nn.Sequential(nn.SLSTM(2, 3, 1), nn.LayerBlock(nn.LSTM(3, 3, 1), nn.Linear(3, 1)))
    go_through(behind, *series(3))
    for net, message in (
        (plain, "no layer .* is an SLSTM: there is nothing to smooth"),
        (behind, "a layer behind the last SLSTM goes on from states of its own: there is nothing"),
        (network(), "no step was recorded"),
    ):
        with pytest.raises(ValueError, match=message):
            net.smoother()
        with pytest.raises(RuntimeError, match=r"call smoother\(\) first"):
            net.get_outputs_smoother()
        with pytest.raises(RuntimeError, match=r"call smoother\(\) first"):
            net.get_lstm_states(0)
    net = network()
    x, y = series(3)
    go_through(net, x, y)
    before = net.get_lstm_states()
    with pytest.raises(ValueError, match="5 values, not a multiple of 2"):
        net(np.zeros(5, np.float32))
    np.testing.assert_array_equal(net.get_lstm_states()[0][0], before[0][0])
    assert net.smoother()[0].shape == (3,)
