"""Sets of series to forecast: M4-hourly, short series made of it, generated ones, one sine.

Each is `tagi train config=forecast/...` with nothing changed but the data and the seed, and what
overrides say; of the sine also `tagi eval` on its test file, one step ahead.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tagi_cli import data
from tagi_cli.cli.configuration import settings_from
from tagi_cli.experiment import run
from tagi_cli.experiment.evaluation import evaluate

KEPT = ("mase", "nd", "p90", "smape", "coverage_50", "coverage_90", "crps", "rmse", "nll")


@dataclass(frozen=True)
class Source:
    """Where series come from.

    Attributes:
        folder: of the files.
        count: of series in the sets that are made.
        seed: of what is drawn, and of the training.
        overrides: of the presets.
        scratch: a folder for tables and runs.
    """

    folder: Path
    count: int
    seed: int
    overrides: list[str]
    scratch: Path


@dataclass(frozen=True)
class Set:
    """A set of series, the file in the folder that it needs, and how it is measured."""

    name: str
    needs: str
    measure: Callable[[Source], dict[str, Any]]


def train(preset: str, path: Path, source: Source) -> tuple[Path, float]:
    """A run folder, and the seconds of everything."""
    start = time.perf_counter()
    arguments = [f"config=forecast/{preset}", f"data.path={path}", f"seed={source.seed}"]
    settings = settings_from([*arguments, "viz.enabled=false", *source.overrides])
    made = run.train(settings, "benchmark", source.scratch)
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


def quarterly(source: Source) -> list[np.ndarray]:
    """Series of 30 to 130 quarters, of four kinds in turn."""
    rng = np.random.default_rng(source.seed)
    found = []
    for number in range(source.count):
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


def six_hours(source: Source) -> list[np.ndarray]:
    """Stretches of sums over six hours of M4-hourly."""
    rng = np.random.default_rng(source.seed)
    table = data.read_table(source.folder / M4)
    names, values = table["series"], table["value"]
    found = []
    for name in list(dict.fromkeys(names.tolist()))[: source.count]:
        x = values[names == name]
        sums = x[len(x) % 6 :].reshape(-1, 6).sum(axis=1)
        length = int(rng.integers(30, min(130, len(sums)) + 1))
        begin = int(rng.integers(0, len(sums) - length + 1))
        found.append(sums[begin : begin + length])
    return found


def short(maker: Callable[[Source], list[np.ndarray]]) -> Callable[[Source], dict[str, Any]]:
    """Measures of one network for all series that are made."""

    def measure(source: Source) -> dict[str, Any]:
        path = write_long(source.scratch / "series.csv", maker(source))
        return of_run(*train("global", path, source))

    return measure


def m4_hourly(source: Source) -> dict[str, Any]:
    return of_run(*train("m4_hourly", source.folder / M4, source))


def sine(source: Source) -> dict[str, Any]:
    made, seconds = train("sine", source.folder / "sine" / "train.csv", source)
    test = evaluate(made, data_path=str(source.folder / "sine" / "test.csv")).metrics
    return {"rmse": test["rmse"], "nll": test["nll"], "seconds": seconds}


M4 = "m4_hourly.csv.gz"

SETS = {
    one.name: one
    for one in (
        Set("sine", "sine/train.csv", sine),
        Set("quarterly", ".", short(quarterly)),
        Set("six_hours", M4, short(six_hours)),
        Set("m4_hourly", M4, m4_hourly),
    )
}
