"""Tasks of long memory: recall of an earlier input, and the adding problem.

Recall: 4000 windows of independent standard normal inputs; the target is the input some steps
before the last. Adding (Hochreiter & Schmidhuber 1997): 4000 windows of 50 numbers from 0 to 1, two
of them marked; the target is the sum of these two. The network is one LSTM of which a linear unit
sees the last step alone, so that nothing but its states can bring the past there. Columns are
standardised, as `tagi train` does; the error is over 1000 fresh windows. As a control,
`recurrent: false` is pytagi's map of each step by itself, which cannot do better than chance.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.backend import select
from tagi_cli.training import noise
from tagi_cli.training.learner import Learner

TRAIN, TEST = 4000, 1000
Windows = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Task:
    """A task, the settings it is trained with, and the error to reach.

    `chance` is the error of the best constant; errors are in the target's units.
    """

    name: str
    draw: Callable[[np.random.Generator, int], Windows]
    units: int
    forget_bias: float
    gain: float
    batch: int
    chance: float
    goal: float


def recall(lag: int) -> Callable[[np.random.Generator, int], Windows]:
    def draw(rng: np.random.Generator, n: int) -> Windows:
        x = rng.normal(size=(n, lag + 2, 1))
        return x, x[:, 1]

    return draw


def adding(T: int) -> Callable[[np.random.Generator, int], Windows]:
    def draw(rng: np.random.Generator, n: int) -> Windows:
        numbers, marks = rng.random((n, T)), np.zeros((n, T))
        row = np.arange(n)
        marks[row, rng.integers(0, T // 2, n)] = 1
        marks[row, rng.integers(T // 2, T, n)] = 1
        return np.stack([numbers, marks], axis=2), (numbers * marks).sum(axis=1, keepdims=True)

    return draw


TASKS = {
    task.name: task
    for task in (
        Task("recall10", recall(10), 16, 1.0, 1.0, 8, 1.0, 0.05),
        Task("recall30", recall(30), 32, 2.0, 1.0, 8, 1.0, 0.2),
        Task("recall60", recall(60), 32, 2.5, 1.0, 8, 1.0, 0.2),
        Task("adding50", adding(50), 32, 1.0, 1.0, 16, 6**-0.5, 0.07),
    )
}


def fit(task: Task, seed: int, epochs: int, recurrent: bool) -> dict[str, float]:
    """Train once; the error on fresh windows and the seconds it took."""
    rng = np.random.default_rng(seed)
    (x, y), (x_test, y_test) = task.draw(rng, TRAIN), task.draw(rng, TEST)
    middle, spread = x.mean((0, 1)), x.std((0, 1))
    y_mean, y_sd = y.mean(), y.std()
    _, T, I = x.shape

    def body(outputs: int) -> nn.Layer:
        return nn.Sequential(
            nn.LSTM(
                I, task.units, T, gain_weight=task.gain, gain_bias=task.gain, output="last",
                forget_bias=task.forget_bias, recurrent=recurrent,
            ),
            nn.Linear(task.units, outputs, gain_weight=task.gain, gain_bias=task.gain),
        )  # fmt: skip

    kind = noise.registry["learned"]
    learner = Learner(
        body, (T, I), 1, noise=(kind, kind.options()), update_rule="information_capped", cap=None,
        batch_size=task.batch, rng=rng, backend=select(),
    )  # fmt: skip
    learner.bind(
        ((x - middle) / spread).astype(np.float32), ((y - y_mean) / y_sd).astype(np.float32)
    )
    start = time.perf_counter()
    for epoch in range(epochs):
        learner.start_epoch(epoch)
        learner.train(rng.permutation(TRAIN).astype(np.int32), 0, TRAIN)
    seconds = time.perf_counter() - start
    prediction = learner.predict(((x_test - middle) / spread).astype(np.float32))
    mu = prediction.mu * y_sd + y_mean
    var = (prediction.var_epistemic + prediction.var_noise) * y_sd**2
    return {
        "rmse": float(np.sqrt(np.mean((mu - y_test) ** 2))),
        "coverage_90": float(np.mean(np.abs(mu - y_test) < 1.645 * np.sqrt(var))),
        "seconds": seconds,
    }


def measure(task: Task, seeds: int, epochs: int) -> dict[str, Any]:
    """The record of a task: its settings, a run for each seed, and the control's error."""
    settings = {key: value for key, value in asdict(task).items() if key not in ("draw", "name")}
    return {
        "kernels": select().describe(),
        "epochs": epochs,
        **settings,
        "runs": [fit(task, seed, epochs, True) for seed in range(seeds)],
        "control": fit(task, 0, epochs, False)["rmse"],
    }
