"""Series: forecasts of the presets as they are, and memory over many steps.

python benchmarks/series.py [--data <folder>] [--only m4_hourly recall10 ...] [--forecast-seeds 3]
                            [--memory-seeds 5] [--save <file>] [key=value ...]

Forecasts (forecast_sets.py). The folder holds `m4_hourly.csv.gz`, a long table (series, t, value)
of the 414 hourly series of the M4 competition, of which the last 48 hours are tested; and
`sine/train.csv`, `sine/test.csv`, the sine of pytagi's time series example. What is not there is
left out. Two sets are made:

- quarterly: 300 generated series of 30 to 130 quarters: trend and season, random walks, products;
- six_hours: 300 stretches of 30 to 130 sums over six hours of M4-hourly, a real series each.

Memory (memory_tasks.py): recall of an input 10, 30 and 60 steps earlier, the adding problem.

Overrides apply to forecasts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forecast_sets
import memory_tasks
from machine import environment
from results import add_save, destination, keep


def forecasts(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """The record of a set of series: measures for each seed."""
    found = []
    for seed in range(options.forecast_seeds):
        with tempfile.TemporaryDirectory() as scratch:
            source = forecast_sets.Source(
                options.data, options.series, seed, options.overrides, Path(scratch)
            )
            one = forecast_sets.SETS[name].measure(source)
        found.append(one)
        shown = {key: round(value, 4) for key, value in one.items() if not isinstance(value, dict)}
        print(f"{name}, seed {seed}: {shown}, {one.get('naive', {})}", flush=True)
    return {"runs": found}


def memory(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """The record of a task of memory."""
    task = memory_tasks.TASKS[name]
    record = memory_tasks.measure(task, options.memory_seeds, options.memory_epochs)
    errors = [run["rmse"] for run in record["runs"]]
    print(
        f"{name}: RMSE {statistics.median(errors):.4f} ({min(errors):.4f} to {max(errors):.4f}), "
        f"chance {task.chance:.3f}, goal {task.goal}, without recurrence {record['control']:.3f}",
        flush=True,
    )
    return record


PARTS: dict[str, tuple[str, Callable[[str, argparse.Namespace], dict[str, Any]]]] = {
    **dict.fromkeys(forecast_sets.SETS, ("forecasts", forecasts)),
    **dict.fromkeys(memory_tasks.TASKS, ("memory", memory)),
}
"""By what `--only` may name, its place in the results and how it is measured."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("SERIES_DATA", ".")),
        help="or $SERIES_DATA",
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="NAME")
    parser.add_argument("--series", type=int, default=300, help="of the sets that are made")
    parser.add_argument("--forecast-seeds", type=int, default=3)
    parser.add_argument("--memory-seeds", type=int, default=5)
    parser.add_argument("--memory-epochs", type=int, default=20)
    add_save(parser)
    parser.add_argument("overrides", nargs="*", default=[], metavar="key=value")
    options = parser.parse_intermixed_args()
    target = destination(parser, options, "series", free={"data", "only"})
    for name in options.only:
        place, measure = PARTS[name]
        if name in forecast_sets.SETS:
            needed = options.data / forecast_sets.SETS[name].needs
            if not needed.exists():
                print(f"{name}: left out, as there is no {needed}")
                continue
        before = os.getloadavg()[0]
        record = measure(name, options)
        found = {"environment": environment(), "load_average": [before, os.getloadavg()[0]]}
        keep(target, found | record, place, name)


if __name__ == "__main__":
    main()
