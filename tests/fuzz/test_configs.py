"""Any config that the schema allows, on any small data: a whole run, or a user's mistake."""

from __future__ import annotations

import copy
import csv
import json
import math
import shutil
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import strategies as st

from tagi_cli import config
from tagi_cli.errors import UserError
from tagi_cli.experiment import evaluation, run
from tagi_cli.experiment.settings import Settings, registries

from .drawing import Tree, changes
from .exploring import DEPTHS, explore

COLUMNS = ("a", "b", "kind", "code", "y", "z")
BASE: Tree = {
    "kernels": "numpy",
    "device": "cpu",
    "trainer": {"max_epochs": 2},
    "ensemble": {"size": 1},
    "viz": {"enabled": False},
    "noise": {"kind": "auto"},
    "arch": {"kind": "mlp", "width": 3, "depth": 1},
}
ALWAYS = {"rmse", "mae", "nll", "crps", "coverage_90", "error_rate", "brier", "ece"}
"""Metrics that every test part has."""
WAYS: dict[str, Tree] = {
    "rows": {"task": {"kind": "regression"}, "data": {"out_components": ["y"], "missing": "mean"}},
    "labels": {
        "task": {"kind": "classification"},
        "data": {"out_components": ["kind"], "missing": "mean"},
    },
    "windows": {
        "task": {"kind": "regression"},
        "data": {"out_components": ["y"], "in_components": ["a", "y"], "in_chunk": [-3, -1],
                 "time": "code", "instance": "series", "missing": "ffill"},
        "arch": {"kind": "lstm", "width": 3},
    },
    "forecast": {
        "task": {"kind": "forecasting"},
        "data": {"out_components": ["y"], "in_components": ["y"], "time": "code",
                 "instance": "series", "missing": "ffill",
            "in_chunk": [-3, 0]},
        "forecast": {"horizon": 2},
    },
    "images": {"task": {"kind": "classification"}, "data": {}, "arch": {"kind": "cnn"}},
}  # fmt: skip


def write_table(path: Path, rows: int, seed: int, oddity: str) -> None:
    """Three series side by side, with a column for each role, and something odd about one."""
    rng = np.random.default_rng(seed)
    a, b, noise = rng.normal(size=(3, rows))
    a = {"constant": 0 * a + 3, "large": 1e30 * a, "small": 1e-30 * a}.get(oddity, a)
    y = np.sin(b) + 0.1 * noise
    y = {"constant target": 0 * y, "large target": 1e25 * y}.get(oddity, y)
    lines = ["a,b,kind,code,series,y,z"]
    for i in range(rows):
        cells = [repr(float(v)) for v in (a[i], b[i])]
        if oddity == "gaps" and i % 5 == 2:
            cells[0] = ""
        target = "" if oddity == "no targets" or i % 7 == 3 else repr(float(y[i]))
        lines.append(f"{cells[0]},{cells[1]},{'uvw'[i % 3]},{i // 2},{'AB'[i % 2]},{target},{i}")
    path.write_text("\n".join(lines) + "\n")


def write_images(path: Path, rows: int, seed: int) -> None:
    """Small images of two classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % 2
    pixels = rng.integers(0, 200, (rows, 8, 8)) + 50 * labels[:, None, None]
    np.savez(path, x=pixels.astype(np.uint8), y=labels)


@st.composite
def cases(draw: st.DrawFn, way: str) -> tuple[Tree, int, int, str]:
    """A config of one of the ways, rows, seed, and what is odd about the data."""
    tree = merged(BASE, WAYS[way])
    for path, value in draw(changes(COLUMNS)).items():
        group, _, name = path.partition(".")
        if name:
            tree.setdefault(group, {})[name] = value
        else:
            tree[group] = value
    oddity = draw(st.sampled_from(["", "constant", "large", "small", "gaps", "constant target",
                                   "large target", "no targets"]))  # fmt: skip
    return (
        tree,
        draw(st.integers(15, 60) | st.integers(1, 60)),
        draw(st.integers(0, 9)),
        oddity,
    )


def merged(one: Tree, two: Tree) -> Tree:
    """Both, of groups the second's options over the first's."""
    found = copy.deepcopy(one)
    for key, value in copy.deepcopy(two).items():
        both = isinstance(value, dict) and isinstance(found.get(key), dict) and "kind" not in value
        found[key] = found[key] | value if both else value
    return found


def strict(path: Path) -> Any:
    """JSON without NaN or infinity."""

    def refuse(word: str) -> NoReturn:
        raise AssertionError(f"{word} in {path.name}")

    return json.loads(path.read_text(), parse_constant=refuse)


def table_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, in which no number is NaN."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        for key, text in row.items():
            if key.startswith(("mu", "sd", "lo", "hi", "p_")) and text:
                assert math.isfinite(float(text)), (path.name, row)
    return rows


def check_run(folder: Path, settings: Settings, data: Path) -> None:
    """The folder is whole, and verbs that read it agree with it."""
    summary = strict(folder / "summary.json")
    assert summary["status"] == "completed"
    for name in ("config.yaml", "environment.json", "metrics.csv", "metrics.jsonl", "train.log"):
        assert (folder / name).is_file(), name
    for name in ("best", "last"):
        assert (folder / "checkpoints" / f"{name}.safetensors").is_file()
    strict(folder / "environment.json")
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        json.loads(line)
    for path in (folder / "predictions").glob("*.csv"):
        table_of(path)
    assert config.load(Settings, registries(), folder / "config.yaml") is not None
    if summary["test"]:
        again = evaluation.evaluate(folder, split="test").metrics
        for key, value in summary["test"].items():
            if key in ALWAYS:
                assert value is not None, key
            if isinstance(value, float):
                assert again[key] == pytest.approx(value, rel=1e-6, abs=1e-9), key
    try:
        path = evaluation.predict(folder, data, folder / "predicted.csv")
    except UserError:
        return  # as where a row lacks an input
    assert table_of(path)


@pytest.mark.parametrize("deep", DEPTHS)
@pytest.mark.parametrize("way", WAYS)
def test_any_config_that_the_schema_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, deep: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = []

    def check(case: tuple[Tree, int, int, str]) -> None:
        tree, rows, seed, oddity = case
        path = tmp_path / ("x.npz" if way == "images" else "t.csv")
        if way == "images":
            write_images(path, rows, seed)
        else:
            write_table(path, rows, seed, oddity)
        tree = merged(tree, {"data": {"path": str(path)}})
        try:
            settings = config.check(Settings, registries(), tree)
            folder = run.train(settings, "tagi train", tmp_path / "runs")
        except UserError:
            return
        check_run(folder, settings, path)
        ran.append(case)
        shutil.rmtree(tmp_path / "runs")

    explore(check, 6, 25, deep, case=cases(way))
    assert ran
