"""A small table, settings for it, and a run that has been trained on it."""

from __future__ import annotations

import copy
import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagi_cli import config
from tagi_cli.experiment import run
from tagi_cli.experiment.report import page as report
from tagi_cli.experiment.settings import Settings, registries

SMALL: dict[str, Any] = {
    "name": "small",
    "task": "regression",
    "data": {"out_components": ["y"], "batch_size": 16},
    "arch": {"kind": "mlp", "width": 8, "depth": 1},
    "noise": "auto",
    "trainer": {"max_epochs": 6},
    "ensemble": {"size": 2},
}


def merged(tree: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`tree` with changes given by dotted path."""
    tree = copy.deepcopy(tree)
    for path, value in changes.items():
        *groups, name = path.split(".")
        place = tree
        for group in groups:
            place = place.setdefault(group, {})
        place[name] = copy.deepcopy(value)
    return tree


def write_table(path: Path, rows: int = 200, seed: int = 0) -> Path:
    """y = 40 + 5 sin(a) + noise, a category, and one missing target in the tail."""
    rng = np.random.default_rng(seed)
    a = rng.uniform(-2, 2, rows)
    kind = rng.choice(["red", "green"], rows)
    y = 40 + 5 * np.sin(a) + 2 * (kind == "red") + 0.5 * rng.normal(size=rows)
    lines = [f"{float(a[i])!r},{kind[i]},{float(y[i])!r}" for i in range(rows)]
    lines[-1] = lines[-1].rpartition(",")[0] + ","
    path.write_text("a,kind,y\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def summary(folder: Path) -> dict[str, Any]:
    """The summary.json of a run."""
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("data") / "small.csv")


@pytest.fixture(scope="session")
def make_settings(table: Path) -> Callable[..., Settings]:
    """Settings of a small run; keyword-like changes by dotted path."""

    def make(**changes: Any) -> Settings:
        tree = merged(SMALL, {"data.path": str(table), **changes})
        return config.check(Settings, registries(), tree)

    return make


@pytest.fixture(scope="session")
def trained(
    make_settings: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A finished run. Tests read it and leave it as it is."""
    return run.train(make_settings(), "tagi train", tmp_path_factory.mktemp("runs"))


@pytest.fixture
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the report out, for tests of something else: drawing takes most of a small run."""
    monkeypatch.setattr(report, "write_report", lambda folder: folder.report)
