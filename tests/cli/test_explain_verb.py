"""`tagi explain`: from a command line to what outputs depend on."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from .conftest import Tagi


def test_the_folder_holds_tables_and_figures(tagi: Tagi, here: Path, finished: Path) -> None:
    answer = tagi("explain", f"run={finished}", "split=train", "rows=7", f"output={here / 'why'}")
    assert answer.code == 0
    assert "note: 7 of 48 rows are explained, spread evenly" in answer.err
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
