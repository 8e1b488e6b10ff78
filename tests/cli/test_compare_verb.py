"""`tagi compare`: what it prints, draws and copies, and the mistakes it tells of."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tagi_cli.errors import UserError

MY = (
    "data.path=my.csv", "data.out_components=y", "arch.width=3", "kernels=numpy", "ensemble.size=1",
    "trainer.max_epochs=2", "trainer.refit=false", "viz.enabled=false",
)  # fmt: skip


@pytest.fixture
def sweep(tagi: Callable[..., Any]) -> Path:
    assert tagi("train", "-m", *MY, "seed=0,1").code == 0
    (folder,) = Path("outputs/my").iterdir()
    return folder


def test_a_sweep_is_ranked_drawn_and_its_best_run_copied(
    tagi: Callable[..., Any], sweep: Path
) -> None:
    answer = tagi("compare", str(sweep), "--select", "best")
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    best = lines[1].split()[0]
    assert lines[4].startswith("best by valid_nll (")
    assert lines[5] == f"tagi train config={sweep}/{best}/config.yaml"
    assert lines[6] == f"{sweep}/parallel_coordinates.png"
    assert (sweep / "parallel_coordinates.png").read_bytes().startswith(b"\x89PNG")
    copy = f"outputs/my-best/{best}"
    assert copy in lines
    assert tagi("eval", f"run={copy}").code == 0
    assert tagi("train", f"config={copy}/config.yaml", "trainer.max_epochs=1").code == 0
    again = tagi("compare", str(sweep), "--select=best")
    assert again.code == 2
    assert f"{copy}: is there already" in again.err
    assert tagi("compare", str(sweep), "--select", "best", "to=winner").code == 0
    assert Path("winner/config.yaml").is_file()


def test_the_figure_goes_where_it_is_wanted(tagi: Callable[..., Any], sweep: Path) -> None:
    assert tagi("compare", "outputs/my", "figure=all.svg").code == 0
    assert "<svg" in Path("all.svg").read_text()
    assert not (sweep / "parallel_coordinates.png").exists()
    runs = sorted(str(path) for path in sweep.glob("*-*"))
    answer = tagi("compare", runs[0], "figure=one.png")
    assert answer.code == 2
    assert "figure: there are no two completed runs that differ in an option" in answer.err


def test_a_sweep_that_cannot_be_written_to_is_compared_without_a_figure(
    tagi: Callable[..., Any], sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def refuse(path: Path) -> Iterator[None]:
        raise UserError(f"{path}: cannot be written")
        yield

    monkeypatch.setattr("tagi_cli.atomic.replacing", refuse)
    answer = tagi("compare", str(sweep))
    assert answer.code == 0
    path = sweep.resolve() / "parallel_coordinates.png"
    assert f"note: no figure, as {path}: cannot be written" in answer.out.splitlines()
    answer = tagi("compare", str(sweep), "figure=mine.png")
    assert answer.code == 2
    assert answer.err.endswith("mine.png: cannot be written\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--select", "bets"], "--select: found 'bets'. Did you mean 'best'? Allowed: best"),
        (["--select"], "--select: found ''. Allowed: best"),
        (["to=x"], "to: says where --select best copies the best run to; add that"),
        (["figure=my.csv"], "figure: "),
        (["figure=new.pdf"], "figure: found 'new.pdf'. Allowed: a name that ends in .png or .svg"),
    ],
)
def test_mistakes(tagi: Callable[..., Any], words: list[str], message: str) -> None:
    answer = tagi("compare", ".", *words)
    assert answer.code == 2
    assert answer.err.startswith(f"tagi compare: {message}")


def test_a_folder_without_runs_is_no_sweep(tagi: Callable[..., Any]) -> None:
    Path("empty").mkdir()
    answer = tagi("compare", "empty", "--select", "best")
    assert answer.code == 2
    assert "no run folder in 'empty'" in answer.err
