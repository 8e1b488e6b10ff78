"""Memory: what steps of a network and whole runs allocate, beside what `tagi show` says."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagi_cli import data
from tagi_cli.backend import select
from tagi_cli.experiment.members import MakeMember
from tagi_cli.experiment.run import train
from tagi_cli.experiment.settings import Settings
from tagi_cli.experiment.summary import summarise

Make = Callable[..., Settings]

# Parameters weigh most in the first, activations in the others.
NETWORKS: dict[str, list[dict[str, Any] | str]] = {
    "dense": [
        {"kind": "linear", "output_size": 400},
        "mixture_relu",
        {"kind": "linear", "output_size": 500},
        "mixture_relu",
    ],
    "convolution": [
        {"kind": "linear", "output_size": 400},
        {"kind": "reshape", "shape": [1, 20, 20]},
        {"kind": "conv2d", "out_channels": 16, "kernel_size": 3},
        {"kind": "batch_norm2d"},
        "relu",
        {"kind": "avg_pool2d", "kernel_size": 2, "stride": 2},
    ],
    "recurrent": [
        {"kind": "reshape", "shape": [3, 1]},
        {"kind": "lstm", "output_size": 60},
        {"kind": "linear", "output_size": 300},
    ],
}


@pytest.mark.parametrize("network", NETWORKS)
def test_steps_take_the_memory_that_is_shown(make_settings: Make, network: str) -> None:
    """From the drawing of the first weight on, at most 1.3 times as much, and not much less."""
    layers = [*NETWORKS[network], {"kind": "linear", "output_size": 1}]
    settings = make_settings(**{"arch": {"kind": "sequential", "layers": layers}})
    dataset, backend = data.load(settings.data), select()
    shown = summarise(settings, dataset.encoder, backend)
    rows = np.arange(len(dataset.train) // 16 * 16)  # whole batches: another size takes its own

    def learn() -> None:
        learner = MakeMember(settings, dataset.encoder, backend)(0, np.random.default_rng(0))
        learner.bind(dataset.train.x, dataset.train.y)
        learner.start_epoch(0)
        learner.train(rows, 0, len(rows))

    learn()  # loads kernels
    tracemalloc.start()
    try:
        learn()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.9 < peak * shown.members / (shown.parameter_bytes + shown.activation_bytes) < 1.3


@pytest.mark.parametrize("network", ["dense", "convolution"])
@pytest.mark.usefixtures("no_drawing")
@pytest.mark.parametrize("epochs", [1, 3])
def test_a_run_takes_the_memory_that_is_shown(
    make_settings: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    network: str,
    epochs: int,
) -> None:
    """At most 1.3 times as much, refit and saving included, and not much less."""
    monkeypatch.chdir(tmp_path)
    layers = [*NETWORKS[network], {"kind": "linear", "output_size": 1}]
    arch = {"kind": "sequential", "layers": layers}
    settings = make_settings(**{"arch": arch, "trainer.max_epochs": epochs})
    shown = summarise(settings, data.load(settings.data).encoder, select())
    train(settings, ["tagi", "train"])  # loads kernels, and what draws the report
    tracemalloc.start()
    try:
        train(settings, ["tagi", "train"])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.6 < peak / shown.run_bytes < 1.3
