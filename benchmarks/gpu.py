"""Time of a training step on an NVIDIA GPU, beside what its products cost and beside the CPU.

python benchmarks/gpu.py [--save <file>] [--no-cpu]

First come the ceilings: products of plain float32 and tf32 at the sizes of the widest layer, and a
copy in memory. Then whole steps from the trainer's own loop, with the share of the ceiling that
their products reach, and with the update in a kernel of its own; then passes of one layer by either
of the two ways to run it, from which `FUSED_WORK` in tagi_cli/backend/cuda/linear.py follows; then
what its parameters learn by each of three ways, from which `WORK`, `ROWS` and
`TILES_PER_PROCESSOR` in tagi_cli/backend/cuda/step.py do. Two to three minutes. Results go to
results/gpu.json.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from machine import RESULTS, environment
from workloads import (
    WORKLOADS,
    Steps,
    Workload,
    dense,
    epochs,
    layer,
    learner,
    step_flops,
)

from tagi_cli.backend import Backend, Call, select
from tagi_cli.backend.cuda import linear as cuda_linear
from tagi_cli.backend.cuda import step as cuda_step
from tagi_cli.backend.cuda.backend import CudaBackend
from tagi_cli.backend.select import without_gpu

SAMPLE, ROUNDS = 0.1, 5
"""Seconds that a sample should last, and samples."""

CEILING = (1024, 4096, 4096)
"""Rows, inputs and outputs of the product that ceilings are measured with."""

CONV = (
    layer("Conv2d", 3, 64, 3, padding=1, in_width=32, in_height=32),
    layer("BatchNorm2d", 64),
    layer("MixtureReLU"),
    layer("Conv2d", 64, 64, 3, padding=1),
    layer("BatchNorm2d", 64),
    layer("MixtureReLU"),
    layer("Conv2d", 64, 128, 3, stride=2, padding=1),
    layer("BatchNorm2d", 128),
    layer("MixtureReLU"),
    layer("AvgPool2d", 4),
    layer("Linear", 128 * 4 * 4, 11),
)

CONVOLUTIONS = Workload("conv 64-64-128 on 3 x 32 x 32, B=128", CONV, (3, 32, 32), 11, 128)

WIDE = Workload("784-4096-4096-11, B=1024", dense(784, 4096, 4096, 11), (784,), 11, 1024)

MEASURED = (
    *(w for w in WORKLOADS if w.name.startswith(("13-50-1, B=10", "784", "CNN", "LSTM"))),
    WIDE,
    CONVOLUTIONS,
)

LAYERS = [(b, n, n) for n in (128, 256, 512, 1024, 2048) for b in (16, 64, 256, 1024)]
"""Rows, inputs and outputs of single layers."""

UPDATES = [(b, n, n) for n in (128, 512, 1024, 2048, 4096) for b in (16, 64, 128, 256, 1024)]
"""The same, of layers whose sums and update are measured."""

WAYS = {"apart": (-1, -1, 1), "tiles of 16": (1 << 60, 0, 1 << 60), "tiles of 64": (1 << 60, 0, 0)}
"""`WORK, ROWS, TILES_PER_PROCESSOR` that choose how sums and update are made."""


def seconds(steps: Steps) -> dict[str, float]:
    """Median and shortest time of a step, after enough of them to have captured all graphs."""
    steps(3)
    begin = time.perf_counter()
    steps(3)
    count = max(1, round(SAMPLE / max((time.perf_counter() - begin) / 3, 1e-7)))
    samples = []
    gc.collect()
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        steps(count)
        samples.append((time.perf_counter() - begin) / count)
    return {"median": statistics.median(samples), "minimum": min(samples), "steps": count}


def repeated(launch: Callable[[], Any], backend: Backend) -> Steps:
    def steps(count: int) -> None:
        for _ in range(count):
            launch()
        backend.wait()

    return steps


def normal(backend: Backend, *shape: int) -> Any:
    """Random numbers; of large arrays, the same ones again and again."""
    return backend.asarray(np.resize(np.random.default_rng(0).normal(size=1 << 20), shape))


@contextmanager
def limits(module: Any, **values: int) -> Iterator[None]:
    """Other limits between ways to run a layer, for what is bound inside."""
    kept = {name: getattr(module, name) for name in values}
    vars(module).update(values)
    try:
        yield
    finally:
        vars(module).update(kept)


def ways_of_step(name: str) -> AbstractContextManager[None]:
    """One of `WAYS`."""
    WORK, ROWS, TILES_PER_PROCESSOR = WAYS[name]
    return limits(cuda_step, WORK=WORK, ROWS=ROWS, TILES_PER_PROCESSOR=TILES_PER_PROCESSOR)


def ceilings() -> dict[str, float]:
    """Operations a second of products, and bytes a second of a copy, read and written."""
    found = {}
    rows, inputs, outputs = CEILING
    for precision in ("float32", "tf32", "float64"):
        backend = CudaBackend(precision)
        out, left, right = (
            normal(backend, *s) for s in ((rows, outputs), (rows, inputs), (outputs, inputs))
        )
        (product,) = backend.products.launch(
            out, left, right, B_transposed=True, is_variance=precision == "tf32"
        )
        took = seconds(repeated(product, backend))["median"]
        found[precision] = 2.0 * rows * inputs * outputs / took
    backend = CudaBackend()
    source, target = backend.zeros((1 << 28,)), backend.zeros((1 << 28,))
    took = seconds(repeated(lambda: target.__setitem__(..., source), backend))["median"]
    return {**found, "copy": 2.0 * source.nbytes / took}


def predicted(workload: Workload) -> int:
    """Bytes of parameters and activations in float32."""
    made = learner(workload, select(kernels="numpy"), workload.batch)
    return made.step_calls(workload.batch).plan.bytes + 4 * 4 * made.parameters.size


def measure(workload: Workload, ceiling: dict[str, float], cpu: bool) -> dict[str, Any]:
    """Seconds and memory of a step by precision; on the CPU, too."""
    flops = step_flops(workload)
    result: dict[str, Any] = {"name": workload.name, "flops": flops, "seconds": {}}
    result["predicted_bytes"] = predicted(workload)
    for precision in ("float32", "tf32", "float64"):
        backend = CudaBackend(precision)
        took = seconds(epochs(workload, backend))
        share = flops / took["median"] / ceiling[precision if precision != "tf32" else "float32"]
        result["seconds"][precision] = {**took, "share": share, "bytes": backend.memory}
    with ways_of_step("apart"):
        result["seconds"]["update apart"] = seconds(epochs(workload, CudaBackend()))
    if cpu:
        result["seconds"]["cpu"] = seconds(epochs(workload, select("cpu")))
    line = ", ".join(
        f"{name} {1e6 * s['median']:.1f} us" + (f" ({s['share']:.0%})" if "share" in s else "")
        for name, s in result["seconds"].items()
    )
    share = result["seconds"]["float32"]["bytes"] / result["predicted_bytes"]
    print(f"{workload.name}: {line}; memory {share:.2f} of predicted", flush=True)
    return result


def passes(sizes: tuple[int, int, int]) -> dict[str, Any]:
    """Seconds of the three passes of one layer, by one kernel each and by cuBLAS."""
    B, I, O = sizes
    backend = CudaBackend()
    x, w, z, d = (normal(backend, *s) for s in ((B, I), (O, I), (B, O), (B, O)))
    square, out, sums = x * x, normal(backend, B, I), normal(backend, O, I)
    scratch = backend.empty((2 * (B * I + O * I + B * O),))
    numbers = [np.int32(n) for n in sizes]
    zero = np.int32(0)
    calls = [
        Call("linear_forward", (z, d, x, square, w, sums, None, None, scratch, *numbers)),
        Call("linear_backward", (out, square, z, d, w, scratch, *numbers, zero)),
        Call("linear_innovation", (sums, w, None, None, x, z, d, scratch, *numbers, zero)),
    ]
    found: dict[str, Any] = {"sizes": sizes}
    for way, work in (("fused", sys.maxsize), ("cublas", 0)):
        with limits(cuda_linear, FUSED_WORK=work):
            segment = backend.bind(calls)
        found[way] = seconds(repeated(segment.once, backend))["median"]
    ratio = found["cublas"] / found["fused"]
    print(
        f"layer {B} x {I} x {O}: cuBLAS / own kernel {ratio:.2f}, work {B * I * O:.1e}", flush=True
    )
    return found


def updates(sizes: tuple[int, int, int]) -> dict[str, Any]:
    """Seconds of what a weight learns from a batch, sums and rule, by each of the ways."""
    B, I, O = sizes
    backend = CudaBackend()
    mu, G, L = (normal(backend, O * I) for _ in range(3))
    x, d = normal(backend, B, I), normal(backend, B, O)
    var, d_var = (backend.asarray(np.full(n, v)) for n, v in ((O * I, 1e-3), (B * O, -1e-3)))
    scratch = backend.empty((B * I + O * I,))
    integers = [backend.asarray([n], np.int32) for n in (0, O * I)]
    one, numbers = np.int32(1), [np.int32(n) for n in (*sizes, 0)]
    moments = (mu, var, G, L, *integers, backend.asarray([B]), np.float32(3), one)
    calls = [
        Call("linear_innovation", (G, L, None, None, x, d, d_var, scratch, *numbers)),
        Call("step_capped", (*moments, np.int32(O * I))),
    ]
    found: dict[str, Any] = {"sizes": sizes}
    for way in WAYS:
        with ways_of_step(way):
            segment = backend.bind(calls)
        found[way] = seconds(repeated(segment.once, backend))["median"]
    line = ", ".join(f"{way} {1e6 * found[way]:.1f} us" for way in WAYS)
    print(f"update {B} x {I} x {O}: {line}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--save", type=Path, default=RESULTS / "gpu.json")
    parser.add_argument("--no-cpu", action="store_true", help="leave the CPU out")
    options = parser.parse_args()
    if without_gpu():
        sys.exit(f"gpu.py: {without_gpu()}")
    backend = CudaBackend()
    print(backend.describe(), flush=True)
    ceiling = ceilings()
    for name, rate in ceiling.items():
        unit, scale = ("GB/s", 1e9) if name == "copy" else ("TFLOP/s", 1e12)
        print(f"ceiling {name}: {rate / scale:.1f} {unit}", flush=True)
    record = {
        **environment(),
        "device": backend.describe(),
        "ceilings": ceiling,
        "steps": [measure(workload, ceiling, not options.no_cpu) for workload in MEASURED],
        "layers": [passes(sizes) for sizes in LAYERS],
        "updates": [updates(sizes) for sizes in UPDATES],
    }
    options.save.parent.mkdir(parents=True, exist_ok=True)
    options.save.write_text(json.dumps(record, indent=1) + "\n")
    print(f"written to {options.save}")


if __name__ == "__main__":
    main()
