"""The trainer with networks that carry states along series."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from linear_learner import FakeClock, dataset, interrupt
from linear_learner import trainer as linear_trainer

from tagi_cli import nn
from tagi_cli.backend import select
from tagi_cli.data import Windows
from tagi_cli.errors import UserError
from tagi_cli.training import checkpoint, noise
from tagi_cli.training.checkpoint_folder import CheckpointFolder
from tagi_cli.training.learner import Learner
from tagi_cli.training.options import CheckpointOptions, TrainerOptions
from tagi_cli.training.sampling import Sampler
from tagi_cli.training.seeds import Seeds
from tagi_cli.training.task import RegressionTask
from tagi_cli.training.trainer import Trainer

DELAY = 1


@dataclass
class Part:
    """Windows of one row: the target is the input of the row before."""

    x: Windows
    y: Windows
    index: np.ndarray
    center: np.ndarray
    scale: np.ndarray

    def __len__(self) -> int:
        return len(self.x)


@dataclass
class Dataset:
    """Series of bits, each cut in three parts."""

    train: Part
    valid: Part
    test: Part

    def merged(self) -> Part:
        a, b = self.train, self.valid
        x, y = a.x.followed_by(b.x), a.y.followed_by(b.y)
        return Part(x, y, np.concatenate([a.index, b.index]), a.center, a.scale)


def bits(series: int = 2, rows: int = 300) -> Dataset:
    rng = np.random.default_rng(0)
    values = rng.choice([-1.0, 1.0], size=(series, rows + DELAY))
    inputs, targets = values[:, DELAY:].reshape(-1, 1), values[:, :-DELAY].reshape(-1, 1)
    places = [(s, 0, t) for s in range(series) for t in range(rows)]
    index, starts = np.array(places, np.int64), np.arange(series * rows)

    def part(begin: float, end: float) -> Part:
        share = index[:, 2] / rows
        where = (begin <= share) & (share < end)
        x, y = (Windows(v, starts, 1)[where] for v in (inputs, targets))
        return Part(x, y, index[where], np.zeros((1, 1)), np.ones((1, 1)))

    return Dataset(part(0, 0.8), part(0.8, 0.9), part(0.9, 1))


def trainer(
    data: Dataset,
    folder: Path | None = None,
    *,
    stop: int = 0,
    sampler: Sampler | None = None,
    tracking: bool = True,
    **options: Any,
) -> Trainer:
    slices = iter(range(1, 10**6))

    class Member(Learner):
        def train(self, *args: Any, **kwargs: Any) -> None:
            if next(slices) == stop:
                interrupt()
            super().train(*args, **kwargs)

    sampler = sampler or Sampler(2, "sliding-window")
    kind = noise.registry["constant"]

    def make(member: int, rng: np.random.Generator) -> Learner:
        def layers(units: int) -> nn.Layer:
            cell = nn.LSTM(1, 16, 1, tracking=tracking)
            return nn.Sequential(cell, nn.Linear(0, units))

        return Member(
            layers,
            (1, 1),
            1,
            noise=(kind, kind.options(sigma_v=0.3)),
            update_rule="information_capped",
            cap=None,
            batch_size=sampler.batch_size,
            rng=rng,
            backend=select(precision="float64"),
            stride=sampler.stride,
        )

    return Trainer(
        make,
        data,
        RegressionTask(),
        TrainerOptions(**options),
        Seeds(0),
        members=1,
        sampler=sampler,
        checkpoints=None if folder is None else CheckpointFolder(folder, CheckpointOptions(), {}),
        clock=FakeClock(1.0),
    )


def error(run: Trainer, part: Part) -> float:
    targets = np.asarray(part.y)[:, :, 0]
    return float(np.sqrt(np.mean((run.predict(part)[0].mu - targets) ** 2)))


def test_what_was_seen_before_the_window_is_recalled() -> None:
    """Windows hold one row; the target is the one before. Without states there is no telling."""
    data = bits(rows=600)
    options = {"max_epochs": 20, "sampler": Sampler(4, "sliding-window")}
    run, without = (trainer(data, tracking=tracking, **options) for tracking in (True, False))
    assert run.fit().refitted
    without.fit()
    assert error(run, data.test) < 0.3
    assert error(without, data.test) > 0.9
    # The first rows of the test part need what lies before it.
    first = data.test.index[:, 2] == data.test.index[:, 2].min()
    scalers = np.zeros((1, 1)), np.ones((1, 1))
    part = Part(data.test.x[first], data.test.y[first], data.test.index[first], *scalers)
    assert error(run, part) < 0.3


@pytest.mark.parametrize("mode", ["sliding-window", "inference"])
def test_resumed_to_the_bit(tmp_path: Path, mode: str) -> None:
    """Carried states are in the checkpoint, in the middle of an epoch, too."""
    data, options = bits(rows=40), {"max_epochs": 3, "sampler": Sampler(4, mode, stride=2)}
    whole = trainer(data, **options)
    expected = whole.fit()
    stops = 0
    for stop in range(2, 200, 11):
        folder = tmp_path / str(stop)
        folder.mkdir()
        if trainer(data, folder, stop=stop, **options).fit().status == "completed":
            break
        run = trainer(data, folder, **options)
        run.restore(*checkpoint.read(folder / "last.safetensors", "training"))
        result = run.fit()
        for row, other in zip(result.history, expected.history, strict=True):
            assert {**row, "seconds": 0} == {**other, "seconds": 0}
        for part in (data.valid, data.test):
            for found, law in zip(run.predict(part), whole.predict(part), strict=True):
                for a, b in zip(found, law, strict=True):
                    np.testing.assert_array_equal(a, b)
        stops += 1
    assert stops > 2


def test_the_best_epoch_predicts_the_same_again() -> None:
    """Validation after the search starts from the states that the best epoch left."""
    data = bits(rows=100)
    result = trainer(data, max_epochs=4, refit=False).fit()
    task = RegressionTask()
    scored = task.validate(data.valid, list(result.valid)).metrics
    best = next(row for row in result.history if row["epoch"] == result.best_epoch)
    assert scored["nll"] == best["valid_nll"]


def test_rows_in_any_order_are_refused() -> None:
    data = bits(rows=40)
    with pytest.raises(UserError, match=r"data\.batch_sampling_mode: independent puts rows in any"):
        trainer(data, sampler=Sampler(2)).fit()
    data.train.index = None  # type: ignore[assignment]
    with pytest.raises(UserError, match="this is a plain table"):
        trainer(data).fit()


def test_epochs_of_other_sizes(tmp_path: Path) -> None:
    """With a stride an epoch has as many rows as the phases drawn; it is resumed the same."""
    data = dataset()
    place = np.arange(48)
    index = np.stack([place % 5, 0 * place, place // 5], axis=1)
    data.train.index, data.valid.index = index[:37], index[37:]
    options = {"mode": "sliding-window", "stride": 3, "max_epochs": 5}
    made: list[Any] = []
    whole = linear_trainer(data, made=made, **options)
    expected = whole.fit()
    sizes = [end for begin, end in made[0].calls]
    ends = {b for b, a in zip(sizes, [*sizes[1:], 0], strict=True) if a <= b}
    assert len(ends) > 1
    assert max(ends) < 37
    for stop in (3, 8, 20, 33):
        calls = iter(range(1, 1000))

        def before_rows(*_: Any, calls: Any = calls, stop: int = stop) -> None:
            if next(calls) == stop:
                interrupt()

        folder = tmp_path / str(stop)
        folder.mkdir()
        linear_trainer(data, folder=folder, before_rows=before_rows, **options).fit()
        run = linear_trainer(data, folder=folder, **options)
        run.restore(*checkpoint.read(folder / "last.safetensors", "training"))
        result = run.fit()
        assert [row["train_nll"] for row in result.history] == [
            row["train_nll"] for row in expected.history
        ]
