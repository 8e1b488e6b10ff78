"""Images: errors, calibration and seconds per epoch of the presets on MNIST.

python benchmarks/mnist.py --data <folder of the four files> [--only fnn cnn ...] [--seeds 0 1 2]
                           [--threads 1] [--save <file>] [--show] [key=value ...]

Each task is `tagi train` on all 60,000 training images for a fixed number of epochs, once per seed,
and is tested on the 10,000 test images:

- fnn: 784-128-128, softmax, batches of 64, after 3 and after 10 epochs (`mnist/fnn`);
- heads: the same network after 3 epochs with the other heads;
- cnn: 32c4-64c5-256, normalised, batches of 128, 5 epochs (`mnist/cnn`);
- small_cnn: 16c4-32c5-100, batches of 64, one epoch;
- autoencoder: 16 numbers per image, 10 epochs, beside as many principal components;
- large_batch: 784-128-128 in batches of 16 to 1024 by the capped update rules, 3 epochs.

Seconds per epoch are the median of those that the runs record; the load average says how busy the
machine was.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import environment
from published import MNIST
from results import add_save, destination, keep, kept

from tagi_cli.data.images.sources import read_parts

FIGURES = ("error_rate", "nll", "ece", "brier", "rmse")
FIXED = ("data.valid_portion=0", "trainer.early_stopping.enabled=false", "trainer.refit=false")
SMALL = (
    "arch.blocks=[{kind: conv, channels: 16, kernel: 4, padding: 1, pool: average, pool_kernel: 3,"
    " pool_stride: 2}, {kind: conv, channels: 32, kernel: 5, pool: average, pool_kernel: 3,"
    " pool_stride: 2}]"
)


@dataclass(frozen=True)
class Task:
    """What is trained: a preset, and what differs from it."""

    group: str
    name: str
    preset: str
    epochs: int
    overrides: tuple[str, ...] = ()

    @property
    def arguments(self) -> list[str]:
        """Those of `tagi train` that do not depend on seed and machine."""
        preset, epochs = f"config=mnist/{self.preset}", f"trainer.max_epochs={self.epochs}"
        return [preset, epochs, *FIXED, *self.overrides]


def _large_batch() -> list[Task]:
    return [
        Task(
            "large_batch",
            f"large_batch_{rule}_{size}",
            "fnn",
            3,
            (f"data.batch_size={size}", f"trainer.update_rule={rule}"),
        )
        for rule in ("information_capped", "capped")
        for size in (16, 64, 128, 512, 1024)
    ]


TASKS = [
    Task("fnn", "fnn_3", "fnn", 3),
    Task("fnn", "fnn_10", "fnn", 10),
    Task("heads", "head_hrc", "fnn", 3, ("task.head=hrc",)),
    Task("heads", "head_remax", "fnn_remax", 3),
    Task("heads", "head_closed_form", "fnn", 3, ("task.head=closed_form_softmax",)),
    Task("cnn", "cnn_5", "cnn", 5),
    Task("small_cnn", "small_cnn_1", "cnn", 1, (SMALL, "arch.units=[100]", "data.batch_size=64")),
    Task("autoencoder", "autoencoder_10", "autoencoder", 10),
    *_large_batch(),
]


def run(task: Task, seed: int, words: list[str]) -> dict[str, float]:
    """Train once, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "tagi_cli.cli.main", "train", *task.arguments, *words),
            *(f"seed={seed}", "viz.enabled=false", "predictor.splits=[]"),
        ]
        source = str(Path(__file__).parents[1])
        subprocess.run(
            command,
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": source},
        )
        (made,) = Path(folder).glob("outputs/*/*")
        test = json.loads((made / "summary.json").read_text())["test"]
        with (made / "metrics.csv").open(newline="") as file:
            ends = [float(line["seconds"]) for line in csv.DictReader(file)]
    seconds = float(np.median(np.diff([0.0, *ends])))
    return {k: test[k] for k in FIGURES if k in test} | {"seconds_per_epoch": seconds}


def principal_components(data: Path, count: int) -> float:
    """Root mean square error of the test pixels, of 255, from so many components of the others."""
    parts = read_parts(data)
    train, test = (
        np.asarray(parts[part].pixels, np.float64).reshape(len(parts[part]), -1)
        for part in ("train", "test")
    )
    center = train.mean(0)
    _, vectors = np.linalg.eigh(np.cov(train.T))
    basis = vectors[:, -count:]
    rest = test - center
    rest -= rest @ basis @ basis.T
    return float(np.sqrt(np.mean(rest**2)))


def measure(task: Task, seeds: list[int], data: Path, words: list[str]) -> dict[str, Any]:
    """The record of a task: figures per seed and their means, and where they were found."""
    before = os.getloadavg()[0]
    found = [run(task, seed, [f"data.path={data}", *words]) for seed in seeds]
    record: dict[str, Any] = {
        "environment": environment(),
        "load_average": [round(before, 2), round(os.getloadavg()[0], 2)],
        "arguments": [*task.arguments, *words],
        "seeds": seeds,
        "figures": {
            name: {"mean": float(np.mean(values)), "seeds": values}
            for name in found[0]
            for values in [[one[name] for one in found]]
        },
    }
    if task.group == "autoencoder":
        record["rmse_of_16_principal_components"] = principal_components(data, 16)
    return record


def show(name: str, record: dict[str, Any]) -> None:
    figures = record["figures"]
    print(f"{name}, seeds {record['seeds']}")
    for figure, values in figures.items():
        each = "  ".join(f"{value:.4g}" for value in values["seeds"])
        print(f"  {figure:<18}{values['mean']:>9.4g}   {each}")
    if "rmse_of_16_principal_components" in record:
        print(f"  {'rmse of PCA':<18}{record['rmse_of_16_principal_components']:>9.4g}")
    for label, result in MNIST.get(name, {}).items():
        print(f"  {label}: {result}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    groups = list(dict.fromkeys(task.group for task in TASKS))
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("MNIST_DATA"), help="or $MNIST_DATA"
    )
    parser.add_argument("--only", nargs="*", default=groups, choices=groups, metavar="GROUP")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    add_save(parser)
    parser.add_argument("--show", action="store_true", help="print the saved results and stop")
    parser.add_argument("overrides", nargs="*", default=[], metavar="key=value")
    options = parser.parse_intermixed_args()
    if options.show:
        for name, record in kept(options, "mnist")["tasks"].items():
            show(name, record)
        return
    if options.data is None:
        parser.error("--data: the folder of the four files, or set MNIST_DATA")
    data = Path(options.data).expanduser().absolute()
    words = [f"trainer.threads={options.threads}", *options.overrides]
    target = destination(parser, options, "mnist", free={"data", "only", "seeds", "threads"})
    for task in TASKS:
        if task.group not in options.only:
            continue
        record = measure(task, options.seeds, data, words)
        show(task.name, record)
        keep(target, record, "tasks", task.name)


if __name__ == "__main__":
    main()
