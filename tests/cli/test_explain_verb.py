"""`tagi explain`: from a command line to what outputs depend on."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tagi_cli.experiment.explain import search

from .conftest import Tagi


def test_the_folder_holds_tables_and_figures(tagi: Tagi, here: Path, finished: Path) -> None:
    answer = tagi("explain", f"run={finished}", "split=train", "rows=7", f"output={here / 'why'}")
    assert answer.code == 0
    assert "note: 7 of 42 rows are explained, spread evenly" in answer.err
    told = next(line for line in answer.err.splitlines() if line.startswith("what moves y: "))
    with (here / "why" / "contributions.csv").open() as file:
        shares = {row["column"]: 100 * float(row["share"]) for row in csv.DictReader(file)}
    first, second = sorted(shares, key=lambda name: -shares[name])
    assert told == (f"what moves y: {first} {shares[first]:.0f} %, {second} {shares[second]:.0f} %")
    shown = [Path(line).name for line in answer.out.splitlines()]
    assert shown[:3] == ["sensitivities.csv", "contributions.csv", "rows.csv"]
    assert all(Path(line).is_file() for line in answer.out.splitlines())
    with (here / "why" / "rows.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 7


def test_an_input_for_a_wanted_output(tagi: Tagi, here: Path, finished: Path) -> None:
    words = (f"run={finished}", f"output={here / 'found'}")
    answer = tagi("explain", *words, "target=0.25", "start=2", "input=my.csv")
    assert answer.code == 0
    assert Path(answer.out.strip()) == here / "found" / "target.csv"
    assert "predicted there: 0.2" in answer.err
    with Path(answer.out.strip()).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["column"] for row in rows] == ["a", "b"]
    assert float(rows[0]["start"]) == pytest.approx(14 / 60, rel=1e-6)
    far = tagi("explain", *words, "target=99", "overwrite=true")
    assert far.code == 0
    assert "was not reached within the range of the training part" in far.err


def test_a_start_where_nothing_moves_the_prediction_is_told(
    tagi: Tagi, here: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flat(layer: object, parameters: object, x: np.ndarray, outputs: np.ndarray) -> object:
        return (np.zeros((len(x), len(outputs), x[0].size)),) * 2

    monkeypatch.setattr(search, "variances", flat)
    answer = tagi("explain", f"run={finished}", f"output={here / 'flat'}", "target=0.25")
    assert answer.code == 0
    assert answer.err.endswith(
        "the prediction moves with no input at the start: start=<row> begins elsewhere\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("split=test", "input=my.csv"), "split: contradicts input"),
        (("rows=few",), "rows: found 'few'"),
        (("overwrite=yes",), "overwrite: found 'yes'"),
        (("component=y",), "component: has no effect without target"),
        (("target=1", "method=auto"), "method: has no effect beside target"),
        (("targt=1",), "targt: unknown. Did you mean 'target'?"),
        (("method=gradient",), "method: found 'gradient'. Allowed: auto, derivative, covariance"),
    ],
)
def test_mistakes(tagi: Tagi, finished: Path, words: tuple[str, ...], message: str) -> None:
    answer = tagi("explain", f"run={finished}", *words)
    assert answer.code == 2
    assert message in answer.err


def test_categories_that_are_kept_are_told(tagi: Tagi, here: Path) -> None:
    lines = [f"{i % 7},{'red' if i % 2 else 'blue'},{i % 7 + i % 2}\n" for i in range(40)]
    (here / "c.csv").write_text("a,kind,y\n" + "".join(lines))
    words = ("data.path=c.csv", "data.out_components=y", "trainer.max_epochs=1", "arch.width=3")
    assert tagi("train", *words, "kernels=numpy", "ensemble.size=1").code == 0
    (run,) = (here / "outputs" / "c").iterdir()
    found = tagi("explain", f"run={run}", "target=3", "start=1", "input=c.csv")
    assert found.code == 0
    assert "\nkept: kind=red\n" in found.err
