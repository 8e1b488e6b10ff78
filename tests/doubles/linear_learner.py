"""A small exact learner for tests of what goes on around it: Bayesian linear regression."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.training.checkpoint_folder import CheckpointFolder
from tagi_cli.training.events import Observer
from tagi_cli.training.interface import NumericalError, Prediction, Scores
from tagi_cli.training.options import CheckpointOptions, EarlyStoppingOptions, TrainerOptions
from tagi_cli.training.sampling import Sampler
from tagi_cli.training.seeds import Seeds
from tagi_cli.training.task import RegressionTask
from tagi_cli.training.trainer import Trainer

Array = NDArray[Any]


@dataclass
class Rows:
    """Inputs `(n, d)` and targets `(n, 1)`, which are in units of 2 about 10."""

    x: Array
    y: Array
    center: Array = field(default_factory=lambda: np.array([[10.0]]))
    scale: Array = field(default_factory=lambda: np.array([[2.0]]))
    index: Array | None = None

    def __len__(self) -> int:
        return len(self.x)


@dataclass
class Dataset:
    """Rows of a noisy line, cut in three."""

    train: Rows
    valid: Rows

    def merged(self) -> Rows:
        both = (self.train, self.valid)
        places = None
        if self.train.index is not None:
            places = np.concatenate([p.index for p in both])
        x, y = (np.concatenate([getattr(p, name) for p in both]) for name in "xy")
        return Rows(x, y, self.train.center, self.train.scale, places)


def dataset(train: int = 37, valid: int = 11, noise: float = 0.5, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(train + valid, 2))
    y = x @ [[1.0], [-0.5]] + noise * rng.normal(size=(train + valid, 1))
    return Dataset(Rows(x[:train], y[:train]), Rows(x[train:], y[train:]))


@dataclass
class LinearLearner:
    """Weights with a Gaussian prior about random means, known noise that shrinks by epoch.

    Epochs count rows again, so the posterior narrows and the validation NLL has a minimum.
    """

    rng: np.random.Generator
    batch_size: int = 4
    before_rows: Callable[[LinearLearner, int], None] | None = None
    calls: list[tuple[int, int]] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.mean = self.rng.normal(size=2)
        self.cov = np.eye(2)
        self.var_noise = 1.0
        self.sums = np.zeros(3)
        self.learnt = 0

    @property
    def tracks(self) -> bool:
        return False

    def bind(self, x: Array, y: Array, index: Array | None = None) -> None:
        self.x, self.y = x, y[:, 0]

    def start_epoch(self, epoch: int, scores: Scores | None = None) -> None:
        self.epochs.append(epoch)
        self.var_noise = 0.05 + 0.8**epoch
        self.sums = np.zeros(3)
        if scores is not None:
            self.sums = np.array([scores[name][0] for name in ("count", "nll_sum", "se_sum")])

    def train(self, order: Array, begin: int, end: int, follows: Array | None = None) -> None:
        self.calls.append((begin, end))
        for first in range(begin, end, self.batch_size):
            if self.before_rows is not None:
                self.before_rows(self, first)
            self._learn(order[first : min(first + self.batch_size, end)])

    def _learn(self, rows: Array) -> None:
        x, y = self.x[rows], self.y[rows]
        x, y = x[~np.isnan(y)], y[~np.isnan(y)]
        error = y - x @ self.mean
        var = np.einsum("bi,ij,bj->b", x, self.cov, x) + self.var_noise
        nll = 0.5 * (error**2 / var + np.log(2 * np.pi * var))
        self.sums += [len(y), nll.sum(), (error**2).sum()]
        gain = np.linalg.solve(x @ self.cov @ x.T + self.var_noise * np.eye(len(y)), x @ self.cov).T
        self.mean = self.mean + gain @ error
        self.cov = self.cov - gain @ x @ self.cov
        self.learnt += len(rows)

    def scores(self) -> Scores:
        return dict(
            zip(("count", "nll_sum", "se_sum"), self.sums.reshape(3, 1).copy(), strict=True)
        )

    def predict(self, x: Array) -> Prediction:
        mu = (x @ self.mean)[:, None]
        var = np.einsum("bi,ij,bj->b", x, self.cov, x)[:, None]
        return Prediction(mu, var, np.full_like(mu, self.var_noise))

    def state_dict(self) -> dict[str, Array]:
        return {
            "line.mu": self.mean.copy(),
            "line.cov": self.cov.copy(),
            "noise.var": np.array(self.var_noise),
            "learnt": np.array(self.learnt),
        }

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        if state["line.mu"].shape != (2,):
            raise ValueError(f"line.mu has shape {state['line.mu'].shape}, expected (2,)")
        self.mean, self.cov = state["line.mu"].copy(), state["line.cov"].copy()
        self.var_noise, self.learnt = float(state["noise.var"]), int(state["learnt"])

    def health(self) -> dict[str, Any]:
        return {"line": self.learnt}

    def check_finite(self, epoch: int) -> None:
        if not np.isfinite(self.mean).all():
            raise NumericalError(f"layer 'line' is not finite in epoch {epoch}")


def interrupt(number: int = signal.SIGINT) -> None:
    """Send a signal to this process, as Ctrl-C does; Python handles it before going on."""
    os.kill(os.getpid(), number)


class FakeClock:
    """Seconds that pass by a fixed amount each time somebody looks."""

    def __init__(self, step: float = 0.0) -> None:
        self.now = 0.0
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


class Recorder:
    """An observer that keeps the events."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def notify(self, event: Any) -> None:
        self.events.append(event)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def trainer(
    data: Dataset | None = None,
    *,
    folder: Path | None = None,
    every: int = 1,
    csv: bool = False,
    clock: Callable[[], float] | None = None,
    before_rows: Callable[[LinearLearner, int], None] | None = None,
    made: list[LinearLearner] | None = None,
    observers: Sequence[Observer] = (),
    members: int = 2,
    shuffle: bool = True,
    seed: int = 5,
    batch_size: int = 4,
    mode: str = "independent",
    stride: int = 1,
    **options: Any,
) -> Trainer:
    """A trainer of `LinearLearner`s; each slice is one batch unless a `clock` says otherwise."""
    stopping = {name: options.pop(name) for name in ("enabled", "patience") if name in options}
    options = {"max_epochs": 12, **options}
    if stopping:
        options["early_stopping"] = EarlyStoppingOptions(**stopping)

    def make(member: int, rng: np.random.Generator) -> LinearLearner:
        learner = LinearLearner(rng, batch_size, before_rows)
        if made is not None:
            made.append(learner)
        return learner

    checkpoints = None
    if folder is not None:
        saving = CheckpointOptions(csv=csv, every=every)
        checkpoints = CheckpointFolder(folder, saving, {}, clock=lambda: 0.0)
    return Trainer(
        make,
        data or dataset(),
        RegressionTask(),
        TrainerOptions(**options),
        Seeds(seed),
        members=members,
        sampler=Sampler(batch_size, mode, shuffle, stride),
        observers=observers,
        checkpoints=checkpoints,
        clock=clock or FakeClock(1.0),
    )
