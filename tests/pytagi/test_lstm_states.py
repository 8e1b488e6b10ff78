"""States of recurrent layers from call to call: carried, read, set, forgotten, saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tagi_cli.pytagi as pytagi
from tagi_cli.errors import UserError
from tagi_cli.pytagi import nn

Host = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def seed() -> None:
    pytagi.manual_seed(0)


def normal(*shape: int, seed: int = 1) -> Host:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def steps(head: bool = True) -> nn.Sequential:
    """Two layers that take one step per call."""
    layers = [nn.LSTM(2, 3, 1), nn.LSTM(3, 4, 1)]
    return nn.Sequential(*layers, *([nn.Linear(4, 1)] if head else []))


def windows(length: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.LSTM(2, 3, length), nn.Linear(3 * length, 1))


def learn(net: nn.Sequential, x: Host, y: float = 1.0) -> None:
    count = net(x)[0].size
    target, noise = np.full(count, y, np.float32), np.full(count, 0.1, np.float32)
    nn.OutputUpdater("cpu").update(net.output_z_buffer, target, noise, net.input_delta_z_buffer)
    net.backward()
    net.step()


def same(got: Any, want: Any) -> None:
    assert got.keys() == want.keys()
    for key, entry in got.items():
        for a, b in zip(entry, want[key], strict=True):
            np.testing.assert_array_equal(a, b)


def test_calls_of_one_step_are_the_steps_of_a_window() -> None:
    net, whole = steps(head=False), nn.Sequential(nn.LSTM(2, 3, 5), nn.LSTM(3, 4, 5))
    whole.params_from(net)
    x = normal(5, 2)
    for training in (True, False):
        net.train() if training else net.eval()
        net.reset_lstm_states()
        got = np.array([net(row) for row in x])
        want = np.stack(whole(x), axis=0).reshape(2, 5, 4).swapaxes(0, 1)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7)


def test_what_is_carried_is_the_posterior() -> None:
    net = steps(head=False)
    mu, var = net(normal(2))
    prior = net.get_lstm_states()
    np.testing.assert_array_equal(prior[1][0], mu)
    np.testing.assert_array_equal(prior[1][1], var)
    net.set_delta_z(np.full(4, 0.3), np.full(4, -0.2))
    net.backward()
    posterior = net.get_lstm_states()
    mu_h, var_h, _, var_c = prior[1]
    np.testing.assert_allclose(posterior[1][0], mu_h + 0.3 * var_h, rtol=1e-6)
    np.testing.assert_allclose(posterior[1][1], var_h - 0.2 * var_h**2, rtol=1e-6)
    assert (posterior[1][3] < var_c).all()
    assert (posterior[0][0] != prior[0][0]).all()
    # Innovations that ask for more than all of a variance: pytagi's becomes negative.
    net.set_delta_z(np.zeros(4), np.full(4, -1e6))
    net.backward()
    assert (net.get_lstm_states()[1][1] == 0).all()


def test_states_are_zero_until_there_is_one() -> None:
    net = steps()
    states = net.get_lstm_states()
    assert [[a.shape for a in state] for state in states.values()] == [[(3,)] * 4, [(4,)] * 4]
    assert all((a == 0).all() and a.dtype == np.float32 for s in states.values() for a in s)
    learn(net, normal(2))
    assert all((a != 0).all() for s in net.get_lstm_states().values() for a in s)
    net.reset_lstm_states()
    same(net.get_lstm_states(), states)


@pytest.mark.parametrize("convert", [np.array, list])
def test_a_series_goes_on_from_states_that_are_set(convert: Any) -> None:
    net, x = steps(), normal(6, 2)
    for row in x[:3]:
        learn(net, row)
    states = {k: tuple(convert(a) for a in s) for k, s in net.get_lstm_states().items()}
    net.eval()
    want = np.array([net(row) for row in x[3:]])
    assert (net(x[3])[0] != want[0, 0]).all()
    net.set_lstm_states(states)
    same(net.get_lstm_states(), {k: [np.array(a) for a in s] for k, s in states.items()})
    np.testing.assert_array_equal(np.array([net(row) for row in x[3:]]), want)
    # So does a fresh network, before it was ever run.
    other = steps()
    other.load_state_dict(net.state_dict())
    other.set_lstm_states(states)
    np.testing.assert_array_equal(np.array([other(row) for row in x[3:]]), want)


def test_layers_that_are_left_out_keep_their_states() -> None:
    net = steps()
    learn(net, normal(2))
    before = net.get_lstm_states()
    ones = tuple(np.ones(4, np.float32) for _ in range(4))
    net.set_lstm_states({1: ones})
    same(net.get_lstm_states(), {0: before[0], 1: ones})
    net.set_lstm_states({})
    same(net.get_lstm_states(), {0: before[0], 1: ones})


@pytest.mark.parametrize(("length", "rows"), [(1, 4), (3, 4), (3, 1)])
def test_windows_and_calls_of_several_rows_leave_no_states(length: int, rows: int) -> None:
    net, x = windows(length), normal(rows, length, 2)
    first = net(x)
    net.set_delta_z(np.ones(rows), -np.ones(rows))
    net.backward()
    ((key, states),) = net.get_lstm_states().items()
    assert key == 0
    assert all(a.shape == (rows * 3,) and not a.any() for a in states)
    for got, want in zip(net(x), first, strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("length", [1, 3])
def test_windows_start_from_states_that_are_set(length: int) -> None:
    rows = 4
    net, x = windows(length), normal(rows, length, 2)
    zeros = net(x)[0]
    states = {0: (*normal(2, rows * 3), *np.abs(normal(2, rows * 3, seed=2)))}
    states = {0: tuple(states[0][k] for k in (0, 2, 1, 3))}
    net.set_lstm_states(states)
    same(net.get_lstm_states(), states)
    first = net(x)[0]
    assert (first != zeros).all()
    (made,) = net.network.current.plan.recurrences.values()
    for k, part in enumerate(states[0]):
        np.testing.assert_array_equal(made.initial[:, k].ravel(), part)  # type: ignore[index]
    # In each call, whatever the calls say, until they are reset.
    learn(net, x, 0.0)
    same(net.get_lstm_states(), states)
    (made,) = net.network.current.plan.recurrences.values()
    np.testing.assert_array_equal(made.initial[:, 0].ravel(), states[0][0])  # type: ignore[index]
    net.reset_lstm_states()
    assert not net.get_lstm_states()[0][0].any()
    other = windows(length)
    other.params_from(net)
    np.testing.assert_array_equal(net(x)[0], other(x)[0])


def test_another_number_of_rows_starts_anew() -> None:
    net, x = steps(), normal(4, 2)
    fresh = [net(x)[0], net(x[:2])[0]]
    net.reset_lstm_states()
    first = net(x[0])[0]
    assert (net(x[0])[0] != first).all()
    np.testing.assert_array_equal(net(x)[0], fresh[0])
    np.testing.assert_array_equal(net(x[:2])[0], fresh[1])
    np.testing.assert_array_equal(net(x[0])[0], first)
    assert (net(x[0])[0] != first).all()


def test_states_for_other_rows_than_those_of_the_call_are_told() -> None:
    net, x = windows(), normal(4, 3, 2)
    net.set_lstm_states({0: [np.ones(6)] * 4})
    with pytest.raises(ValueError, match=r"set for 2 rows, the call has 4: .* reset_lstm_states"):
        net(x)
    with pytest.raises(ValueError, match="23 values, not a multiple of 6"):
        net(np.zeros(23, np.float32))
    assert np.isfinite(net(x[:2])[0]).all()
    # Once they were used, they belong to the past like those that a series carries.
    want = windows()
    want.params_from(net)
    np.testing.assert_array_equal(net(x)[0], want(x)[0])
    # Zeros are no states that could be lost.
    net.set_lstm_states({0: [np.zeros(6)] * 4})
    np.testing.assert_array_equal(net(x)[0], want(x)[0])


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ({2: [np.ones(3)] * 4}, r"layer 2: states are carried for layers \[0, 1\]"),
        ({0: [np.ones(3)] * 3}, r"layer 0: states of sizes \[3, 3, 3\]; needed .* 3 values for"),
        ({1: [np.ones(6)] * 4}, r"layer 1: states of sizes \[6, 6, 6, 6\]; needed .* 4 values"),
        ({0: [[]] * 4}, r"layer 0: states of sizes \[0, 0, 0, 0\]"),
        ({0: [np.ones(3), np.ones(6)] * 2}, r"layer 0: states of sizes \[3, 6, 3, 6\]"),
        ({0: [np.ones(3), -np.ones(3)] * 2}, "layer 0: a state is not finite, or a variance is ne"),
        ({0: [np.full(3, np.nan), np.ones(3)] * 2}, "layer 0: a state is not finite"),
        (
            {0: [np.ones(6)] * 4, 1: [np.ones(4)] * 4},
            "different numbers of rows, by layer: {0: 2, 1: 1}",
        ),
    ],
)
def test_states_that_do_not_fit_change_nothing(states: Any, message: str) -> None:
    net = steps()
    learn(net, normal(2))
    before = net.get_lstm_states()
    with pytest.raises(ValueError, match=message):
        net.set_lstm_states(states)
    same(net.get_lstm_states(), before)


def test_networks_without_recurrence_have_no_states() -> None:
    net = nn.Sequential(nn.Linear(2, 1))
    net.reset_lstm_states()
    net.set_lstm_states(net.get_lstm_states())
    assert net.get_lstm_states() == {}
    with pytest.raises(ValueError, match="no recurrent layers"):
        net.set_lstm_states({0: [np.ones(3)] * 4})


def test_layers_in_blocks_have_states_too() -> None:
    net = nn.Sequential(nn.LayerBlock(nn.LSTM(2, 3, 1), nn.LSTM(3, 4, 1)), nn.Linear(4, 1))
    learn(net, normal(2))
    states = net.get_lstm_states()
    assert list(states) == [(0, 0), (0, 1)]
    assert states[0, 1][0].all()


def test_parameters_that_are_taken_over_leave_states_alone() -> None:
    net, other, x = steps(), steps(), normal(3, 2)
    for row in x:
        learn(net, row)
    learn(other, x[0])
    before = other.get_lstm_states()
    other.load_state_dict(net.state_dict())
    same(other.get_lstm_states(), before)


@pytest.mark.parametrize("rows", [1, 3])
def test_a_saved_network_goes_on_where_it_ended(tmp_path: Path, rows: int) -> None:
    """Into one that carried states of fewer or of more rows."""
    layers = (nn.SLSTM(2, 3, 1), nn.SLinear(3, 1))
    net, path = nn.Sequential(*layers), tmp_path / "net.safetensors"
    for k in range(3):
        learn(net, normal(rows, 2, seed=k))
    net.save(path)
    x = normal(rows, 2, seed=9)
    for used in (0, 2, 5):
        other = nn.Sequential(nn.SLSTM(2, 3, 1), nn.SLinear(3, 1))
        if used:
            learn(other, normal(used, 2))
        other.load(path)
        same(other.get_lstm_states(), net.get_lstm_states())
    for got, want in zip(other(x), net(x), strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_saved_series_goes_on_after_calls_of_more_rows(tmp_path: Path) -> None:
    net, other, x = steps(), steps(), normal(4, 2)
    net(x)
    learn(net, x[0])
    net.save(tmp_path / "net.safetensors")
    other.load(tmp_path / "net.safetensors")
    same(other.get_lstm_states(), net.get_lstm_states())
    np.testing.assert_array_equal(other(x[1])[0], net(x[1])[0])
    # Also where the states of the one row were set.
    net(x)
    net.set_lstm_states(other.get_lstm_states())
    net.save(tmp_path / "net.safetensors")
    other.load(tmp_path / "net.safetensors")
    same(other.get_lstm_states(), net.get_lstm_states())
    np.testing.assert_array_equal(other(x[2])[0], net(x[2])[0])


@pytest.mark.parametrize("rows", [1, 6])
@pytest.mark.parametrize("wrong", ["name", "shape", "cut"])
def test_a_file_that_does_not_fit_leaves_states_alone(
    tmp_path: Path, wrong: str, rows: int
) -> None:
    net, path = nn.Sequential(nn.SLSTM(2, 3, 1), nn.SLinear(3, 1)), tmp_path / "net.safetensors"
    learn(net, normal(3, 2))
    before, step = net.get_lstm_states(), normal(3, 2, seed=2)
    layers = {
        "name": [nn.SLSTM(2, 3, 1)],
        "shape": [nn.SLSTM(2, 4, 1), nn.SLinear(4, 1)],
        "cut": [nn.SLSTM(2, 3, 1), nn.SLinear(3, 1)],
    }
    other = nn.Sequential(*layers[wrong])
    other(normal(rows, 2))
    other.save(path)
    if wrong == "cut":
        path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(UserError):
        net.load(path)
    same(net.get_lstm_states(), before)
    assert net.network.parameters.rows == 3
    learn(net, step)


@pytest.mark.parametrize("name", ["net.bin", "net"])
def test_pytagis_files_hold_parameters_alone(tmp_path: Path, name: str) -> None:
    net, other = steps(), steps()
    learn(net, normal(2))
    if name == "net":
        net.save_csv(tmp_path / name)
        other.load_csv(tmp_path / name)
    else:
        net.save(tmp_path / name)
        assert (tmp_path / name).read_bytes()[8:17] == b"LSTM(2,3)"
        other.load(tmp_path / name)
    assert not other.get_lstm_states()[0][0].any()
    for got, want in zip(other.parameters(), net.parameters(), strict=True):
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(a, b)


def test_room_for_more_rows_leaves_states_alone() -> None:
    net = steps()
    learn(net, normal(2))
    before = net.get_lstm_states()
    net.z_buffer_block_size = 5
    same(net.get_lstm_states(), before)
