"""Networks of runs as pytagi's parameter files, and back; the files here are made by hand."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tagi_cli.errors import UserError
from tagi_cli.experiment import run
from tagi_cli.experiment.convert import convert, exchange
from tagi_cli.experiment.model import Model
from tagi_cli.experiment.settings import Settings

X = {"a": [0.5, -1.0], "kind": ["red", "green"]}

SIZES = ((3, 8), (8, 1))
"""Of the linear layers of the run `trained`: one number and two categories in, one target out."""

PARTS = ("1_mw", "2_Sw", "3_mb", "4_Sb")


@pytest.fixture(scope="module")
def trained(
    make_settings: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run with one output unit, as its noise is no output of the network."""
    settings = make_settings(**{"noise": "learned", "viz.enabled": False, "trainer.max_epochs": 2})
    return run.train(settings, "tagi train", tmp_path_factory.mktemp("runs"))


def arrays(seed: int = 0) -> list[list[np.ndarray]]:
    """Means and variances of weights and biases, layer by layer."""
    rng = np.random.default_rng(seed)
    return [
        [
            rng.normal(size=i * o).astype(np.float32),
            rng.uniform(0.1, 1, i * o).astype(np.float32),
            rng.normal(size=o).astype(np.float32),
            rng.uniform(0.1, 1, o).astype(np.float32),
        ]
        for i, o in SIZES
    ]


def binary(layers: list[list[np.ndarray]]) -> bytes:
    """As `Sequential.save` of pytagi writes; activations leave no trace."""
    data = b""
    for (i, o), parts in zip(SIZES, layers, strict=True):
        line = f"Linear({i},{o})".encode()
        data += struct.pack("<Q", len(line)) + line + b"".join(a.tobytes() for a in parts)
    return data


def write_csv(prefix: Path, layers: list[list[np.ndarray]]) -> None:
    """As `Sequential.save_csv` of pytagi writes, with all digits."""
    for k, part in enumerate(PARTS):
        values = np.concatenate([layer[k] for layer in layers])
        Path(f"{prefix}_{part}.csv").write_text("".join(f"{x:.9g}\n" for x in values))


def expected(layers: list[list[np.ndarray]], member: int) -> dict[str, np.ndarray]:
    found = {}
    for index, (size, parts) in enumerate(zip(SIZES, layers, strict=True)):
        i, o = size
        for k, (name, what, shape) in enumerate(
            (
                ("weight", "mu", (o, i)),
                ("weight", "var", (o, i)),
                ("bias", "mu", (o,)),
                ("bias", "var", (o,)),
            )
        ):
            found[f"member.{member}.linear_{2 * index}.{name}.{what}"] = parts[k].reshape(shape)
    return found


@pytest.mark.parametrize("form", ["pytagi", "pytagi_csv"])
@pytest.mark.parametrize("folder", [False, True])
def test_files_of_pytagi_become_a_checkpoint_of_the_run(
    trained: Path, tmp_path: Path, form: str, folder: bool
) -> None:
    source, layers = tmp_path / "net", arrays()
    if form == "pytagi":
        source.write_bytes(binary(layers))
    else:
        write_csv(source, layers)
    target = tmp_path / ("net-csv" if folder else "net.safetensors")
    assert exchange(source, target, form, trained, 1) == [target]
    model, best = Model.load(trained, str(target)), Model.load(trained)
    own = {f"member.1.{k}": v for k, v in model.learners[1].state_dict().items()}
    for name, value in expected(layers, 1).items():
        np.testing.assert_array_equal(own[name], value)
    # Noise, and the other network, are those of the run.
    np.testing.assert_array_equal(
        own["member.1.noise.mean"], best.learners[1].state_dict()["noise.mean"]
    )
    for name, value in best.learners[0].state_dict().items():
        np.testing.assert_array_equal(model.learners[0].state_dict()[name], value)
    assert np.isfinite(model.predict(X).mean).all()


@pytest.mark.parametrize("form", ["pytagi", "pytagi_csv"])
def test_there_and_back_loses_nothing(trained: Path, tmp_path: Path, form: str) -> None:
    files = exchange(trained, tmp_path / "made" / "net", form, member=0)
    assert len(files) == (1 if form == "pytagi" else 4)
    assert all(path.is_file() for path in files)
    back = tmp_path / "back.safetensors"
    exchange(tmp_path / "made" / "net", back, form, trained, 0)
    found = Model.load(trained, str(back)).predict(X)
    np.testing.assert_array_equal(found.mean, Model.load(trained).predict(X).mean)
    np.testing.assert_array_equal(found.sd, Model.load(trained).predict(X).sd)
    # A checkpoint of the run, as a file or a folder, is a source, too.
    folder = convert(back, tmp_path / "folder")
    for source in (back, folder):
        (again,) = exchange(source, tmp_path / f"{source.name}.bin", "pytagi", trained, 0)
        if form == "pytagi":
            assert again.read_bytes() == files[0].read_bytes()


