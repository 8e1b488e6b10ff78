"""Long memory: recall of an earlier input, and the adding problem.

python benchmarks/sequences.py [--tasks recall10 recall30 adding50] [--seeds 5] [--out <file>]

Recall: 4000 windows of independent standard normal inputs; the target is the input some steps
before the last. Adding (Hochreiter & Schmidhuber 1997): 4000 windows of 50 numbers from 0 to 1, two
of them marked; the target is the sum of these two. The network is one LSTM of which a linear unit
sees the last step alone, so that nothing but its states can bring the past there. Columns are
standardised, as `tagi train` does; the error is over 1000 fresh windows. As a control,
`recurrent: false` is pytagi's map of each step by itself, which cannot do better than chance.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import machine
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


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", type=Path, default=machine.RESULTS / "sequences.json")
    arguments = parser.parse_args()
    found = []
    for name in arguments.tasks:
        task = TASKS[name]
        runs = [fit(task, seed, arguments.epochs, True) for seed in range(arguments.seeds)]
        control = fit(task, 0, arguments.epochs, False)["rmse"]
        errors = sorted(run["rmse"] for run in runs)
        print(
            f"{name}: RMSE {errors[len(errors) // 2]:.4f} ({errors[0]:.4f} to {errors[-1]:.4f}), "
            f"chance {task.chance:.3f}, goal {task.goal}, without recurrence {control:.3f}, "
            f"{sum(run['seconds'] for run in runs) / len(runs):.1f} s",
            flush=True,
        )
        settings = {k: v for k, v in asdict(task).items() if k != "draw"}
        found.append({**settings, "runs": runs, "control": control})
    result = {
        "environment": machine.environment(),
        "kernels": select().describe(),
        "epochs": arguments.epochs,
        "tasks": found,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
