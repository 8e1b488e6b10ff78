"""The trainer on several ranks: the same decisions at the same places, one of them writes."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from linear_learner import Dataset, FakeClock, Rows
from thread_ranks import ThreadRanks, on_ranks

from tagi_cli import nn
from tagi_cli.backend import select
from tagi_cli.distributed import ALONE, Communicator
from tagi_cli.training import checkpoint
from tagi_cli.training.checkpoint_folder import LAST, CheckpointFolder
from tagi_cli.training.events import INTERRUPTED
from tagi_cli.training.learner import Learner
from tagi_cli.training.noise import registry
from tagi_cli.training.options import CheckpointOptions, EarlyStoppingOptions, TrainerOptions
from tagi_cli.training.sampling import Sampler
from tagi_cli.training.seeds import Seeds
from tagi_cli.training.task import RegressionTask
from tagi_cli.training.trainer import FitResult, Trainer

BATCH = 8


def data() -> Dataset:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 3))
    y = np.sin(x @ [[1.0], [0.5], [-1.0]]) + 0.3 * rng.normal(size=(90, 1))
    return Dataset(Rows(x[:61], y[:61]), Rows(x[61:], y[61:]))


def layer(units: int) -> nn.Layer:
    return nn.Sequential(nn.Linear(0, 9), nn.BatchNorm2d(), nn.ReLU(), nn.Linear(0, units))


def trainer(
    ranks: Communicator = ALONE, folder: Path | None = None, step: float = 1.0, **options: Any
) -> Trainer:
    """Ranks have clocks of different speed, so that none may decide by its own."""
    kind = registry["learned"]

    def make(member: int, rng: np.random.Generator) -> Learner:
        return Learner(
            layer, (3,), 1, noise=(kind, kind.options()), update_rule="information_capped",
            cap=None, batch_size=BATCH, rng=rng, backend=select(precision="float64"), ranks=ranks,
        )  # fmt: skip

    checkpoints = None
    if folder is not None:
        path = folder if ranks.leads else None
        clock = FakeClock(0.01 * (1 + ranks.rank))
        checkpoints = CheckpointFolder(path, CheckpointOptions(), {}, clock, ranks)
    stopping = EarlyStoppingOptions(patience=3)
    return Trainer(
        make,
        data(),
        RegressionTask(),
        TrainerOptions(**{"max_epochs": 9, "early_stopping": stopping, **options}),
        Seeds(1),
        members=2,
        sampler=Sampler(BATCH, "independent", True, 1),
        checkpoints=checkpoints,
        clock=FakeClock(step * (1 + ranks.rank)),
        ranks=ranks,
    )


def same(one: FitResult, other: FitResult, tolerance: float) -> None:
    assert (one.status, one.epochs, one.best_epoch) == (
        other.status,
        other.epochs,
        other.best_epoch,
    )
    for mine, theirs in zip(one.valid, other.valid, strict=True):
        np.testing.assert_allclose(theirs.mu, mine.mu, rtol=0, atol=tolerance)
        np.testing.assert_allclose(theirs.var_noise, mine.var_noise, rtol=tolerance)


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_train_as_one(size: int, tmp_path: Path) -> None:
    alone = trainer().fit()
    assert alone.refitted
    # The clocks would have ranks cut an epoch at different places.
    for found in on_ranks(size, lambda ranks: trainer(ranks, tmp_path, 0.004).fit()):
        same(alone, found, 1e-9)
    _, metadata = checkpoint.read(tmp_path / LAST, "training")
    assert metadata["training"]["stage"] == "done"


def test_a_time_limit_stops_all_at_the_same_place() -> None:
    found = on_ranks(2, lambda ranks: trainer(ranks, max_seconds=2000, max_epochs=500).fit())
    assert found[0].epochs == found[1].epochs
    assert 1 < found[0].epochs < 500
    same(found[0], found[1], 0)


def test_what_ranks_find_in_validation_is_what_the_first_finds() -> None:
    """Machines may differ in the last bit, by which one would stop and another go on."""

    def work(ranks: ThreadRanks) -> FitResult:
        class Task(RegressionTask):
            calls = 0

            def validate(self, rows: Any, predictions: Any) -> Any:
                self.calls += 1
                found = super().validate(rows, predictions)
                falling = self.calls if ranks.leads else -self.calls
                return found._replace(score=-float(falling))

        made = trainer(ranks, refit=False)
        made._task = Task()
        return made.fit()

    for found in on_ranks(2, work):
        assert (found.epochs, found.best_epoch) == (9, 9)


def test_ranks_save_at_the_same_epochs(tmp_path: Path) -> None:
    """The first passes over some, as writing takes it longer than an epoch."""

    def work(ranks: ThreadRanks) -> list[bool]:
        path, clock = (tmp_path, FakeClock(1)) if ranks.leads else (None, FakeClock(0))
        folder = CheckpointFolder(path, CheckpointOptions(), {}, clock, ranks)
        due = []
        for epoch in range(1, 40):
            due.append(folder.is_due(epoch))
            if due[-1]:
                folder.save(({}, {}))
        return due

    first, second = on_ranks(2, work)
    assert first == second
    assert 0 < sum(first) < len(first)


def test_a_signal_to_one_rank_stops_all_and_another_number_goes_on(tmp_path: Path) -> None:
    """Interrupted in the middle of an epoch with two ranks, resumed with three and with one."""
    whole = trainer().fit()

    def interrupted(ranks: ThreadRanks) -> FitResult:
        made = trainer(ranks, tmp_path)
        slices = 0

        class Interrupting:
            def notify(self, event: Any) -> None:
                nonlocal slices
                slices += 1
                if slices == 60 and ranks.rank == 1:
                    made._interruption._handle(signal.SIGINT, None)

        made._observers = [Interrupting()]
        return made.fit()

    for found in on_ranks(2, interrupted):
        assert found.status == INTERRUPTED
    saved = checkpoint.read(tmp_path / LAST, "training")
    assert any(saved[1]["training"]["search"]["cursors"])

    def resumed(ranks: Communicator) -> FitResult:
        made = trainer(ranks)
        made.restore(*saved)
        return made.fit()

    same(whole, resumed(ALONE), 1e-9)
    for found in on_ranks(3, resumed):
        same(whole, found, 1e-9)
