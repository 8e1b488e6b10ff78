"""Accuracy on the standard UCI splits: our defaults, and the settings of the TAGI paper.

python benchmarks/uci.py --data <folder of sets> [--sets yacht energy] [--splits 20]
                         [--save <file>] [--show] [key=value ...]

Each set is a folder with `data.txt` (numbers, a row per line), `index_features.txt` and
`index_target.txt`. Every split is a job of one `tagi train -m`; the figures come from the run
folders. With pytagi installed, it is trained on the same rows. Overrides apply to both settings.
Signs of the differences between two of these, split by split, are tested. Results of whole sets
take their places in results/uci.json; trials with overrides or fewer splits go to --save alone.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import peer
from machine import environment
from published import PUBLISHED, SIGMA_V, SOURCES
from results import add_save, destination, keep, kept
from scipy.stats import binomtest

from tagi_cli.training.metrics import regression_metrics

FIGURES = ("rmse", "nll", "crps", "coverage_90", "coverage_95", "seconds")
TESTED = ("nll", "rmse", "crps")
PAIRS = (("defaults", "pytagi"), ("defaults", "paper"), ("paper", "pytagi"))


@dataclass(frozen=True)
class Table:
    """One UCI set: `x (n, inputs)` and `y (n,)` in original units."""

    name: str
    x: np.ndarray
    y: np.ndarray

    @property
    def width(self) -> int:
        """Hidden units of the published networks."""
        return 100 if self.name.startswith("protein") else 50

    @property
    def splits(self) -> int:
        """How many standard splits the set has."""
        return 5 if self.name.startswith("protein") else 20


def read(folder: Path) -> Table:
    rows = np.loadtxt(folder / "data.txt")
    features = np.loadtxt(folder / "index_features.txt").astype(int)
    target = int(np.loadtxt(folder / "index_target.txt"))
    return Table(folder.name, rows[:, features], rows[:, target])


def paper(table: Table) -> list[str]:
    """The paper's settings at batch size 10: hand-set noise, the prior of `peer.prior`.

    The prior of the output bias and the spread of the biases' means are those of our initialiser.
    """
    return [
        f"arch.width={table.width}",
        "arch.depth=1",
        "arch.activation=relu",
        "arch.gain_weight=0.5",
        f"arch.gain_bias={0.1 * table.x.shape[1] ** 0.5:.4f}",
        "arch.gain_mean=0.5",
        "noise=constant",
        f"noise.sigma_v={SIGMA_V[table.name]}",
        "ensemble.size=1",
        "data.batch_size=10",
        "data.valid_portion=0",
        "trainer.max_epochs=40",
        "trainer.early_stopping.enabled=false",
        "trainer.refit=false",
        "trainer.update_rule=capped",
    ]


def run_tagi(
    table: Table, splits: int, overrides: list[str], folder: Path
) -> tuple[list[dict[str, float]], list[np.ndarray], float]:
    """Train on every split in one sweep; figures and test rows of each, and seconds of all."""
    source = folder / f"{table.name}.csv"
    with source.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"x{i}" for i in range(table.x.shape[1])), "y"])
        for x, y in zip(table.x.tolist(), table.y.tolist(), strict=True):
            writer.writerow([*map(repr, x), repr(y)])
    command = [
        *(sys.executable, "-m", "tagi_cli.cli.main", "train", "-m"),
        f"data.path={source}",
        "data.out_components=y",
        "data.split_method=gal",
        f"data.split_index={','.join(map(str, range(splits)))}",
        "seed=${data.split_index}",
        *overrides,
    ]
    begin = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - begin
    (sweep,) = (folder / "outputs").glob("*/*/sweep.csv")
    figures, rows = [], []
    with sweep.open(newline="") as file:
        runs = [sweep.parent / line["run"] for line in csv.DictReader(file)]
    for run in runs:
        summary = json.loads((run / "summary.json").read_text())
        figures.append(summary["test"] | {"seconds": summary["seconds"]})
        with (run / "predictions" / "test.csv").open(newline="") as file:
            rows.append(np.array([int(line["row"]) for line in csv.DictReader(file)]))
    return figures, rows, seconds


def run_peer(table: Table, tests: list[np.ndarray]) -> list[dict[str, float]]:
    """Train pytagi with the paper's settings on the complement of each set of test rows."""
    figures = []
    for seed, test in enumerate(tests):
        train = np.setdiff1d(np.arange(len(table.y)), test)
        mu, var, seconds = peer.train(
            table.x[train],
            table.y[train],
            table.x[test],
            width=table.width,
            sigma_v=SIGMA_V[table.name],
            seed=seed,
        )
        figures.append(
            regression_metrics(table.y[test, None], mu[None, :, None], var[None, :, None], ("y",))
            | {"seconds": seconds}
        )
    return figures


