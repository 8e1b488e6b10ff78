"""Time of a training step: ours and, where it is installed, pytagi's, interleaved in one run.

python benchmarks/speed.py [--parts workloads growth] [--workloads "13-50-1, B=10" ...]
                           [--rounds 15] [--save <file>] [--show]

`workloads` are measured side by side; `growth` is how time grows with width, batch, rows and depth.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import peer
import speed_tables
from cells import duration
from machine import environment
from results import add_save, destination, keep, kept
from workloads import (
    WORKLOADS,
    Steps,
    Workload,
    backends,
    cores,
    dense,
    epochs,
    product,
    step_flops,
    stepped,
)

from tagi_cli.backend import select

SAMPLE = 0.05
"""Seconds that a sample should last."""

BUDGET = 4.0
"""Seconds for all samples of one contestant, about; slow ones take the fewest rounds."""

PAUSE = 0.2
"""Seconds before a sample, for the threads of the contestant before to fall asleep: those of a BLAS
go on spinning for a while, and would take a core from whoever is next."""

FEWEST = 3
"""Rounds of samples."""


def contestants(workload: Workload) -> tuple[dict[str, Steps], list[str]]:
    """All that can step the workload here, and what cannot."""
    makers: dict[str, Callable[[], Steps]] = {
        name: partial(epochs, workload, backend) for name, backend in backends().items()
    }
    if workload.stepped:
        import tagi_cli.pytagi.nn as stand_in

        # Its threads are those of the whole process, so of all contestants of ours.
        makers["stepped"] = lambda: stepped(workload, stand_in, max(cores()))
    if peer.available():
        import pytagi.nn

        for threads in cores():
            makers[f"pytagi {threads}"] = partial(stepped, workload, pytagi.nn, threads)
    if workload.product:
        shape = workload.product
        makers["product"] = lambda: product(shape)
    made, missing = {}, []
    for name, make in makers.items():
        try:
            made[name] = make()
            made[name](2)
        except AttributeError as error:
            made.pop(name, None)
            missing.append(f"{workload.name}: {name} left out: {error}")
    return made, missing


def seconds_of(steps: Steps, count: int) -> float:
    begin = time.perf_counter()
    steps(count)
    return time.perf_counter() - begin


def interleave(made: dict[str, Steps], most: int) -> dict[str, dict[str, Any]]:
    """Seconds of a step of each, sampled in turns, `most` at the most."""
    counts, rounds = {}, {}
    for name, steps in made.items():
        once = max(seconds_of(steps, 1), 1e-7)
        if once < SAMPLE / 10:
            trial = max(1, round(SAMPLE / 10 / once))
            once = seconds_of(steps, trial) / trial
        counts[name] = max(1, round(SAMPLE / once))
        rounds[name] = int(np.clip(BUDGET / (once * counts[name]), min(FEWEST, most), most))
    samples: dict[str, list[float]] = {name: [] for name in made}
    gc.collect()
    gc.disable()
    for k in range(max(rounds.values())):
        for name, steps in made.items():
            if k < rounds[name]:
                time.sleep(PAUSE)
                steps(1)
                samples[name].append(seconds_of(steps, counts[name]) / counts[name])
    gc.enable()
    return {
        name: {
            "median": statistics.median(values),
            "minimum": min(values),
            "samples": len(values),
            "steps_per_sample": counts[name],
        }
        for name, values in samples.items()
    }


def measure(workload: Workload, rounds: int) -> dict[str, Any]:
    made, missing = contestants(workload)
    for line in missing:
        print(line)
    found = interleave(made, rounds)
    theirs = [name for name in found if name.startswith("pytagi")]
    flops = step_flops(workload)
    result = {
        "name": workload.name,
        "flops": flops,
        "best_pytagi": min(theirs, key=lambda name: found[name]["median"], default=None),
        "products": flops / (2 * np.prod(workload.product)) if workload.product else None,
        "product": workload.product,
        "seconds": found,
    }
    shown = ", ".join(f"{n} {duration(s['median'])}" for n, s in found.items())
    print(f"{workload.name}: {shown}", flush=True)
    return result


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Exponent of a power law through the largest three points."""
    return float(np.polyfit(np.log(x[-3:]), np.log(y[-3:]), 1)[0])


def grow(
    name: str, xs: list[int], make: Callable[[int], Workload], rows: bool = False
) -> dict[str, Any]:
    """Times along a curve: of a step, or of an epoch of x rows."""
    backend = select()
    seconds, flops = [], []
    for x in xs:
        workload = make(x)
        steps = epochs(workload, backend, x if rows else None)
        count = x // workload.batch if rows else 1
        steps(count)
        samples: list[float] = []
        end = time.perf_counter() + 1.0
        while len(samples) < 3 or (len(samples) < 50 and time.perf_counter() < end):
            samples.append(seconds_of(steps, count))
        seconds.append(statistics.median(samples))
        flops.append(step_flops(workload) * count)
        print(f"{name} {x}: {duration(seconds[-1])}", flush=True)
    return {
        "name": name,
        "x": xs,
        "seconds": seconds,
        "flops": flops,
        "exponent": slope(xs, seconds),
        "exponent_of_arithmetic": slope(xs, flops),
    }


def perceptron(*sizes: int, batch: int) -> Workload:
    return Workload("-".join(map(str, sizes)), dense(*sizes), sizes[:1], sizes[-1], batch)


def growth() -> list[dict[str, Any]]:
    return [
        grow(
            "width w of w-w-w, B=64",
            [16, 64, 256, 1024, 2048, 4096],
            lambda w: perceptron(w, w, w, batch=64),
        ),
        grow(
            "batch of 784-128-128-11",
            [1, 4, 16, 64, 256, 1024],
            lambda b: perceptron(784, 128, 128, 11, batch=b),
        ),
        grow(
            "rows of an epoch, 13-50-1, B=10",
            [1000, 10_000, 100_000, 1_000_000],
            lambda _: perceptron(13, 50, 1, batch=10),
            rows=True,
        ),
        grow(
            "depth of 128-...-128, B=64",
            [2, 4, 8, 16, 32],
            lambda d: perceptron(*[128] * (d + 1), batch=64),
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parts = ["workloads", "growth"]
    names = [workload.name for workload in WORKLOADS]
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--workloads", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--rounds", type=int, default=15, help="samples of each, at the most")
    add_save(parser)
    parser.add_argument("--show", action="store_true", help="print the saved results and stop")
    options = parser.parse_args()
    if options.show:
        for name, text in speed_tables.speed(kept(options, "speed")).items():
            print(f"\n{name}\n{text}")
        return
    target = destination(parser, options, "speed", free={"parts"})
    if "workloads" in options.parts and not peer.available():
        print("pytagi cannot be imported here; benchmarks/README.md says what it needs.")
    for part in options.parts:
        before = os.getloadavg()[0]
        if part == "growth":
            measured = growth()
        else:
            chosen = [one for one in WORKLOADS if one.name in options.workloads]
            measured = [measure(one, options.rounds) for one in chosen]
        record = {"environment": environment(), "load_average": [before, os.getloadavg()[0]]}
        keep(target, record | {"measured": measured}, part)


if __name__ == "__main__":
    main()
