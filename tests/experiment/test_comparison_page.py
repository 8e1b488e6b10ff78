"""`tagi compare output=<file.html>`: one safe page with links to the reports."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tagi_cli.cli.main import main
from tagi_cli.experiment import run
from tagi_cli.experiment.settings import Settings
from tagi_cli.experiment.sweeps import comparison_page
from tagi_cli.experiment.sweeps.compare import compare

from .test_compare import config, done, make_run
from .test_report import HOSTILE, Page

MakeSettings = Callable[..., Settings]


@pytest.fixture(scope="module")
def runs(
    trained: Path, make_settings: MakeSettings, tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    folder = tmp_path_factory.mktemp("more runs")
    return [trained, run.train(make_settings(**{"arch.width": 4}), "tagi train", folder)]


def test_the_verb_writes_a_page_of_its_own(runs: list[Path], tmp_path: Path) -> None:
    page = tmp_path / "below" / "runs.html"
    page.parent.mkdir()
    assert main(["compare", *map(str, runs), f"output={page}"]) == 0
    text = page.read_text(encoding="utf-8")
    found = Page(text)
    assert not found.open
    assert found.tags.count("svg") == 2
    links = [value for name, value in found.attributes if name == "href"]
    places = [link.replace("%20", " ") for link in links if not link.startswith("#")]
    assert {(page.parent / place).resolve() for place in places} == {
        (one / "report.html").resolve() for one in runs
    }
    assert "ranks first by <code>valid_nll</code>" in text
    assert "arch.width" in text
    assert not re.search(r'(src|href)="https?:', text)


def test_only_pages_and_tables_are_written(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *map(str, runs), f"output={tmp_path / 'runs.pdf'}"]) == 2
    assert "output: found 'runs.pdf'. Allowed: a name that ends in .csv or .html" in (
        capsys.readouterr().err
    )


def test_what_a_config_says_stays_text(tmp_path: Path) -> None:
    for place, text in enumerate((repr(HOSTILE[:30]), "b")):
        made = make_run(tmp_path / f"run-{place}", config(4) + f"name: {text}\n", **done(1.0))
        (made / "metrics.csv").write_text("phase,epoch,valid_nll\nsearch,1,3\nsearch,2,\n")
    (made.rename(tmp_path / "<script>run") / "report.html").write_text("")
    page = tmp_path / "runs.html"
    told = compare([tmp_path])
    comparison_page.write_page(
        dataclasses.replace(told, notes=["<script>of data"], failed=["<script>a=1: no"]), page
    )
    found = Page(page.read_text(encoding="utf-8"))
    assert "script" not in found.tags
    for text in ("<script>run", "<script>of data", "<script>a=1: no"):
        assert text in found.texts
    assert ("href", "%3Cscript%3Erun/report.html") in found.attributes


def test_many_runs_are_cut_and_the_page_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison_page, "ROWS", 3)
    monkeypatch.setattr(comparison_page, "CURVES", 2)
    for place in range(5):
        made = make_run(tmp_path / f"run-{place}", config(place), **done(float(place)))
        (made / "metrics.csv").write_text("phase,epoch,valid_nll\nsearch,1,3\nsearch,2,2\n")
    page = tmp_path / "runs.html"
    comparison_page.write_page(compare([tmp_path]), page)
    text = page.read_text(encoding="utf-8")
    assert "The first 3 of 5 runs" in text
    assert "The best 2 of 5 completed runs are drawn." in text
    assert "run-3" not in text


def test_runs_that_are_not_through_have_no_best(tmp_path: Path) -> None:
    make_run(tmp_path / "a", config(3))
    make_run(tmp_path / "b", config(4))
    page = tmp_path / "runs.html"
    comparison_page.write_page(compare([tmp_path]), page)
    assert "ranks first" not in page.read_text(encoding="utf-8")
