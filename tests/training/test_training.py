"""The trainer with real networks: it learns, and continues to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from linear_learner import Dataset, FakeClock, Rows, interrupt

from tagi_cli import arch
from tagi_cli.backend import select
from tagi_cli.training import checkpoint, noise
from tagi_cli.training.checkpoint_folder import CheckpointFolder
from tagi_cli.training.learner import Learner
from tagi_cli.training.options import CheckpointOptions, TrainerOptions
from tagi_cli.training.sampling import Sampler
from tagi_cli.training.seeds import Seeds
from tagi_cli.training.task import RegressionTask
from tagi_cli.training.trainer import Trainer


def wave(rows: int = 90) -> Dataset:
    """A sine with noise of standard deviation 0.1, two outputs, some targets missing."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, size=(rows, 1)).astype(np.float32)
    y = np.sin(2 * x) * [1, -1] + 0.1 * rng.normal(size=(rows, 2))
    y[rng.uniform(size=y.shape) < 0.1] = np.nan
    cut = rows * 4 // 5
    units = {"center": np.zeros((1, 2)), "scale": np.ones((1, 2))}
    return Dataset(Rows(x[:cut], y[:cut], **units), Rows(x[cut:], y[cut:], **units))


def trainer(kind: str, folder: Path | None = None, stop: int = 0, **options: Any) -> Trainer:
    slices = iter(range(1, 10**6))

    class Member(Learner):
        def train(self, *args: Any, **kwargs: Any) -> None:
            if next(slices) == stop:
                interrupt()
            super().train(*args, **kwargs)

    mlp, noises = arch.registry["mlp"], noise.registry[kind]
    network = mlp.options(width=16, depth=1)

    def make(member: int, rng: np.random.Generator) -> Learner:
        return Member(
            lambda units: mlp.build(network, (1,), units),
            (1,),
            2,
            noise=(noises, noises.options()),
            update_rule="information_capped",
            cap=None,
            batch_size=8,
            rng=rng,
            backend=select(kernels="numpy"),
        )

    return Trainer(
        make,
        wave(),
        RegressionTask(),
        TrainerOptions(**options),
        Seeds(0),
        members=2,
        sampler=Sampler(8),
        checkpoints=None if folder is None else CheckpointFolder(folder, CheckpointOptions(), {}),
        clock=FakeClock(1.0),
    )


def test_it_learns() -> None:
    run = trainer("learned", max_epochs=60)
    result = run.fit()
    x = np.linspace(-1.8, 1.8, 50, dtype=np.float32)[:, None]
    mean = np.mean([one.mu for one in run.predict(Rows(x, 0 * x))], axis=0)
    assert np.sqrt(np.mean((mean - np.sin(2 * x) * [1, -1]) ** 2)) < 0.1
    assert result.refitted


@pytest.mark.parametrize("kind", ["learned", "decay", "heteroscedastic"])
def test_resumed_to_the_bit(tmp_path: Path, kind: str) -> None:
    options = {"max_epochs": 3}
    whole = trainer(kind, **options)
    expected = whole.fit()
    # 18 slices per epoch of the search, 24 of the refit: in both, between members, within one.
    for stop in (5, 9, 31, 60, 70, 100):
        folder = tmp_path / str(stop)
        folder.mkdir()
        assert trainer(kind, folder, stop, **options).fit().status == "interrupted"
        run = trainer(kind, folder, **options)
        run.restore(*checkpoint.read(folder / "last.safetensors", "training"))
        result = run.fit()
        for row, other in zip(result.history, expected.history, strict=True):
            assert {**row, "seconds": 0} == {**other, "seconds": 0}
        part = wave().valid
        for found, law in zip(
            [*result.valid, *run.predict(part)],
            [*expected.valid, *whole.predict(part)],
            strict=True,
        ):
            for a, b in zip(found, law, strict=True):
                np.testing.assert_array_equal(a, b)
