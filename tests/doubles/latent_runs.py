"""Small runs of a latent regression, and the table that they are of."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np

from tagi_cli import config
from tagi_cli.experiment import run
from tagi_cli.experiment.settings import Settings, registries
from tagi_cli.latent_truth import draw

TREE: dict[str, Any] = {
    "name": "groups",
    "task": "regression",
    "kernels": "numpy",
    "data": {"out_components": ["y*"], "split_portions": [0.8, 0, 0.2], "batch_size": 16},
    "arch": {
        "kind": "latent_regression",
        "inputs": {"a": {"columns": ["a*"], "latents": 1}, "b": {"columns": ["b*"], "latents": 1}},
        "outputs": {"y": {"columns": ["y*"], "latents": 2}},
    },
    "noise": {"kind": "auto"},
    "trainer": {"max_epochs": 3, "update_rule": "information"},
    "ensemble": {"size": 1},
    "viz": {"enabled": False},
}


class Small:
    """Sizes of the table of these tests."""

    d_in, d_out, d_proj, d_trans, direct_pairs = (4, 3), (4,), (1, 1), (2,), ((0, 0),)


# Of the inputs a; those of b are 1, those of the outputs 5.
UNITS = np.array([10.0, 0.1, 3.0, 50.0])


def write_groups(path: Path) -> Path:
    """500 rows of two input groups and an output group in units of their own."""
    (a, b), (y,), _ = draw(Small(), 500, 3)
    names = [f"{n}{j}" for n, width in (("a", 4), ("b", 3), ("y", 4)) for j in range(width)]
    values = np.hstack([UNITS * a + 3, b, 5 * y - 7])
    np.savetxt(path, values, delimiter=",", header=",".join(names), comments="")
    return path


def settings(path: Path, **changes: Any) -> Settings:
    """Settings of a small run; changes by dotted path, `__` for the dot."""
    dotted = {key.replace("__", "."): value for key, value in changes.items()}
    tree = copy.deepcopy(TREE)
    for name, value in {"data.path": str(path), **dotted}.items():
        *groups, last = name.split(".")
        place = tree
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = copy.deepcopy(value)
    return config.check(Settings, registries(), tree)


def trained(path: Path, tmp_path: Path, **changes: Any) -> Path:
    """The folder of a small run."""
    return run.train(settings(path, **changes), "tagi train", tmp_path)


def metrics_of(folder: Path) -> dict[str, Any]:
    """The test metrics of a run."""
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())["test"]
    return found