def average(figures: list[dict[str, float]]) -> dict[str, Any]:
    """Mean and standard error over the splits, and the splits themselves, of each figure."""
    result: dict[str, Any] = {}
    for name in FIGURES:
        values = np.array([split[name] for split in figures])
        error = values.std(ddof=1) / len(values) ** 0.5
        result[name] = {"mean": values.mean(), "se": error, "splits": values.tolist()}
    return result


def sign_test(one: dict[str, Any], other: dict[str, Any], figure: str) -> dict[str, float]:
    """On how many splits the one is better than the other, and the two-sided p of that by chance.

    Splits where both are equal do not count, as usual.
    """
    ours, theirs = (np.array(result[figure]["splits"]) for result in (one, other))
    wins, losses = int(np.sum(ours < theirs)), int(np.sum(ours > theirs))
    p = float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0
    return {"wins": wins, "losses": losses, "p": p}


def sign_tests(results: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """All pairs that there are results of, in all figures that are tested."""
    return [
        {"of": one, "against": other, "figure": figure}
        | sign_test(results[one], results[other], figure)
        for one, other in PAIRS
        if one in results and other in results
        for figure in TESTED
    ]


def show(name: str, record: dict[str, Any]) -> None:
    results = record["results"]
    print(f"\n{name:<26}{'RMSE':>16}{'log-likelihood':>18}{'CRPS':>9}{'cov 90':>8}{'s':>7}")
    for label, result in results.items():
        rmse, nll = result["rmse"], result["nll"]
        print(
            f"  {label:<24}{rmse['mean']:>9.4g}±{rmse['se']:<6.2g}"
            f"{-nll['mean']:>10.3f}±{nll['se']:<7.2g}{result['crps']['mean']:>9.4g}"
            f"{result['coverage_90']['mean']:>8.3f}{result['seconds']['mean']:>7.2f}"
        )
    for label, published in PUBLISHED.get(name, {}).items():
        shown = ["" if value is None else f"{value:.4g}" for value in published]
        print(f"  {label + ' (published)':<24}{shown[0]:>9}       {shown[1]:>10}")
    for test in record["sign_tests"]:
        print(
            f"  {test['of']} against {test['against']}, {test['figure']}: better on "
            f"{test['wins']} splits, worse on {test['losses']}, p = {test['p']:.2g}"
        )


def measure(
    table: Table, splits: int, settings: Iterable[str], overrides: list[str]
) -> dict[str, Any]:
    """The record of a set."""
    results: dict[str, dict[str, Any]] = {}
    tests: list[np.ndarray] = []
    before = os.getloadavg()[0]
    for label in settings:
        if label == "paper" and table.name not in SIGMA_V:
            print(f"{table.name}: left out with settings of the paper, which has no noise for it")
            continue
        chosen = (paper(table) if label == "paper" else []) + overrides
        with tempfile.TemporaryDirectory() as scratch:
            figures, tests, seconds = run_tagi(table, splits, chosen, Path(scratch))
        results[label] = average(figures) | {"overrides": chosen, "seconds_of_sweep": seconds}
    if peer.available() and table.name in SIGMA_V:
        results["pytagi"] = average(run_peer(table, tests))
    rows, inputs = table.x.shape
    return {
        "environment": environment(),
        "load_average": [before, os.getloadavg()[0]],
        "rows": rows,
        "inputs": inputs,
        "results": results,
        "sign_tests": sign_tests(results),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("UCI_DATA"), help="or $UCI_DATA"
    )
    parser.add_argument("--sets", nargs="*", help="names of folders; default: all")
    parser.add_argument("--splits", type=int, default=20, help="first splits only, at least 2")
    parser.add_argument(
        "--settings", nargs="*", default=["defaults", "paper"], choices=["defaults", "paper"]
    )
    add_save(parser)
    parser.add_argument("overrides", nargs="*", default=[], metavar="key=value")
    parser.add_argument("--show", action="store_true", help="print the saved results and stop")
    options = parser.parse_intermixed_args()
    if options.show:
        for name, record in kept(options, "uci")["sets"].items():
            show(name, record)
        return
    if options.splits < 2:
        parser.error(f"--splits {options.splits}: a standard error needs at least 2")
    if options.data is None:
        parser.error("--data: the folder of UCI sets, or set UCI_DATA")
    folders = sorted(path.parent for path in Path(options.data).glob("*/data.txt"))
    chosen = [f for f in folders if not options.sets or f.name in options.sets]
    if not chosen:
        parser.error(f"--data {options.data}: no set; found {[f.name for f in folders]}")
    if not peer.available():
        print("pytagi cannot be imported here, so it is left out; benchmarks/README.md says how.")
    target = destination(parser, options, "uci", free={"data", "sets"})
    for folder in chosen:
        table = read(folder)
        splits = min(options.splits, table.splits)
        record = measure(table, splits, options.settings, options.overrides)
        show(table.name, record)
        keep(target, record, "sets", table.name)
    print(
        "\nPublished: " + "; ".join(f"{name}: {source}" for name, source in SOURCES.items()) + "."
    )


if __name__ == "__main__":
    main()
