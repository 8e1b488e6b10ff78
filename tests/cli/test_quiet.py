"""`--quiet`: the path of what was written, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tagi_cli.cli.main import main
from tagi_cli.experiment.report import page as report

QUICK = ["config=quickstart", "trainer.max_epochs=2", "arch.width=4", "ensemble.size=1"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(report, "write_report", lambda folder: folder.report)


@pytest.mark.parametrize("flag", ["-q", "--quiet"])
def test_a_run_is_its_folder(flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", flag, *QUICK]) == 0
    (folder,) = (tmp_path / "outputs" / "quickstart").iterdir()
    assert capsys.readouterr().out == f"{folder.resolve()}\n"


def test_a_sweep_is_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", "-q", *QUICK, "seed=0,1"]) == 0
    (folder,) = (tmp_path / "outputs" / "quickstart").iterdir()
    assert capsys.readouterr().out == f"{folder.resolve()}\n"


def test_an_update_is_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{i % 7},{i % 7 + 0.1 * (i % 3)}" for i in range(60)]
    Path("a.csv").write_text("x,y\n" + "\n".join(rows) + "\n")
    assert main(["train", "-q", "data.path=a.csv", "data.out_components=y", *QUICK[1:]]) == 0
    run = capsys.readouterr().out.strip()
    assert main(["update", f"run={run}", "data.path=a.csv", "-q"]) == 0
    said = capsys.readouterr().out
    assert re.fullmatch(r"\S+\n", said)
    assert (Path(said.strip()) / "summary.json").is_file()


def test_a_mistake_is_told_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-q", "data.path=none.csv"]) == 2
    assert "none.csv" in capsys.readouterr().err
