"""Small runs of every task: a config that fits, from which others are drawn."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tagi_cli import nn
from tagi_cli.config.schema import options_of
from tagi_cli.data.images.loading import OF_IMAGES
from tagi_cli.data.options import DataOptions
from tagi_cli.experiment.settings import registries

from .drawing import Tree, chance, changes, kinds, values
from .tables import COLUMNS, Pictures, Rows, pictures, tables

BASE: Tree = {
    "kernels": "numpy",
    "device": "cpu",
    "trainer": {"max_epochs": 2},
    "ensemble": {"size": 1},
    "viz": {"enabled": False},
    "noise": {"kind": "auto"},
    "arch": {"kind": "mlp", "width": 3, "depth": 1},
}
SERIES: Tree = {
    "out_components": ["y"],
    "in_components": ["b", "y"],
    "time": "code",
    "instance": "series",
    "missing": "ffill",
}
WAYS: dict[str, Tree] = {
    "rows": {"task": {"kind": "regression"}, "data": {"out_components": ["y"], "missing": "mean"}},
    "several": {
        "task": {"kind": "regression"},
        "data": {"out_components": ["y", "z"], "missing": "mean", "split_column": "part"},
        "noise": {"kind": "heteroscedastic"},
    },
    "labels": {
        "task": {"kind": "classification"},
        "data": {"out_components": ["kind"], "in_components": ["a", "b", "y"], "missing": "mean"},
    },
    "windows": {
        "task": {"kind": "regression"},
        "data": SERIES | {"in_chunk": [-3, -1]},
        "arch": {"kind": "lstm", "width": 3},
    },
    "dates": {
        "task": {"kind": "regression"},
        "data": SERIES | {"time": "when", "in_chunk": [-2, 0], "in_components": ["b"],
                          "time_covariates": ["day_of_week"]},
        "arch": {"kind": "tcn", "num_filters": 2},
    },
    "states": {
        "task": {"kind": "regression"},
        "data": SERIES | {"in_chunk": [0, 0], "in_components": ["b"], "batch_size": 2,
                          "batch_sampling_mode": "inference"},
        "arch": {"kind": "slstm", "width": 2},
    },
    "segments": {
        "task": {"kind": "vl_regression"},
        "data": SERIES | {"in_components": ["b"], "batch_size": 2,
                          "variable_sequence_length_limit": 3, "split_gap": 0,
                          "split_portions": [0.6, 0.2, 0.2]},
        "arch": {"kind": "lstm", "width": 2},
    },
    "forecast": {
        "task": {"kind": "forecasting"},
        "data": SERIES | {"in_components": ["y"], "in_chunk": [-3, 0]},
        "forecast": {"horizon": 2},
    },
    "latents": {
        "task": {"kind": "regression"},
        "data": {"out_components": ["y", "z"], "in_components": ["a", "b"], "missing": "mean"},
        "arch": {
            "kind": "latent_regression",
            "inputs": {"x": {"columns": ["a", "b"], "latents": 1}},
            "outputs": {"u": {"columns": ["y", "z"], "latents": 1}},
        },
    },
    "subjects": {
        "task": {"kind": "regression"},
        "data": {"out_components": ["y"], "in_components": ["a", "b"], "missing": "mean",
                 "instance": "series"},
        "arch": {
            "kind": "latent_regression",
            "inputs": {"x": {"columns": ["a", "b"], "latents": 1}},
            "outputs": {"u": {"columns": ["y"], "latents": 1}},
            "subjects": {"share": "m.shared"},
        },
    },
    "images": {"task": {"kind": "classification"}, "data": {}, "arch": {"kind": "cnn", "units": [3],
               "blocks": [{"kind": "conv", "channels": 2, "pool": "average"}]}},
    "pixels": {"task": {"kind": "reconstruction"}, "data": {}, "noise": {"kind": "constant"},
               "arch": {"kind": "autoencoder", "code": 2, "units": [3]}},
}  # fmt: skip
"""By a name of its own, what is set in a run besides BASE."""

PICTURES = ("images", "pixels")

IDLE = {f"data.{field.name}" for field in dataclasses.fields(DataOptions)} - {
    f"data.{name}" for name in OF_IMAGES
}
"""Options that say nothing of images."""

OUTPUTS = {"rows": 1, "labels": 3, "windows": 1, "dates": 1, "images": 2}
"""Outputs of the ways of which any network of layers is drawn, too."""


@dataclass(frozen=True)
class Case:
    """A config and the data that it is tried on."""

    way: str
    tree: Tree
    data: Rows | Pictures

    def written(self, folder: Path) -> Tree:
        """The config, with the path of its data, which are written."""
        path = self.data.write(folder / "t")
        return merged(self.tree, {"data": {"path": str(path)}})


@st.composite
def cases(draw: st.DrawFn, way: str) -> Case:
    """A config of one of the ways, and data."""
    tree = merged(BASE, WAYS[way])
    if way in OUTPUTS and draw(chance(6)):
        tree["arch"] = draw(networks(OUTPUTS[way]))
    idle = IDLE if way in PICTURES else frozenset()
    for path, value in draw(changes(COLUMNS, idle)).items():
        group, _, name = path.partition(".")
        if name:
            tree[group] = tree.get(group, {}) | {name: value}
        else:
            tree[group] = value
    for group in ("arch", "noise", "task"):
        if draw(chance(2)):
            tree[group] = draw(more_options(group, tree[group]))
    return Case(way, tree, draw(pictures() if way in PICTURES else tables()))


@st.composite
def more_options(draw: st.DrawFn, group: str, tree: Tree) -> Tree:
    """A kind with one or two more of its options."""
    free = [option for option in options_of(registries()[group][tree["kind"]].options)
            if not (option.required or option.limits.path)]  # fmt: skip
    some = st.lists(st.sampled_from(free), min_size=1, max_size=2) if free else st.just([])
    return tree | {option.name: draw(values(option, COLUMNS)) for option in draw(some)}


@st.composite
def networks(draw: st.DrawFn, outputs: int) -> Tree:
    """Any layer or two of the registry, before one that has as many outputs as it takes."""
    inner = draw(st.lists(kinds(nn.registry, COLUMNS), min_size=1, max_size=2))
    last = [{"kind": "flatten"}, {"kind": "linear", "output_size": outputs}]
    return {"kind": "sequential", "layers": [*inner, *last]}


def merged(one: Tree, two: Tree) -> Tree:
    """Both, of groups the second's options over the first's."""
    found: dict[str, Any] = copy.deepcopy(one)
    for key, value in copy.deepcopy(two).items():
        both = isinstance(value, dict) and isinstance(found.get(key), dict) and "kind" not in value
        found[key] = found[key] | value if both else value
    return found
