"""Throughput of one rank and of several that share batches, in turns.

python benchmarks/ranks.py [--ranks 2] [--rounds 7] [--save <file>]

A network 784-128-128-11 on 60,000 rows, 256 rows per rank and step, one thread per rank. mpi4py and
the mpiexec beside it are needed. Results go to results/ranks.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from tagi_cli import nn
from tagi_cli.backend import select
from tagi_cli.distributed import Communicator, connect
from tagi_cli.training.learner import Learner
from tagi_cli.training.noise import registry

SIZES = (784, 128, 128, 11)
ROWS, PER_RANK = 60_000, 256
SECONDS = 1.5
"""That a sample should last, about."""


def layer(units: int) -> nn.Layer:
    hidden = [step for width in SIZES[1:-1] for step in (nn.Linear(0, width), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(0, units))


class Timed:
    """A function, and the seconds spent in it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.seconds = 0.0

    def __call__(self, *arguments: Any) -> Any:
        begun = time.perf_counter()
        result = self.function(*arguments)
        self.seconds += time.perf_counter() - begun
        return result


def sample(ranks: Communicator) -> dict[str, float]:
    """Rows per second of these ranks, milliseconds per step, and the all-reduce's part of it."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, SIZES[0])).astype(np.float32)
    y = rng.normal(size=(ROWS, SIZES[-1])).astype(np.float32)
    kind = registry["constant"]
    batch = PER_RANK * ranks.size
    reduce = ranks.all_reduce = Timed(ranks.all_reduce)  # type: ignore[assignment,method-assign]
    backend = select()  # first, as only libraries that are loaded are limited
    with threadpool_limits(1):
        learner = Learner(
            layer, (SIZES[0],), SIZES[-1], noise=(kind, kind.options()), update_rule="capped",
            cap=None, batch_size=batch, rng=rng, backend=backend, ranks=ranks,
        )  # fmt: skip
        learner.bind(x, y)
        order = rng.permutation(ROWS // batch * batch)
        learner.train(order, 0, 20 * batch)
        ranks.barrier()
        steps, reduce.seconds, begun = 0, 0.0, time.perf_counter()
        while ranks.share(time.perf_counter() - begun < SECONDS):
            learner.train(order, 0, 40 * batch)
            steps += 40
        seconds = time.perf_counter() - begun
    return {
        "rows_per_second": steps * batch / seconds,
        "step_ms": 1000 * seconds / steps,
        "all_reduce_ms": 1000 * reduce.seconds / steps if ranks.size > 1 else 0.0,
    }


def measured(ranks: int) -> dict[str, float]:
    """One sample in processes of their own, as rank 0 sees it."""
    command = [sys.executable, __file__, "--sample"]
    if ranks > 1:
        launcher = Path(sys.executable).with_name("mpiexec")
        command = [str(launcher), "-n", str(ranks), *command]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sample", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--save", type=Path, help="default: results/ranks.json")
    options = parser.parse_args()
    if options.sample:
        ranks = connect("auto")
        found = sample(ranks)
        if ranks.leads:
            print(json.dumps(found))
        return
    from machine import RESULTS, environment
    from results import write

    rounds, ratios = [], []
    for _ in range(options.rounds):
        load = os.getloadavg()[0]
        alone, together = measured(1), measured(options.ranks)
        ratio = together["rows_per_second"] / alone["rows_per_second"]
        ratios.append(ratio)
        rounds.append({"load": load, "alone": alone, "together": together, "ratio": ratio})
        share = together["all_reduce_ms"] / together["step_ms"]
        print(
            f"load {load:.1f}: {alone['rows_per_second']:,.0f} rows/s alone, "
            f"{together['rows_per_second']:,.0f} on {options.ranks} ranks, ratio {ratio:.2f}, "
            f"steps of {together['step_ms']:.2f} ms, all-reduce {share:.0%}",
            flush=True,
        )
    print(f"median ratio {statistics.median(ratios):.2f}, best {max(ratios):.2f}")
    result = {"environment": environment(), "ranks": options.ranks, "rounds": rounds}
    write(options.save or RESULTS / "ranks.json", result)


if __name__ == "__main__":
    main()
