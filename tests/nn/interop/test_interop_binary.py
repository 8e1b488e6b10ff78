"""pytagi's binary file: its bytes, and what is said of files that do not fit."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from tagi_cli import nn
from tagi_cli.errors import UserError
from tagi_cli.nn import interop


def network(*layers: nn.Layer, shape: tuple[int, ...] = (1, 6, 6), seed: int = 0) -> nn.Network:
    net = nn.Network(nn.Sequential(*layers), shape, rng=np.random.default_rng(seed))
    net(np.random.default_rng(1).normal(size=(4, *shape)))
    return net


def convolutional(seed: int = 0) -> nn.Network:
    return network(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.ResNetBlock(
            nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)),
            nn.Conv2d(4, 4, 1),
        ),
        nn.MaxPool2d(2, 2),
        nn.Flatten(),
        nn.Linear(36, 2),
        seed=seed,
    )


def normalised(seed: int = 0, last: bool = False) -> nn.Network:
    layers = [nn.Linear(5, 3), nn.LayerNorm((3,))]
    return network(*layers, *([] if last else [nn.ReLU(), nn.Linear(3, 2)]), shape=(5,), seed=seed)


def record(line: str, *arrays: np.ndarray) -> bytes:
    """What pytagi writes for a layer."""
    head = struct.pack("<Q", len(line)) + line.encode()
    return head + b"".join(np.asarray(a, "<f4").tobytes() for a in arrays)


def as_pytagi_writes(net: nn.Network) -> bytes:
    d = interop.state_dict(net.layer)
    norm = d["BatchNorm2d.main.2.1"]
    running = (norm.states["running_mean"], norm.states["running_var"])
    return b"".join(
        (
            record("Conv2d(1,4,6,6,3)", *d["Conv2d.0"]),
            record("Conv2d(4,4,6,6,3)", *d["Conv2d.main.2.0"]),
            record("BatchNorm2d()", *norm, *running),
            record("Conv2d(4,4,6,6,1)", *d["Conv2d.shortcut.2"]),
            record("MaxPool2d(4,4,3,3,2)"),
            record("Linear(36,2)", *d["Linear.5"]),
        )
    )


def test_the_bytes_are_those_of_pytagi(tmp_path: Path) -> None:
    net, path = convolutional(), tmp_path / "made" / "net.bin"
    interop.write_binary(net.layer, path)
    assert path.read_bytes() == as_pytagi_writes(net)


def test_a_file_brings_parameters_and_running_statistics(tmp_path: Path) -> None:
    net, other, path = convolutional(), convolutional(seed=1), tmp_path / "net.bin"
    path.write_bytes(as_pytagi_writes(net))
    interop.read_binary(other.layer, path)
    x = np.random.default_rng(2).normal(size=(3, 1, 6, 6))
    for one in (net, other):
        one.eval()
    np.testing.assert_array_equal(other(x).mu, net(x).mu)


@pytest.mark.parametrize("trained", [False, True])
def test_running_statistics_go_on_from_those_of_the_file(tmp_path: Path, trained: bool) -> None:
    """Unless the network of the file never saw a batch: then the first one sets them."""
    x = np.random.default_rng(3).normal(5, 2, size=(8, 3))
    norm = nn.BatchNorm2d(momentum=0.5)
    net = nn.Network(norm, (3,))
    running = np.array([[1.0, 2, 3], [4, 5, 6]] if trained else [[0.0] * 3, [1.0] * 3])
    path = tmp_path / "net.bin"
    path.write_bytes(
        record("BatchNorm2d()", *interop.state_dict(net.layer)["BatchNorm2d"], *running)
    )
    interop.read_binary(net.layer, path)
    net(x)
    now = x.mean(axis=0)
    want = 0.5 * running[0] + 0.5 * now if trained else now
    np.testing.assert_allclose(norm.running_mean.value, want, rtol=1e-5)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("rows", [0, 1, 7])
def test_statistics_after_a_layer_normalisation_are_passed_over(
    tmp_path: Path, rows: int, last: bool
) -> None:
    """pytagi writes those of the last batch and cannot read them back into a fresh network."""
    net, other, path = normalised(last=last), normalised(seed=1, last=last), tmp_path / "net.bin"
    d = interop.state_dict(net.layer)
    data = record("Linear(5,3)", *d["Linear.0"])
    data += record("LayerNorm()", *d["LayerNorm.1"], np.ones(rows), np.ones(rows))
    if not last:
        data += record("Linear(3,2)", *d["Linear.3"])
    path.write_bytes(data)
    interop.read_binary(other.layer, path)
    x = np.random.default_rng(2).normal(size=(3, 5))
    np.testing.assert_array_equal(other(x).mu, net(x).mu)


def test_files_that_do_not_fit_are_told_and_change_nothing(tmp_path: Path) -> None:
    net, path = convolutional(), tmp_path / "net.bin"
    data = as_pytagi_writes(convolutional(seed=1))
    begin = len(record("Conv2d(1,4,6,6,3)", np.zeros(80)))
    x = np.ones((2, 1, 6, 6))
    net.eval()
    before = net(x).mu
    bad_variance = bytearray(data)
    bad_variance[begin - 4 : begin] = struct.pack("<f", -1.0)
    huge = struct.pack("<Q", 2**63) + data[8:]
    for wrong, message in (
        (b"", "ends at byte 0; the network has Conv2d(1,4,6,6,3)"),
        (data[:20], "ends at byte 20"),
        (data[: begin - 5], f"ends at byte {begin - 5}, inside the parameters of Conv2d.0"),
        (data[:-1], "inside the parameters of Linear.5"),
        (data[: begin + 4], f"ends at byte {begin + 4}; the network has Conv2d(4,4,6,6,3)"),
        (data[begin:], "found Conv2d(4,4,6,6,3) at byte 0; the network has Conv2d(1,4,6,6,3)"),
        (huge, "no layer begins at byte 0"),
        (data + b"\0" * 8, "8 bytes are left after the last layer"),
        (bytes(bad_variance), "Conv2d.0: a variance of biases is negative or not a number"),
    ):
        path.write_bytes(wrong)
        with pytest.raises(UserError) as raised:
            interop.read_binary(net.layer, path)
        assert message in str(raised.value)
        np.testing.assert_array_equal(net(x).mu, before)
    with pytest.raises(UserError, match="cannot be read"):
        interop.read_binary(net.layer, tmp_path / "none.bin")


def test_layers_that_pytagi_lacks_are_refused(tmp_path: Path) -> None:
    for layer in (nn.Scale(), nn.ExponentialMovingAverage()):
        net = network(layer, shape=(3,))
        with pytest.raises(UserError, match="pytagi's files know no such layer"):
            interop.write_binary(net.layer, tmp_path / "net.bin")
    net = network(nn.LSTM(2, 3, bidirectional=True), shape=(4, 2))
    with pytest.raises(
        UserError, match=r"LSTM\(2,3\): pytagi's files know no layers that run back"
    ):
        interop.write_binary(net.layer, tmp_path / "net.bin")


def recurrent(seed: int, bias: bool) -> nn.Network:
    layers = nn.Sequential(
        nn.LSTM(2, 3, 4, bias=bias, tracking=True),
        nn.SLSTM(3, 5, 4, bias=bias),
        nn.SLinear(5, 2, bias=bias),
    )
    net = nn.Network(layers, (4, 2), rng=np.random.default_rng(seed))
    net(np.random.default_rng(seed).normal(size=(1, 4, 2)))
    return net


def test_recurrent_layers_leave_their_parameters_and_no_states(tmp_path: Path) -> None:
    for bias in (True, False):
        net, other, path = recurrent(4, bias), recurrent(1, bias), tmp_path / "net.bin"
        interop.write_binary(net.layer, path)
        d = interop.state_dict(net.layer)
        assert path.read_bytes() == b"".join(
            (
                record("LSTM(2,3)", *d["LSTM.0"]),
                record("SLSTM(3,5)", *d["SLSTM.1"]),
                record("SLinear(5,2)", *d["SLinear.2"]),
            )
        )
        states = nn.RecurrentStates(other.layer, other.parameters)
        before = states.get()
        interop.read_binary(other.layer, path)
        for name, entry in interop.state_dict(other.layer).items():
            for got, want in zip(entry, d[name], strict=True):
                np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(np.concatenate(states.get()[0]), np.concatenate(before[0]))


def test_layers_of_one_lstm_are_layers_of_their_own(tmp_path: Path) -> None:
    """Blocks of gates in the order forget, input, candidate, output, as in one layer."""
    stack = network(nn.LSTM(2, 3, 4, depth=2), nn.Linear(12, 1), shape=(4, 2))
    chain = network(nn.LSTM(2, 3, 4), nn.LSTM(3, 3, 4), nn.Linear(12, 1), shape=(4, 2), seed=1)
    path = tmp_path / "net.bin"
    interop.write_binary(stack.layer, path)
    interop.read_binary(chain.layer, path)
    x = np.random.default_rng(2).normal(size=(3, 4, 2))
    np.testing.assert_array_equal(chain(x).mu, stack(x).mu)
    names = ["LSTM.forward_0.0", "LSTM.forward_1.0", "Linear.1"]
    found = interop.state_dict(stack.layer)
    assert list(found) == names
    tracking = nn.Sequential(nn.LSTM(2, 3, 4, depth=2, tracking=True))
    nn.Network(tracking, (4, 2))
    assert not any(entry.states for entry in interop.state_dict(tracking).values())
    data = path.read_bytes()
    path.write_bytes(data[: len(record("LSTM(2,3)", np.zeros(144))) + 40])
    with pytest.raises(UserError, match=r"inside the parameters of LSTM\.forward_1\.0"):
        interop.read_binary(stack.layer, path)


@pytest.mark.parametrize(
    ("layer", "shape", "line"),
    [
        (nn.Linear(0, 2), (3,), "Linear(3,2)"),
        (nn.ConvTranspose2d(1, 2, 3, stride=2), (1, 4, 5), "ConvTranspose2d(1,2,11,9,3)"),
        (nn.AvgPool2d((2, 3)), (2, 4, 6), "AvgPool2d(2,2,2,2,2x3)"),
        (nn.RMSNorm((3,)), (3,), "RMSNorm()"),
        (nn.Embedding(7, 2), (3,), "Embedding(7->2)"),
        (nn.LeakyReLU(), (3,), "leakyReLU()"),
        (nn.LSTM(0, 2, 4), (4, 3), "LSTM(3,2)"),
        (nn.SLSTM(0, 2, 4), (4, 3), "SLSTM(3,2)"),
        (nn.SLinear(0, 2), (4, 3), "SLinear(3,2)"),
        (nn.Sequential(nn.Linear(0, 2)), (3,), "LayerBlock(3,2)"),
        (nn.ResNetBlock(nn.Linear(0, 3)), (3,), "ResNetBlock(3,3)"),
    ],
)
def test_info_lines(layer: nn.Layer, shape: tuple[int, ...], line: str) -> None:
    nn.output_shape(layer, shape)
    assert interop.info(layer) == line
