"""No option is without effect: changing any of them changes the outcome of a run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagi_cli import config
from tagi_cli.config.schema import arms, is_group, options_of
from tagi_cli.data.images.options import ImageOptions
from tagi_cli.experiment import run
from tagi_cli.experiment.settings import Settings, registries

from .conftest import merged

TINY: dict[str, Any] = {
    "task": "regression",
    "kernels": "numpy",
    "data": {"in_components": ["a", "b"], "out_components": ["y"], "batch_size": 8},
    "arch": {"kind": "mlp", "width": 4, "depth": 1},
    "noise": "auto",
    "trainer": {"max_epochs": 3},
    "ensemble": {"size": 1},
    "viz": {"enabled": False},
}

Changes = dict[str, Any]
GAL = {"data.split_method": "gal"}
LONG = {"trainer.max_epochs": 40, "trainer.early_stopping.patience": 2}
LABELS = {"data.out_components": ["b"], "data.in_components": ["a"]}
LAYERS = [{"kind": "linear", "output_size": 4}, "relu", {"kind": "linear", "output_size": 1}]
SLIDING = {
    "data.in_chunk": [-2, 0],
    "data.batch_sampling_mode": "sliding-window",
    "arch": {"kind": "lstm", "width": 3},
}
NODES = [{"name": "h", **LAYERS[0]}, {"name": "o", **LAYERS[2]}]  # type: ignore[dict-item]

# What an option is changed to, and beside what, if the rest is not as in TINY.
CHANGED: dict[str, tuple[Any, Changes]] = {
    "seed": (1, {}),
    "precision": ("float64", {}),
    "data.in_components": (["a"], {}),
    "data.out_components": (["z"], {}),
    "data.categorical": (["code"], {"data.in_components": ["a", "code"]}),
    "data.instance": ("code", {"data.in_components": [], "data.missing": "mean"}),
    "data.time": ("code", {}),
    "data.missing": ("drop", {"data.in_components": ["a", "gaps"], "data.missing": "mean"}),
    "data.limit": (40, {}),
    "data.split_column": ("part", {}),
    "data.split_method": ("gal", {}),
    "data.split_portions": ([0.6, 0.2, 0.2], {}),
    "data.split_index": (3, GAL),
    "data.split_seed": (1, {}),
    "data.valid_portion": (0.3, GAL),
    "data.scaling_method": ("zero-one", {}),
    "data.scaling_tag": ("in_only", {}),
    "data.batch_size": (4, {}),
    "data.shuffle_train": (False, {}),
    "data.slide_stride": (2, SLIDING),
    "arch.mlp.width": (5, {}),
    "arch.mlp.depth": (2, {}),
    "arch.mlp.activation": ("tanh", {}),
    "arch.mlp.bias": (False, {}),
    "arch.mlp.gain_weight": (0.5, {}),
    "arch.mlp.gain_bias": (0.5, {}),
    "arch.mlp.gain_mean": (0.5, {}),
    "arch.mlp.init_method": ("Xavier", {}),
    "arch.mlp.output_activation": ("tanh", {"data.scaling_method": "zero-one"}),
    "arch.sequential.layers": (LAYERS[2:], {"arch": {"kind": "sequential", "layers": LAYERS}}),
    "arch.graph.nodes": (NODES[1:], {"arch": {"kind": "graph", "nodes": NODES}}),
    "noise.auto.sigma_v": (0.5, {}),
    "noise.auto.sigma_v_min": (0.9, {}),
    "noise.learned.sigma_v": (0.5, {"noise": {"kind": "learned"}}),
    "noise.learned.sigma_v_min": (0.9, {"noise": {"kind": "learned"}}),
    "noise.constant.sigma_v": (0.5, {"noise": {"kind": "constant"}}),
    "noise.decay.sigma_v": (0.5, {"noise": {"kind": "decay"}}),
    "noise.decay.sigma_v_min": (0.99, {"noise": {"kind": "decay"}}),
    "noise.decay.decay": (0.5, {"noise": {"kind": "decay"}}),
    "task.classification.head": ("remax", {"task": {"kind": "classification"}, **LABELS}),
    "task.classification.class_weights": (
        "balanced",
        {"task": {"kind": "classification"}, **LABELS, "data.limit": 31},
    ),
    "trainer.max_epochs": (4, {}),
    "trainer.early_stopping.enabled": (False, LONG),
    "trainer.early_stopping.patience": (9, LONG),
    "trainer.early_stopping.min_delta": (9.0, LONG),
    "trainer.update_rule": ("site", {}),
    "trainer.calibrate": (False, {}),
    "trainer.cap": (20.0, {}),
    "trainer.refit": (False, {}),
    "trainer.online": (True, {}),
    "ensemble.size": (2, {}),
    "checkpoint.csv": (True, {}),
    "predictor.splits": (["train"], {}),
}

# Options that change something else than the outcome, and where that is tested.
ELSEWHERE = {
    "name": "tests/experiment/test_run.py",
    "metrics": "tests/test_plugins.py",
    "device": "tests/backend/test_select.py",
    "kernels": "tests/experiment/test_run_options.py",
    "data.path": "tests/data/test_dataset.py",
    "data.name": "tests/data/test_bundled.py",
    "trainer.max_seconds": "tests/training/test_resuming.py",
    "trainer.resume": "tests/experiment/test_resume.py",
    "trainer.parent": "tests/experiment/test_updating.py",
    "trainer.nan_policy": "tests/training/test_trainer.py",
    "trainer.threads": "tests/training/test_trainer.py",
    "checkpoint.every": "tests/training/test_checkpoint.py",
    "viz.enabled": "tests/experiment/test_run_options.py",
    "distributed.backend": "tests/distributed/test_connect.py",
    "distributed.sync_batchnorm": "tests/training/test_learner_ranks.py",
    "distributed.timeout": "tests/distributed/test_connect.py",
}


def names(cls: type, prefix: str = "") -> Iterator[str]:
    """`group.option`, and `group.kind.option`; those that belong to layers are tested there."""
    for option in options_of(cls):
        groups = [arm for arm in arms(option.type) if is_group(arm)]
        if not prefix and option.name in registries():
            for kind in registries()[option.name].values():
                yield from names(kind.options, f"{option.name}.{kind.name}.")
        elif not groups:
            yield f"{prefix}{option.name}"
        elif not groups[0].__module__.startswith("tagi_cli.nn"):
            yield from names(groups[0], f"{prefix}{option.name}.")


# Architectures of images.
ELSEWHERE |= {
    name: "tests/arch/test_images.py"
    for kind in ("cnn", "resnet18", "autoencoder")
    for name in names(registries()["arch"][kind].options, f"arch.{kind}.")
}

# Architectures of windows.
ELSEWHERE |= {
    name: "tests/arch/test_sequences.py"
    for kind in ("lstm", "slstm", "cnn1d", "tcn")
    for name in names(registries()["arch"][kind].options, f"arch.{kind}.")
}

ELSEWHERE |= dict.fromkeys(
    [
        "data.seed",
        *names(registries()["arch"]["latent_regression"].options, "arch.latent_regression."),
    ],
    "tests/experiment/test_latent.py",
)

ELSEWHERE |= {
    f"arch.latent_regression.subjects.{name}": "tests/experiment/test_latent_subjects.py"
    for name in ("share", "mode", "passes", "release", "map_from", "damage")
}

# What makes windows of series, and parts of dates, is tested where there are some.
ELSEWHERE |= {
    f"data.{name}": "tests/data/test_every_window_option.py"
    for name in (
        "time_delta",
        "time_covariates",
        "in_chunk",
        "out_chunk",
        "padding_method",
        "min_in_portion",
        "min_slice",
        "stride",
        "split_gap",
        "scaling_by",
        "reference",
        "batch_sampling_mode",
        "variable_sequence_length_limit",
    )
}
ELSEWHERE |= dict.fromkeys(names(ImageOptions, "data.image."), "tests/data/images/test_loading.py")
ELSEWHERE |= {
    f"forecast.{name}": "tests/experiment/test_forecasting.py"
    for name in ("horizon", "season", "mode", "feedback", "samples")
}


ELSEWHERE |= {
    name: f"tests/experiment/trackers/test_{kind}.py"
    for kind in ("tensorboard", "mlflow", "wandb")
    for name in names(registries()["tracker"][kind].options, f"tracker.{kind}.")
}


def path_of(option: str) -> str:
    """`noise.decay.sigma_v` is set as `noise.sigma_v`."""
    group, _, rest = option.partition(".")
    return f"{group}.{rest.partition('.')[2]}" if group in registries() else option


@pytest.fixture(scope="module")
def wide_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 rows with a column for every role."""
    rng = np.random.default_rng(3)
    a, y = rng.normal(size=60), rng.normal(size=60)
    lines = [
        f"{a[i]},{'uv'[i % 2]},{a[i] if i % 7 else ''},{i * 7 % 5},"
        f"{('train', 'valid', 'test')[i % 3]},{y[i] + a[i]},{2 * y[i] - a[i]}"
        for i in range(60)
    ]
    path = tmp_path_factory.mktemp("wide") / "wide.csv"
    path.write_text("a,b,gaps,code,part,y,z\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def outcome(table: Path, folder: Path, changes: Changes) -> list[Any]:
    """The metrics of a run, and what it left behind."""
    tree = merged(TINY, {"data.path": str(table), **changes})
    if isinstance(tree["noise"], str):
        tree["noise"] = {"kind": tree["noise"]}
    made = run.train(config.check(Settings, registries(), tree), "tagi train", folder)
    summary = json.loads((made / "summary.json").read_text(encoding="utf-8"))
    files = sorted(str(path.relative_to(made)) for path in made.rglob("*"))
    return [summary["valid"], summary["test"], summary["epochs"], files]


@pytest.mark.parametrize("option", CHANGED)
def test_changing_it_changes_the_outcome(
    wide_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    # A hundred runs need not wait for the disk.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    value, beside = CHANGED[option]
    tree = {"noise": {"kind": "auto"}} | beside
    before = outcome(wide_table, tmp_path / "before", tree)
    after = outcome(wide_table, tmp_path / "after", tree | {path_of(option): value})
    assert before != after


def test_every_option_has_its_test() -> None:
    assert sorted(names(Settings)) == sorted([*CHANGED, *ELSEWHERE])
    root = Path(__file__).resolve().parents[2]
    for option, file in ELSEWHERE.items():
        assert option.rpartition(".")[2] in (root / file).read_text(encoding="utf-8"), option
