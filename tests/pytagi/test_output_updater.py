"""Output updates of a network's buffers, and of states and innovations of the user's own."""

from __future__ import annotations

import numpy as np
import pytest

import tagi_cli.pytagi as pytagi
from tagi_cli.pytagi import nn


@pytest.fixture(autouse=True)
def seed() -> None:
    pytagi.manual_seed(0)


def net_with_output(last: type = nn.Sigmoid, units: int = 4) -> nn.Sequential:
    net = nn.Sequential(nn.Linear(3, units), last())
    net(np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32))
    return net


def own_copy(states: nn.BaseHiddenStates) -> nn.BaseHiddenStates:
    made = nn.BaseHiddenStates(states.size, states.block_size)
    made.mu_a, made.var_a, made.jcb = states.mu_a, states.var_a, states.jcb
    return made


def updates(kind: str, updater: nn.OutputUpdater, states: object, deltas: object) -> None:
    rng = np.random.default_rng(2)
    if kind == "update":
        y = rng.normal(size=20).astype(np.float32)
        y[3] = np.nan
        updater.update(states, y, np.full(20, 0.3, np.float32), deltas)
    elif kind == "heteros":
        updater.update_heteros(states, rng.normal(size=10).astype(np.float32), deltas)
    else:
        index = np.array([[1, 3], [2, 4], [1, 2], [4, 3], [2, 1]], np.int32)
        updater.update_using_indices(
            states, rng.choice([-1, 1], 10), np.full(40, 0.3), index.ravel(), deltas
        )


@pytest.mark.parametrize("kind", ["update", "heteros", "indices"])
def test_states_of_ones_own_get_the_same_innovations(kind: str) -> None:
    net = net_with_output(nn.EvenExp if kind == "heteros" else nn.Sigmoid)
    updater = nn.OutputUpdater(net.device)
    updates(kind, updater, net.output_z_buffer, net.input_delta_z_buffer)
    want = net.input_delta_z_buffer.delta_mu.copy(), net.input_delta_z_buffer.delta_var.copy()
    assert (want[0] != 0).sum() >= 10
    deltas = nn.BaseDeltaStates()
    for states in (own_copy(net.output_z_buffer), net.output_z_buffer):
        updates(kind, updater, states, deltas)
        assert (deltas.size, deltas.block_size) == (20, 5)
        np.testing.assert_allclose(deltas.delta_mu, want[0], rtol=1e-6)
        np.testing.assert_allclose(deltas.delta_var, want[1], rtol=1e-6)
    net.set_delta_z(np.zeros(20), np.zeros(20))
    updates(kind, updater, own_copy(net.output_z_buffer), net.input_delta_z_buffer)
    np.testing.assert_allclose(net.input_delta_z_buffer.delta_mu, want[0], rtol=1e-6)


def test_more_variances_than_observations_use_the_first() -> None:
    net = net_with_output()
    updater, y = nn.OutputUpdater("cpu"), np.zeros(20, np.float32)
    variances = np.linspace(0.1, 1, 50).astype(np.float32)
    found = []
    for given in (variances[:20], variances, variances.tolist()):
        updater.update(net.output_z_buffer, y, given, net.input_delta_z_buffer)
        found.append(net.input_delta_z_buffer.delta_mu.copy())
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_an_infinite_observation_teaches_nothing() -> None:
    net = net_with_output()
    y = np.zeros(20)
    y[2], y[4] = np.inf, -np.inf
    nn.OutputUpdater("cpu").update(net.output_z_buffer, y, np.ones(20), net.input_delta_z_buffer)
    d_mu, d_var = net.input_delta_z_buffer.delta_mu, net.input_delta_z_buffer.delta_var
    assert (d_mu[[2, 4]] == 0).all()
    assert (d_var[[2, 4]] == 0).all()
    assert np.isfinite(d_mu).all()


def test_observations_in_any_type_and_shape() -> None:
    net = net_with_output()
    updater = nn.OutputUpdater("cpu")
    y = np.random.default_rng(3).normal(size=(5, 4))
    found = []
    for given in (y.astype(np.float32).ravel(), y, np.asfortranarray(y), y.tolist()):
        updater.update(net.output_z_buffer, given, np.full(20, 0.5), net.input_delta_z_buffer)
        found.append(net.input_delta_z_buffer.delta_mu.copy())
    for got in found[1:]:
        np.testing.assert_allclose(got, found[0], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("detached", [False, True])
def test_sizes_that_do_not_fit_are_told(detached: bool) -> None:
    net = net_with_output()
    states, deltas = net.output_z_buffer, net.input_delta_z_buffer
    if detached:
        states, deltas = own_copy(states), nn.BaseDeltaStates()
    updater = nn.OutputUpdater("cpu")
    y = np.zeros(20, np.float32)
    for call, message in (
        (lambda: updater.update(states, y[:7], y[:7], deltas), "output has 20 values"),
        (lambda: updater.update(states, y, y[:3], deltas), "output has 20 values"),
        (lambda: updater.update_heteros(states, y, deltas), "20 values in pairs, the observ.* 20"),
        (lambda: updater.update_using_indices(states, y[:9], y, y[:9], deltas), "5 rows: 9 obs"),
        (lambda: updater.update_using_indices(states, y[:5], y, y[:5] + 5, deltas),
         "index from 5 to 5: the output has units 1 to 4"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            call()


def test_innovations_of_another_network_must_have_the_size() -> None:
    net, other = net_with_output(), net_with_output(units=3)
    y = np.zeros(20, np.float32)
    with pytest.raises(ValueError, match="the output has 20 values, the innovations 15"):
        nn.OutputUpdater("cpu").update(net.output_z_buffer, y, y + 1, other.input_delta_z_buffer)


def test_the_device_is_checked() -> None:
    updater = nn.OutputUpdater("cuda:1")
    assert updater.device == "cuda:1"
    with pytest.raises(ValueError, match="device 'tpu': allowed are cpu, cuda"):
        updater.device = "tpu"


def test_negative_error_variances_are_refused() -> None:
    net, updater = net_with_output(), nn.OutputUpdater("cpu")
    index, deltas = np.ones(5, np.int32), nn.BaseDeltaStates()
    for states, into in (
        (net.output_z_buffer, net.input_delta_z_buffer),
        (own_copy(net.output_z_buffer), deltas),
    ):
        var = np.full(20, -0.1, np.float32)
        with pytest.raises(ValueError, match=r"error variances: found -0\.1 at position 0"):
            updater.update(states, np.zeros(20, np.float32), var, into)
        with pytest.raises(ValueError, match=r"error variances: found -0\.1 at position 0"):
            updater.update_using_indices(states, np.zeros(5), var, index, into)
    with pytest.raises(ValueError, match="input variances: found -1 at position 2"):
        net(np.zeros(3, np.float32), np.array([0, 1, -1], np.float32))
