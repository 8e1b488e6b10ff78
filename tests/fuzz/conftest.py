"""A finished run, to read only."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tagi_cli import config
from tagi_cli.experiment import run
from tagi_cli.experiment.settings import Settings, registries


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of files need not reach it."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run on the columns a, kind and y, with its last checkpoint as CSV."""
    folder = tmp_path_factory.mktemp("finished")
    rng = np.random.default_rng(0)
    lines = [f"{a!r},{'uv'[a > 0]},{2 * a!r}" for a in rng.normal(size=40).tolist()]
    (folder / "t.csv").write_text("\n".join(["a,kind,y", *lines]) + "\n")
    tree = {
        "task": "regression",
        "kernels": "numpy",
        "data": {"path": str(folder / "t.csv"), "out_components": "y"},
        "arch": {"kind": "mlp", "width": 3, "depth": 1},
        "noise": "auto",
        "trainer": {"max_epochs": 1},
        "ensemble": {"size": 1},
        "viz": {"enabled": False},
        "checkpoint": {"csv": True},
    }
    settings = config.check(Settings, registries(), tree)
    return run.train(settings, "tagi train", folder / "runs")
