"""Plugins on the command line: listed, trained with, recorded, and in nobody's way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_packages import EXAMPLE, Packages, packages

from tagi_cli import plugins
from tagi_cli.arch import registry as architectures

ROOT = Path(__file__).parents[2]
Tagi = Callable[..., Any]


@pytest.fixture
def site(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Packages]:
    (here / "site").mkdir()
    with packages(here / "site", monkeypatch) as found:
        yield found


def write_arff(file: Path) -> None:
    rows = "".join(f"{i * 7 % 60 / 60},{i * 7 % 60 / 30 - 1}\n" for i in range(60))
    file.write_text(f"@relation r\n@attribute x numeric\n@attribute y numeric\n@data\n{rows}")


def test_a_run_names_the_package_that_it_lacks(
    tagi: Tagi, site: Packages, monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    site.add_example(monkeypatch)
    words = ("data.name=sine", "arch=sine_mlp", "ensemble.size=1", "trainer.max_epochs=1")
    assert tagi("train", *words, "kernels=numpy").code == 0
    (run,) = here.glob("outputs/sine/*")
    shutil.rmtree(next(site.folder.glob("*.dist-info")))
    plugins.installed.cache_clear()
    monkeypatch.setattr(architectures, "_kinds", dict(architectures._kinds))
    architectures._kinds.pop("sine_mlp", None)
    answer = tagi("eval", f"run={run}")
    assert answer.code == 2
    told = "was trained with tagi-sine 0.1.0, not installed here; install that. Without it: "
    assert answer.err.startswith(f"tagi eval: run outputs/sine/{run.name}: {told}")


def test_runs_with_plugins_are_trained_recorded_and_opened(
    tagi: Tagi, site: Packages, monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    site.add_example(monkeypatch)
    write_arff(here / "r.arff")
    answer = tagi(
        "train", "data.path=r.arff", "data.out_components=y", "arch=sine_mlp", "arch.width=3",
        "metrics=[interval_score_90]", "ensemble.size=1", "trainer.max_epochs=2", "kernels=numpy",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    (run,) = here.glob("outputs/r/*")
    names = ["sine_mlp", "arff", "interval_score_90"]
    recorded = json.loads((run / "environment.json").read_text())["plugins"]
    assert [one["name"] for one in recorded] == names
    assert {(one["package"], one["version"]) for one in recorded} == {("tagi-sine", "0.1.0")}
    summary = json.loads((run / "summary.json").read_text())
    assert summary["test"]["interval_score_90"] > 0
    assert "<th>interval_score_90</th>" in (run / "report.html").read_text()
    assert json.loads(tagi("eval", f"run={run}").out)["interval_score_90"] == pytest.approx(
        summary["test"]["interval_score_90"], rel=1e-6
    )
    assert tagi("predict", f"run={run}", "input=r.arff", "output=p.csv").code == 0
    layers = (
        "arch.layers=[{kind: linear, output_size: 2}, {kind: sine}, {kind: linear, output_size: 1}]"
    )
    answer = tagi("check", "data.name=sine", "arch=sequential", layers)
    assert answer.code == 0, answer.err


def test_ls_shows_plugins_with_their_packages_and_faults(
    tagi: Tagi, site: Packages, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tagi("ls", "plugins").out == "No installed package brings plugins.\n"
    site.add_example(monkeypatch)
    broken = {
        plugins.LAYERS: {"wrong": "nowhere:it", "linear": "nowhere:it"},
        plugins.METRICS: {"rmse": "nowhere:it"},
        plugins.DATA_SOURCES: {"csv": "nowhere:it", "number": "math:pi"},
    }
    site.add("broken", broken, "3.0")
    answer = tagi("ls", "plugins")
    text = " ".join(answer.out.split())
    assert answer.code == 0
    assert "layer sine (tagi-sine 0.1.0) Sine of each unit" in text
    assert "arch sine_mlp (tagi-sine 0.1.0) Multilayer perceptron whose" in text
    assert "data source arff (tagi-sine 0.1.0) Tables in ARFF files; nominal" in text
    assert "metric interval_score_90 (tagi-sine 0.1.0) Mean score of central" in text
    assert "layer linear (broken 3.0) refused: tagi has a layer 'linear' of its own" in text
    assert "metric rmse (broken 3.0) refused: tagi has a metric 'rmse' of its own" in text
    assert "data source csv (broken 3.0) refused: tagi has a data source 'csv'" in text
    assert "number (broken 3.0) number: the data source 'number' of the package" in text
    assert "layer wrong (broken 3.0) wrong: the layer 'wrong' of the package broken 3.0" in text
    assert "ModuleNotFoundError: No module named 'nowhere'" in text
    assert "plugins of installed packages: layer linear" in " ".join(tagi("ls").out.split())
    assert "sine_mlp (tagi-sine 0.1.0)" in " ".join(tagi("ls", "arch").out.split())
    assert "sine (tagi-sine 0.1.0)" in " ".join(tagi("ls", "layer").out.split())
    assert "arch.frequency: number, above 0; default 1.0" in tagi("ls", "arch.sine_mlp").out


def test_a_broken_plugin_fails_who_names_it_and_nobody_else(tagi: Tagi, site: Packages) -> None:
    site.add(
        "broken",
        {plugins.ARCHITECTURES: {"wrong": "broken:It"}, plugins.LAYERS: {"bad": "broken:It"}},
        broken="open('imported', 'w').close()\nraise RuntimeError('never to be imported')\n",
    )
    assert tagi("check", "config=quickstart").code == 0
    assert not Path("imported").exists()
    answer = tagi("check", "config=quickstart", "arch=wrong")
    assert answer.code == 2
    assert answer.err == (
        "tagi check: arch: the arch 'wrong' of the package broken 1.0 (entry point "
        "tagi_cli.architectures: wrong = broken:It) cannot be used: RuntimeError: never to be "
        "imported\n"
    )
    assert Path("imported").exists()
    answer = tagi("check", "data.name=sine", "arch=sequential", "arch.layers=[{kind: bad}]")
    assert answer.code == 2
    assert "arch.layers.0: the layer 'bad' of the package broken 1.0" in answer.err


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_example_package_works_where_it_is_installed(tmp_path: Path) -> None:
    def call(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(ROOT)])},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    call(
        "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
        "--disable-pip-version-check", "--target", "site", str(EXAMPLE),
    )  # fmt: skip
    tagi = ("-c", "import sys; from tagi_cli.cli.main import main; sys.exit(main(sys.argv[1:]))")
    assert "metric interval_score_90" in call(*tagi, "ls", "plugins")
    write_arff(tmp_path / "r.arff")
    call(
        *tagi, "train", "data.path=r.arff", "data.out_components=y", "arch=sine_mlp",
        "arch.frequency=2", "metrics=[interval_score_90]", "trainer.max_epochs=20",
    )  # fmt: skip
    (summary,) = tmp_path.glob("outputs/r/*/summary.json")
    assert json.loads(summary.read_text())["test"]["rmse"] < 0.2
    call(*tagi, "report", f"run={summary.parent}")
