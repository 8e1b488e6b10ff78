"""pytagi's CSV files: their lines, and what is said of files that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tagi_cli import nn
from tagi_cli.errors import UserError
from tagi_cli.nn import interop

FILES = ("_1_mw.csv", "_2_Sw.csv", "_3_mb.csv", "_4_Sb.csv")


def network(seed: int) -> nn.Network:
    layers = (nn.Linear(3, 2), nn.ReLU(), nn.ResNetBlock(nn.Linear(2, 2, bias=False)))
    return nn.Network(nn.Sequential(*layers), (3,), rng=np.random.default_rng(seed))


def test_four_files_hold_all_layers_at_full_precision(tmp_path: Path) -> None:
    net, prefix = network(0), tmp_path / "made" / "net"
    interop.write_csv(net.layer, prefix)
    d = interop.state_dict(net.layer)
    for part, ending in enumerate(FILES):
        want = np.concatenate([d["Linear.0"][part], d["Linear.main.2"][part]])
        text = Path(f"{prefix}{ending}").read_text()
        assert text.endswith("\n")
        np.testing.assert_array_equal(np.array(text.split(), np.float32), want)
    other = network(1)
    interop.read_csv(other.layer, prefix)
    for name, entry in interop.state_dict(other.layer).items():
        for got, want in zip(entry, d[name], strict=True):
            np.testing.assert_array_equal(got, want)


def test_recurrent_layers_are_in_them(tmp_path: Path) -> None:
    nets = []
    for seed in (0, 1):
        layers = nn.Sequential(nn.LSTM(2, 3, 4, depth=2), nn.SLSTM(3, 2, 4), nn.SLinear(2, 1))
        nets.append(nn.Network(layers, (4, 2), rng=np.random.default_rng(seed)))
    interop.write_csv(nets[0].layer, tmp_path / "net")
    sizes = [len(Path(f"{tmp_path / 'net'}{ending}").read_text().split()) for ending in FILES]
    assert sizes == [4 * 3 * 5 + 4 * 3 * 6 + 4 * 2 * 5 + 2] * 2 + [12 + 12 + 8 + 1] * 2
    interop.read_csv(nets[1].layer, tmp_path / "net")
    x = np.random.default_rng(2).normal(size=(1, 4, 2))
    np.testing.assert_array_equal(nets[1](x).mu, nets[0](x).mu)


def test_files_that_do_not_fit_are_told_and_change_nothing(tmp_path: Path) -> None:
    net, prefix = network(0), tmp_path / "net"
    interop.write_csv(network(1).layer, prefix)
    before = net.state_dict()
    first = Path(f"{prefix}{FILES[0]}")
    good = first.read_text()
    lines = good.splitlines()
    for text, message in (
        ("\n".join(lines[:-4]), "6 numbers, the network needs 10"),
        (good + "1\n", "11 numbers, the network needs 10"),
        (good.replace(lines[2], "x"), "_1_mw.csv, line 3: found 'x', no number"),
        (good.replace(lines[2], "1e39"), "_1_mw.csv, line 3: found '1e39', beyond float32"),
    ):
        first.write_text(text)
        with pytest.raises(UserError) as raised:
            interop.read_csv(net.layer, prefix)
        assert message in str(raised.value)
    first.write_text(good)
    variances = Path(f"{prefix}{FILES[1]}")
    variances.write_text("-1\n" * 10)
    with pytest.raises(UserError, match=r"Linear\.0: a variance of weights is negative"):
        interop.read_csv(net.layer, prefix)
    variances.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read"):
        interop.read_csv(net.layer, prefix)
    variances.unlink()
    with pytest.raises(UserError, match=r"_2_Sw\.csv: cannot be read \(No such file"):
        interop.read_csv(net.layer, prefix)
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.MultiheadAttention(4, 2), r"no output projection\. Allowed: output_projection: false"),
        (nn.Scale(), r"no such layer\. A \.safetensors checkpoint holds it"),
    ],
)
def test_no_files_are_written_that_pytagi_could_not_read(
    tmp_path: Path, layer: nn.Layer, message: str
) -> None:
    """The same as in its binary file."""
    nn.Network(layer, (3, 4))
    for write in (nn.interop.write_csv, nn.interop.write_binary):
        with pytest.raises(UserError, match=f"pytagi's files know {message}"):
            write(layer, tmp_path / "net")
    with pytest.raises(UserError, match=message):
        nn.interop.read_csv(layer, tmp_path / "net")
    assert not list(tmp_path.iterdir())