def test_bytes_are_those_of_the_parameters(trained: Path, tmp_path: Path) -> None:
    state = Model.load(trained).learners[1].state_dict()
    layers = [
        [state[f"linear_{k}.{n}.{w}"].ravel() for n in ("weight", "bias") for w in ("mu", "var")]
        for k in (0, 2)
    ]
    (path,) = exchange(trained, tmp_path / "net.bin", "pytagi", member=1)
    assert path.read_bytes() == binary(layers)


def damaged(change: Callable[[list[list[np.ndarray]]], None]) -> bytes:
    layers = arrays()
    change(layers)
    return binary(layers)


def set_value(layer: int, part: int, value: float) -> bytes:
    def change(layers: list[list[np.ndarray]]) -> None:
        layers[layer][part][0] = value

    return damaged(change)


WHOLE = binary(arrays())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends at byte 0; the network has Linear(3,8)"),
        (WHOLE[:4], "ends at byte 4; the network has Linear(3,8)"),
        (WHOLE[:12], "ends at byte 12; the network has Linear(3,8)"),
        (WHOLE[:60], "ends at byte 60, inside the parameters of Linear.0"),
        (WHOLE[:-1], f"ends at byte {len(WHOLE) - 1}, inside the parameters of Linear.2"),
        (WHOLE + b"\0", "1 bytes are left after the last layer; it is of another network"),
        (WHOLE + WHOLE, f"{len(WHOLE)} bytes are left after the last layer"),
        (b"\xff" * 64, "no layer begins at byte 0; the network has Linear(3,8)"),
        (
            WHOLE.replace(b"Linear(3,8)", b"Linear(4,6)"),
            "found Linear(4,6) at byte 0; the network has Linear(3,8)",
        ),
        (set_value(1, 3, -1.0), "a variance of biases is negative or not a number"),
        (set_value(0, 1, np.nan), "a variance of weights is negative or not a number"),
        (set_value(0, 1, np.inf), "a variance of linear_0.weight is not finite"),
        (set_value(1, 2, np.nan), "a mean of linear_2.bias is not finite"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    trained: Path, tmp_path: Path, data: bytes, message: str
) -> None:
    source, target = tmp_path / "net.bin", tmp_path / "net.safetensors"
    source.write_bytes(data)
    with pytest.raises(UserError) as caught:
        exchange(source, target, "pytagi", trained, 0)
    assert str(caught.value).startswith(str(source))
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize(
    ("part", "text", "message"),
    [
        ("1_mw", "1\n2\n", "2 numbers, the network needs 32"),
        ("3_mb", "1\n" * 10, "10 numbers, the network needs 9"),
        ("4_Sb", "1\n" * 8 + "one\n", "line 9: found 'one', no number"),
        ("2_Sw", None, "cannot be read (No such file or directory)"),
    ],
)
def test_csv_files_that_do_not_fit_are_refused(
    trained: Path, tmp_path: Path, part: str, text: str | None, message: str
) -> None:
    write_csv(tmp_path / "net", arrays())
    path = tmp_path / f"net_{part}.csv"
    path.unlink()
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError) as caught:
        exchange(tmp_path / "net", tmp_path / "net.safetensors", "pytagi_csv", trained, 0)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert not (tmp_path / "net.safetensors").exists()


def test_what_is_there_is_not_overwritten(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "net.bin").write_bytes(WHOLE)
    (tmp_path / "net_3_mb.csv").write_text("")
    (tmp_path / "net.safetensors").write_text("")
    for arguments, name in (
        ((trained, "net.bin", "pytagi", None, 0), "net.bin"),
        ((trained, "net", "pytagi_csv", None, 0), "net_3_mb.csv"),
        ((tmp_path / "net.bin", "net.safetensors", "pytagi", trained, 0), "net.safetensors"),
    ):
        source, target, *rest = arguments
        with pytest.raises(UserError, match=f"{name}: is there already; nothing is overwritten"):
            exchange(source, tmp_path / target, *rest)


def test_the_network_must_be_named(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "net.bin").write_bytes(WHOLE)
    for member, found in ((None, "nothing"), (2, "2"), (-1, "-1")):
        with pytest.raises(UserError, match=rf"^member: found {found}; .*Allowed: 0 to 1$"):
            exchange(trained, tmp_path / "out.bin", "pytagi", member=member)
    with pytest.raises(UserError, match=r"^run: must be given, as run=<run folder>"):
        exchange(tmp_path / "net.bin", tmp_path / "net.safetensors", "pytagi")
    with pytest.raises(UserError, match="is a run folder itself; leave out run="):
        exchange(trained, tmp_path / "out.bin", "pytagi", tmp_path, 0)
    with pytest.raises(UserError, match=r"^format: found 'pitagi'. Did you mean 'pytagi'\?"):
        exchange(trained, tmp_path / "out.bin", "pitagi", member=0)
