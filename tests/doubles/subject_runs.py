"""Small runs of a latent regression of several subjects, and the table that they are of."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np

from tagi_cli import config
from tagi_cli.experiment import run
from tagi_cli.experiment.settings import Settings, registries

NAMES = ("ann", "bob", "eve")
SIZES = (200, 150, 60)
# Of the outputs of each subject.
UNITS = (1.0, 1.0, 3.0)

TREE: dict[str, Any] = {
    "name": "subjects",
    "task": "regression",
    "kernels": "auto",
    "data": {
        "instance": "who",
        "split_column": "part",
        "valid_portion": 0,
        "out_components": ["y*"],
        "batch_size": 16,
    },
    "arch": {
        "kind": "latent_regression",
        "inputs": {"x": {"columns": ["x*"], "latents": 2}},
        "outputs": {"y": {"columns": ["y*"], "latents": 2}},
        "subjects": {"share": "m.shared"},
    },
    "noise": {"kind": "auto"},
    "trainer": {"max_epochs": 12, "update_rule": "information"},
    "ensemble": {"size": 1},
    "viz": {"enabled": False},
}
CHAIN = {
    "arch.subjects.mode": "align-chain",
    "arch.subjects.passes": 3,
    "trainer.max_epochs": 200,
}


class Truth:
    """Modes of each subject about one matrix, and rows of them."""

    def __init__(self) -> None:
        rng = np.random.default_rng(5)
        self.m = np.array([[2.0, 0.5], [-0.5, 1.5]])
        self.p = [np.linalg.qr(rng.normal(size=(5, 2)))[0] for _ in NAMES]
        self.u = [np.linalg.qr(rng.normal(size=(4, 2)))[0] for _ in NAMES]
        self.x = [rng.normal(size=(n + 50, 5)) for n in SIZES]
        self.y = [
            unit * (x @ p @ self.m @ u.T + 0.2 * rng.normal(size=(len(x), 4)))
            for x, p, u, unit in zip(self.x, self.p, self.u, UNITS, strict=True)
        ]


TRUTH = Truth()


def write(path: Path, lines: list[tuple[str, str, Any, Any]], inputs: int, outputs: int) -> Path:
    """A table of (subject, part, inputs, outputs); NaN is an empty cell."""
    header = ["who", "part", *(f"x{i}" for i in range(inputs)), *(f"y{i}" for i in range(outputs))]
    text = [",".join(header)]
    for name, part, x, y in lines:
        cells = ("" if np.isnan(v) else f"{v:.7g}" for v in (*x, *y))
        text.append(",".join([name, part, *cells]))
    path.write_text("\n".join(text) + "\n")
    return path


def write_subjects(path: Path) -> Path:
    """Rows of three subjects, in random order."""
    lines = [
        (name, "train" if i < n else "test", x[i], y[i])
        for name, n, x, y in zip(NAMES, SIZES, TRUTH.x, TRUTH.y, strict=True)
        for i in range(len(x))
    ]
    order = np.random.default_rng(0).permutation(len(lines))
    return write(path, [lines[i] for i in order], 5, 4)


def settings(path: Path, changes: dict[str, Any] | None = None) -> Settings:
    """Settings of a small run; changes by dotted path."""
    tree = copy.deepcopy(TREE)
    for name, value in {"data.path": str(path), **(changes or {})}.items():
        *groups, last = name.split(".")
        place = tree
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = copy.deepcopy(value)
    return config.check(Settings, registries(), tree)


def trained(path: Path, folder: Path, changes: dict[str, Any] | None = None) -> Path:
    """The folder of a small run."""
    return run.train(settings(path, changes), "tagi train", folder)
