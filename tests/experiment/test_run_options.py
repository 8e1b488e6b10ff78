"""What `predictor` and `viz` change about a run's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tagi_cli.backend.host import backend as host_backend
from tagi_cli.backend.host import compiler
from tagi_cli.errors import UserError
from tagi_cli.experiment import run
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.experiment.report import page as report
from tagi_cli.experiment.settings import Settings

MakeSettings = Callable[..., Settings]


def test_without_figures_the_report_can_be_had_later(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    changes = {"viz.enabled": False, "predictor.splits": ["train"], "trainer.max_epochs": 2}
    folder = run.train(make_settings(**changes), "tagi train", tmp_path)
    assert not (folder / "report.html").exists()
    assert not list((folder / "figures").glob("*.png"))
    # Only the part that was asked for, with one line per row and the header.
    assert [path.name for path in (folder / "predictions").iterdir()] == ["train.csv"]
    lines = (folder / "predictions" / "train.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + 140
    report.write_report(RunFolder.open(folder))
    assert (folder / "report.html").exists()
    assert list((folder / "figures").glob("*.png"))


def test_splits_are_checked(make_settings: MakeSettings) -> None:
    with pytest.raises(UserError, match=r"predictor.splits.*one of train, valid, test"):
        make_settings(**{"predictor.splits": ["tset"]})


def test_compiled_kernels_without_a_compiler(
    make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr(host_backend, "_libraries", {})
    compiler.compiler.cache_clear()
    try:
        with pytest.raises(UserError, match=r"kernels: .*no-such-compiler.*auto"):
            run.train(make_settings(kernels="host"), "tagi train", tmp_path)
    finally:
        compiler.compiler.cache_clear()
    assert not list(tmp_path.iterdir())
