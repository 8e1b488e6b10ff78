"""A finished run, and a way to run command lines in an empty folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tagi_cli.cli.main import main

SMALL = (
    "kernels=numpy",
    "ensemble.size=1",
    "trainer.max_epochs=2",
    "trainer.refit=false",
    "arch.width=3",
    # Three rectifiers may all be off, and the output flat.
    "arch.activation=tanh",
)
"""Arguments that make a run short."""


class Answer(NamedTuple):
    """What a command line left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


Tagi = Callable[..., Answer]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with a table of two inputs and a target."""
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "my.csv")
    return tmp_path


@pytest.fixture
def tagi(here: Path, capsys: pytest.CaptureFixture[str]) -> Tagi:
    """Run a command line in the working directory."""

    def call(*words: str) -> Answer:
        code = main(words)
        return Answer(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run, to read only."""
    folder = tmp_path_factory.mktemp("finished")
    write_table(folder / "my.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", "data.path=my.csv", "data.out_components=y", *SMALL]) == 0
    (run,) = folder.glob("outputs/my/*")
    return run


def write_table(path: Path) -> None:
    """60 rows of y = a - b / 2."""
    rows = [(i * 7 % 60 / 60, i * 11 % 60 / 60) for i in range(60)]
    lines = [f"{a},{b},{a - b / 2}" for a, b in rows]
    path.write_text("\n".join(["a,b,y", *lines]) + "\n")
