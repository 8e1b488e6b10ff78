"""Whatever happened to the files of a run: a model is opened, or one message says what is wrong."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from tagi_cli.experiment import pipe
from tagi_cli.experiment.model import Model
from tagi_cli.nn import Linear, Network, ReLU, Sequential, interop
from tagi_cli.nn.layer import Layer
from tagi_cli.training import checkpoint

from .exploring import DEPTHS, damaged, explore, modest
from .verbs import say

ROOMY = 64 << 20
"""What opening a model takes in any case: configs, networks, compiled patterns."""


def opened(run: Path, which: str = "best") -> None:
    """Open a model, and see that it predicts."""
    model = Model.load(run, which)
    found = model.predict({"a": [0.5], "kind": ["u"]})
    assert found.mean.shape == (1, 1)


@pytest.mark.parametrize("deep", DEPTHS)
def test_checkpoints(finished: Path, tmp_path: Path, deep: bool) -> None:
    path = tmp_path / "c.safetensors"
    whole = (finished / "checkpoints" / "best.safetensors").read_bytes()

    def check(data: bytes) -> None:
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        checkpoint.digest_path(path).write_text(f"{digest}  {path.name}\n")
        with modest(len(data), ROOMY):
            opened(finished, str(path))

    explore(check, 8, 50, deep, data=damaged(whole))


@pytest.mark.parametrize("deep", DEPTHS)
@pytest.mark.parametrize("name", ["checkpoint.json", "weights"])
def test_csv_checkpoints(finished: Path, tmp_path: Path, name: str, deep: bool) -> None:
    folder = tmp_path / "csv"
    shutil.copytree(finished / "checkpoints" / "csv", folder)
    folder = next(path.parent for path in folder.rglob("checkpoint.json"))
    files = {"checkpoint.json": folder / "checkpoint.json"}
    files["weights"] = max(folder.glob("*.csv"), key=lambda path: path.stat().st_size)
    path = files[name]
    whole = path.read_bytes()

    def check(data: bytes) -> None:
        path.write_bytes(data)
        with modest(len(data), ROOMY):
            opened(finished, str(folder))

    explore(check, 8, 50, deep, data=damaged(whole))


@pytest.mark.parametrize("deep", DEPTHS)
@pytest.mark.parametrize("name", ["config.yaml", "environment.json"])
def test_records_of_a_run(finished: Path, tmp_path: Path, name: str, deep: bool) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    whole = (run / name).read_bytes()

    def check(data: bytes) -> None:
        (run / name).write_bytes(data)
        with modest(len(data), ROOMY):
            Model.load(run)

    explore(check, 6, 40, deep, data=damaged(whole))


READING = [
    ["report", "run={run}"],
    ["eval", "run={run}", "split=valid"],
    ["show", "run={run}"],
    ["compare", "{run}", "{whole}", "output={new}.html"],
    ["explain", "run={run}", "split=train", "rows=3"],
    ["convert", "{run}", "{new}"],
    ["train", "trainer.resume={run}", "trainer.max_epochs=2"],
    ["update", "run={run}", "data.path={data}"],
]


@pytest.mark.parametrize("deep", DEPTHS)
def test_verbs_that_read_a_run(finished: Path, tmp_path: Path, deep: bool) -> None:
    """Whichever of its files is damaged, or gone: they do it all the same, or say what is wrong."""
    files = sorted(
        str(path.relative_to(finished)) for path in finished.rglob("*") if path.is_file()
    )
    places = {"run": str(tmp_path / "run"), "whole": str(finished), "new": str(tmp_path / "new")}
    places["data"] = str(finished.parents[1] / "t.csv")

    def check(case: tuple[str, bytes | None], words: list[str]) -> None:
        name, data = case
        for path in (tmp_path / "run", tmp_path / "new"):
            shutil.rmtree(path, ignore_errors=True)
        (tmp_path / "new.html").unlink(missing_ok=True)
        run = shutil.copytree(finished, tmp_path / "run")
        if data is None:
            (run / name).unlink()
        else:
            (run / name).write_bytes(data)
        code, _, err = say([word.format(**places) for word in words])
        assert code in (0, 2), (name, err)
        assert code == 0 or err.startswith(f"tagi {words[0]}: ") or "\ntagi " in err, err

    cases = st.sampled_from(files).flatmap(
        lambda name: st.tuples(st.just(name), st.none() | damaged((finished / name).read_bytes()))
    )
    explore(check, 8, 40, deep, case=cases, words=st.sampled_from(READING))


def network() -> Layer:
    """Two layers."""
    layer = Sequential(Linear(3, 4), ReLU(), Linear(4, 2))
    Network(layer, (3,), rng=np.random.default_rng(0))
    return layer


@pytest.mark.parametrize("deep", DEPTHS)
@pytest.mark.parametrize("ending", ["", *interop.text.ENDINGS])
def test_parameters_of_pytagi(tmp_path: Path, ending: str, deep: bool) -> None:
    layer = network()
    path = tmp_path / "p"
    write: Callable[[Layer, Path], None]
    read: Callable[[Layer, Path], None]
    write, read = interop.write_csv, interop.read_csv
    if not ending:
        write, read = interop.write_binary, interop.read_binary
    write(layer, path)
    file = Path(f"{path}{ending}")
    whole = file.read_bytes()

    def check(data: bytes) -> None:
        file.write_bytes(data)
        with modest(len(data)):
            read(layer, path)

    explore(check, 8, 50, deep, data=damaged(whole))


@pytest.mark.parametrize("deep", DEPTHS)
def test_rows_on_a_pipe(finished: Path, deep: bool) -> None:
    model = Model.load(finished)

    def check(data: bytes) -> None:
        notices: list[str] = []
        with modest(len(data), ROOMY):
            pipe.answer(model, io.BytesIO(data).read, io.BytesIO(), notices)

    csv = b'a,kind,y\n1,u,2.5\n-3e2,v,\n0.5,"u",1\n'
    lines = b'{"a": 1, "kind": "u", "y": null}\n{"a": 2.5, "kind": "v"}\n'
    explore(check, 25, 250, deep, data=damaged(csv, lines))
