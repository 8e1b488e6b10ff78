"""Forecasts of the presets as they are: M4-hourly, short quarterly series, one sine.

python benchmarks/forecasting.py --data <folder> [--sets m4_hourly ...] [--seeds 3] [--out <file>]

The folder holds `m4_hourly.csv.gz`, a long table (series, t, value) of the 414 hourly series of the
M4 competition, of which the last 48 hours are tested; and `sine/train.csv`, `sine/test.csv`, the
sine of pytagi's time series example. What is not there is left out. Short series need no file:

- quarterly: 300 generated series of 30 to 130 quarters: trend and season, random walks, products;
- six_hours: 300 stretches of 30 to 130 sums over six hours of M4-hourly, a real series each.

Each is `tagi train config=forecast/...` with nothing changed but the data and the seed; of the sine
`tagi eval` on the test file, one step ahead.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine
import numpy as np

from tagi_cli import data
from tagi_cli.cli.configuration import settings_from
from tagi_cli.experiment import run
from tagi_cli.experiment.evaluation import evaluate

SERIES = 300
KEPT = ("mase", "nd", "p90", "smape", "coverage_50", "coverage_90", "crps", "rmse", "nll")


def train(preset: str, path: Path, seed: int, folder: Path) -> tuple[Path, float]:
    """A run folder, and the seconds of everything."""
    start = time.perf_counter()
    arguments = [f"config=forecast/{preset}", f"data.path={path}", f"seed={seed}"]
    made = run.train(settings_from([*arguments, "viz.enabled=false"]), "benchmark", folder)
    return made, time.perf_counter() - start


def of_run(made: Path, seconds: float) -> dict[str, Any]:
    """Measures of the test part, and of the naive forecast."""
    summary = json.loads((made / "summary.json").read_text(encoding="utf-8"))
    test = summary["test"]
    found = {key: test[key] for key in KEPT} | {"naive": test["baseline"]}
    return found | {"epochs": summary["epochs"], "seconds": seconds}


def write_long(path: Path, series: list[np.ndarray]) -> Path:
    """A table series, t, value."""
    lines = [f"S{i},{t},{v!r}" for i, x in enumerate(series) for t, v in enumerate(x.tolist())]
    path.write_text("\n".join(["series,t,value", *lines]) + "\n", encoding="utf-8")
    return path


def quarterly(rng: np.random.Generator) -> list[np.ndarray]:
    """Series of 30 to 130 quarters, of four kinds in turn."""
    found = []
    for number in range(SERIES):
        n = int(rng.integers(30, 131))
        t, level = np.arange(n), np.exp(rng.normal(6, 2))
        jitter = rng.uniform(0.02, 0.15)
        season = rng.normal(size=4)
        season = (season - season.mean()) * rng.uniform(0.05, 0.3)
        noise = rng.normal(size=n)
        walk = np.cumsum(noise)
        wave = season[t % 4]
        kind = number % 4
        if kind == 0:
            x = 3 + rng.normal(0, 0.01) * t + wave + jitter * noise
        elif kind == 1:
            x = 3 + jitter * walk
        elif kind == 2:
            x = np.exp(rng.normal(0.005, 0.01) * t + wave + jitter / 2 * walk)
        else:
            x = 3 + 0.3 * jitter * walk + wave * (1 + 0.5 * np.sin(t / 20))
        found.append(level * x)
    return found


def six_hours(path: Path, rng: np.random.Generator) -> list[np.ndarray]:
    """Stretches of sums over six hours."""
    table = data.read_table(path)
    names, values = table["series"], table["value"]
    found = []
    for name in list(dict.fromkeys(names.tolist()))[:SERIES]:
        x = values[names == name]
        sums = x[len(x) % 6 :].reshape(-1, 6).sum(axis=1)
        length = int(rng.integers(30, min(130, len(sums)) + 1))
        begin = int(rng.integers(0, len(sums) - length + 1))
        found.append(sums[begin : begin + length])
    return found


def measure(name: str, folder: Path, seed: int, scratch: Path) -> dict[str, Any]:
    """Train and score one set."""
    if name == "sine":
        made, seconds = train("sine", folder / "sine" / "train.csv", seed, scratch)
        test = evaluate(made, data_path=str(folder / "sine" / "test.csv")).metrics
        return {"rmse": test["rmse"], "nll": test["nll"], "seconds": seconds}
    if name == "m4_hourly":
        return of_run(*train("m4_hourly", folder / "m4_hourly.csv.gz", seed, scratch))
    makers: dict[str, Callable[[], list[np.ndarray]]] = {
        "quarterly": lambda: quarterly(np.random.default_rng(seed)),
        "six_hours": lambda: six_hours(folder / "m4_hourly.csv.gz", np.random.default_rng(seed)),
    }
    path = write_long(scratch / f"{name}_{seed}.csv", makers[name]())
    return of_run(*train("global", path, seed, scratch))


NEEDED = {
    "sine": "sine/train.csv",
    "quarterly": ".",
    "six_hours": "m4_hourly.csv.gz",
    "m4_hourly": "m4_hourly.csv.gz",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", choices=NEEDED, default=list(NEEDED))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=machine.RESULTS / "forecasting.json")
    arguments = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {}
    for name in arguments.sets:
        if not (arguments.data / NEEDED[name]).exists():
            print(f"{name}: left out, as there is no {NEEDED[name]} in {arguments.data}")
            continue
        found[name] = []
        for seed in range(arguments.seeds):
            with tempfile.TemporaryDirectory() as scratch:
                one = measure(name, arguments.data, seed, Path(scratch))
            found[name].append(one)
            shown = {k: round(v, 4) for k, v in one.items() if not isinstance(v, dict)}
            naive = one.get("naive", {}).get("mase")
            print(f"{name}, seed {seed}: {shown}, naive MASE {naive}", flush=True)
        result = {"environment": machine.environment(), "sets": found}
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
