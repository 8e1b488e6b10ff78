"""Saving and loading: either format by the name of the file, recognised when read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tagi_cli.errors import UserError
from tagi_cli.pytagi import nn


def network() -> nn.Sequential:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm2d(4), nn.ReLU(), nn.Linear(4, 2))
    net(np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32))
    return net


def predictions(net: nn.Sequential) -> np.ndarray:
    net.eval()
    return np.stack(net(np.ones((2, 3), np.float32)))


@pytest.mark.parametrize("name", ["net.bin", "folder/net", "net.safetensors"])
def test_a_file_brings_back_the_network(tmp_path: Path, name: str) -> None:
    net, other = network(), network()
    net.save(str(tmp_path / name))
    # What the file is, not what it is called, decides how it is read.
    renamed = (tmp_path / name).rename(tmp_path / "renamed")
    other.load(renamed)
    np.testing.assert_array_equal(predictions(other), predictions(net))


def test_the_formats_differ(tmp_path: Path) -> None:
    net = network()
    net.save(tmp_path / "a.bin")
    net.save(tmp_path / "a.safetensors")
    assert (tmp_path / "a.bin").read_bytes()[8:19] == b"Linear(3,4)"
    assert (tmp_path / "a.safetensors").read_bytes()[8:9] == b"{"


def test_csv_files(tmp_path: Path) -> None:
    net, other = network(), network()
    net.save_csv(tmp_path / "net")
    other.load_csv(str(tmp_path / "net"))
    for got, want in zip(other.parameters(), net.parameters(), strict=True):
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(a, b)


def test_files_that_do_not_fit_are_told(tmp_path: Path) -> None:
    net, path = network(), tmp_path / "net.safetensors"
    nn.Sequential(nn.Linear(3, 4)).save(path)
    with pytest.raises(
        UserError, match=r"net\.safetensors: parameters do not fit the network: mis"
    ):
        net.load(path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(UserError, match="damaged"):
        net.load(path)
    with pytest.raises(UserError, match="cannot be read"):
        net.load(tmp_path / "none")
