"""`tagi project` and `tagi angles`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tagi_cli.cli.main import main
from tagi_cli.experiment.latent.findings import network_of
from tagi_cli.experiment.model import Model

from .conftest import Tagi

ARCH = (
    "arch=latent_regression",
    "+arch.inputs={one: {columns: [a, b], latents: 2}}",
    "+arch.outputs={all: {columns: ['y*'], latents: 2}}",
)
FEW = ("kernels=numpy", "ensemble.size=2", "trainer.max_epochs=2", "trainer.refit=false")


def table(order: str) -> str:
    """A table of two inputs and two targets, with its columns in an order."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 40))
    columns = {"a": a, "b": 3 * b, "y1": a + b, "y2": a - 2 * b}
    lines = [",".join(repr(float(columns[c][i])) for c in order.split(",")) for i in range(40)]
    return "\n".join([order, *lines]) + "\n"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A run, the same on columns in another order, and one of an MLP."""
    folder = tmp_path_factory.mktemp("latent")
    common = ("data.out_components=[y1,y2]", "viz.enabled=false", *FEW)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, order in (("x", "a,b,y1,y2"), ("z", "b,y2,y1,a")):
            (folder / f"{name}.csv").write_text(table(order))
            assert main(["train", f"data.path={name}.csv", *common, *ARCH]) == 0
        assert main(["train", "data.path=x.csv", "name=mlp", *common, "arch.width=3"]) == 0
    return [next((folder / "outputs" / name).iterdir()) for name in ("x", "z", "mlp")]


def test_project_writes_what_the_modes_see(tagi: Tagi, runs: list[Path], here: Path) -> None:
    answer = tagi("project", f"run={runs[0]}", "output=latents.csv")
    assert (answer.code, answer.out) == (0, "latents.csv\n")
    with (here / "latents.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 40 * 2 * 2
    model = Model.load(runs[0])
    (p,) = network_of(model.learners[1]).model.moments("p")
    assert p is not None
    columns = np.array([float(v) for v in table("a,b").split()[1].split(",")])
    scaled = (columns - [c.center for c in model.encoder.columns]) / [  # type: ignore[union-attr]
        c.scale
        for c in model.encoder.columns  # type: ignore[union-attr]
    ]
    first = [line for line in lines if (line["row"], line["network"]) == ("0", "1")]
    assert [line["latent"] for line in first] == ["1", "2"]
    np.testing.assert_allclose([float(line["mu"]) for line in first], scaled @ p.mu, rtol=1e-5)
    sd = np.sqrt(scaled**2 @ p.var)
    np.testing.assert_allclose([float(line["sd"]) for line in first], sd, rtol=1e-5)
    assert {line["group"] for line in lines} == {"one"}


def test_project_takes_another_table(tagi: Tagi, runs: list[Path], here: Path) -> None:
    (here / "new.csv").write_text("b,a\n3,0\n")
    assert tagi("project", f"run={runs[0]}", "input=new.csv", "output=o.csv").code == 0
    assert len((here / "o.csv").read_text().splitlines()) == 1 + 4
    again = tagi("project", f"run={runs[0]}", "input=new.csv", "output=o.csv")
    assert again.code == 2
    assert "is there already" in again.err
    more = ("input=new.csv", "output=o.csv", "overwrite=true")
    assert tagi("project", f"run={runs[0]}", *more).code == 0
    (here / "new.csv").write_text("b\n3\n")
    lacking = tagi("project", f"run={runs[0]}", *more)
    assert lacking.code == 2
    assert "input: new.csv" in lacking.err


def test_the_same_data_in_another_order_give_the_same_subspaces(
    tagi: Tagi, runs: list[Path]
) -> None:
    found = json.loads(tagi("angles", str(runs[0]), str(runs[0])).out)
    assert list(found) == ["p.one", "u.all"]
    assert max(found["p.one"] + found["u.all"]) < 1e-3
    # Two latents of two columns see all there is, whatever the order of the columns.
    other = json.loads(tagi("angles", str(runs[0]), str(runs[1])).out)
    assert max(other["p.one"] + other["u.all"]) < 1e-3


def test_other_architectures_have_no_latents(tagi: Tagi, runs: list[Path]) -> None:
    for answer in (
        tagi("project", f"run={runs[2]}", "output=o.csv"),
        tagi("angles", str(runs[0]), str(runs[2])),
        tagi("project", f"run={runs[0]}", "output=o.csv", "overwrite=maybe"),
    ):
        assert answer.code == 2
        assert "Allowed: a run with arch=latent_regression" in answer.err or "maybe" in answer.err


def test_angles_need_groups_in_common(tagi: Tagi, runs: list[Path], here: Path) -> None:
    (here / "x.csv").write_text(table("a,b,y1,y2"))
    base = ["train", "data.path=x.csv", "viz.enabled=false", *FEW, "arch=latent_regression"]
    named = "data.out_components=[y1,y2]"
    other = "+arch.inputs={two: {columns: [a, b], latents: 1}}"
    outputs = "+arch.outputs={%s: {columns: ['y*'], latents: 1}}"
    assert tagi(*base, named, "name=p", other, outputs % "some", "arch.m=identity").code == 0
    part = "+arch.inputs={one: {columns: [a], latents: 1}}"
    assert tagi(*base, named, "name=q", part, outputs % "all").code == 0
    (p,), (q,) = (list((here / "outputs" / name).iterdir()) for name in "pq")
    answer = tagi("angles", str(runs[0]), str(p))
    assert answer.code == 2
    assert "no group of" in answer.err
    answer = tagi("angles", str(runs[0]), str(q))
    assert answer.code == 2
    assert "group 'one': the columns differ: a, b in" in answer.err


def test_pytagi_has_no_such_network(tagi: Tagi, runs: list[Path]) -> None:
    answer = tagi("convert", str(runs[0]), "net.bin", "format=pytagi", "member=0")
    assert answer.code == 2
    assert "pytagi has no latent regression" in answer.err
