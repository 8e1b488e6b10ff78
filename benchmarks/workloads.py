"""What is timed: networks and batches, and the ways to step them, ours and pytagi's."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.backend import Backend, select
from tagi_cli.backend.work import work
from tagi_cli.training.learner import Learner
from tagi_cli.training.noise import registry

Spec = tuple[str, tuple[Any, ...], dict[str, Any]]
"""A layer by class name and arguments, which are the same in pytagi and here."""

Steps = Callable[[int], None]
"""Learns so many batches."""

SIGMA_V = 0.1


def layer(name: str, *arguments: Any, **options: Any) -> Spec:
    return name, arguments, options


def dense(*sizes: int, activation: str = "ReLU") -> tuple[Spec, ...]:
    """A multilayer perceptron."""
    made: list[Spec] = []
    for inputs, outputs in pairwise(sizes):
        made += [layer("Linear", inputs, outputs), layer(activation)]
    return tuple(made[:-1])


def recurrent(steps: int) -> tuple[Spec, ...]:
    """Two recurrent layers of 40 units and a linear one, over windows of so many steps."""
    return (
        layer("LSTM", 1, 40, steps),
        layer("LSTM", 40, 40, steps),
        layer("Linear", 40 * steps, 1),
    )


@dataclass(frozen=True)
class Workload:
    """A network, and the size of its batches.

    Attributes:
        name: what the tables call it.
        layers: from input to output.
        inputs: shape of a row.
        outputs: targets.
        batch: rows of a step.
        stepped: whether ours is also stepped from Python, in the words of pytagi.
        product: sizes of a matrix product `(m, k) @ (k, n)` typical of it, to compare with.
        ours: options that our layers of a class take besides.
    """

    name: str
    layers: tuple[Spec, ...]
    inputs: tuple[int, ...]
    outputs: int
    batch: int
    stepped: bool = False
    product: tuple[int, int, int] | None = None
    ours: tuple[tuple[str, str, Any], ...] = ()


CNN = (
    layer("Conv2d", 1, 16, 4, padding=1, in_width=28, in_height=28),
    layer("ReLU"),
    layer("AvgPool2d", 3, 2),
    layer("Conv2d", 16, 32, 5),
    layer("ReLU"),
    layer("AvgPool2d", 3, 2),
    *dense(32 * 4 * 4, 100, 11),
)

WORKLOADS = (
    Workload("13-50-1, B=10", dense(13, 50, 1), (13,), 1, 10, stepped=True),
    Workload("13-50-1, B=1", dense(13, 50, 1), (13,), 1, 1, stepped=True),
    Workload("784-128-128-11 ReLU, B=64", dense(784, 128, 128, 11), (784,), 11, 64, stepped=True),
    Workload(
        "784-128-128-11 MixtureReLU, B=64",
        dense(784, 128, 128, 11, activation="MixtureReLU"),
        (784,),
        11,
        64,
        stepped=True,
    ),
    Workload("CNN 16c4-32c5-100-11, B=64", CNN, (1, 28, 28), 11, 64),
    Workload(
        "1024-1024-1024, B=128",
        dense(1024, 1024, 1024),
        (1024,),
        1024,
        128,
        product=(128, 1024, 1024),
    ),
    Workload("LSTM(1,40) x 2, T=24, B=8", recurrent(24), (24, 1), 1, 8),
    Workload(
        "LSTM(1,40) x 2, T=1, B=1, stateful",
        recurrent(1),
        (1, 1),
        1,
        1,
        stepped=True,
        ours=(("LSTM", "tracking", True),),
    ),
)


def learner(workload: Workload, backend: Backend, rows: int) -> Learner:
    """Our network bound to random rows."""

    def build(units: int) -> nn.Layer:
        made = []
        for name, arguments, options in workload.layers:
            own = {key: value for kind, key, value in workload.ours if kind == name}
            made.append(getattr(nn, name)(*arguments, **options, **own))
        return nn.Sequential(*made)

    kind = registry["constant"]
    made = Learner(
        build,
        workload.inputs,
        workload.outputs,
        noise=(kind, kind.options(sigma_v=SIGMA_V)),
        update_rule="capped",
        cap=None,
        batch_size=workload.batch,
        rng=np.random.default_rng(0),
        backend=backend,
    )
    rng = np.random.default_rng(1)
    made.bind(
        rng.normal(size=(rows, *workload.inputs)).astype(np.float32),
        rng.normal(size=(rows, workload.outputs)).astype(np.float32),
    )
    return made


def epochs(workload: Workload, backend: Backend, rows: int | None = None) -> Steps:
    """Our epochs as the trainer runs them."""
    B = workload.batch
    count = rows or max(B * 4, min(1000, B * 200))
    trained, order = learner(workload, backend, count), np.random.default_rng(2).permutation(count)

    def steps(n: int) -> None:
        while n:
            some = min(n, count // B)
            trained.train(order, 0, some * B)
            n -= some
        backend.wait()

    return steps


def stepped(workload: Workload, library: Any, threads: int) -> Steps:
    """A loop in Python over `net(x)`, update, backward and step, in the words of pytagi.

    Args:
        workload: what to step.
        library: `pytagi.nn`, or its stand-in.
        threads: for the network.
    """
    network = library.Sequential(
        *(getattr(library, name)(*arguments, **o) for name, arguments, o in workload.layers)
    )
    network.set_threads(threads)
    updater = library.OutputUpdater(network.device)
    rng = np.random.default_rng(1)
    B, K = workload.batch, workload.outputs
    xs = rng.normal(size=(8, B * nn.flat_size(workload.inputs))).astype(np.float32)
    ys = rng.normal(size=(8, B * K)).astype(np.float32)
    var = np.full(B * K, SIGMA_V**2, np.float32)

    def steps(n: int) -> None:
        for k in range(n):
            network(xs[k % 8])
            updater.update(
                output_states=network.output_z_buffer,
                mu_obs=ys[k % 8],
                var_obs=var,
                delta_states=network.input_delta_z_buffer,
            )
            network.backward()
            network.step()

    return steps


def product(sizes: tuple[int, int, int]) -> Steps:
    """Matrix products `(m, k) @ (k, n)` in float32."""
    m, k, n = sizes
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=shape).astype(np.float32) for shape in ((m, k), (k, n)))
    out = np.empty((m, n), np.float32)

    def steps(count: int) -> None:
        for _ in range(count):
            np.matmul(a, b, out=out)

    return steps


def step_flops(workload: Workload) -> int:
    """Operations of the matrix products of our step."""
    step = learner(workload, select(kernels="numpy"), workload.batch).step_calls(workload.batch)
    return sum(work(call).flops or 0 for call in step.all())


def backends() -> dict[str, Backend]:
    """Ours: NumPy, compiled where that works, a GPU where there is one."""
    from tagi_cli.backend.select import without_gpu

    found = {"numpy": select(kernels="numpy")}
    compiled = select(kernels="auto")
    if compiled.name == "host":
        found["compiled"] = compiled
    if not without_gpu():
        found["gpu"] = select(device="cuda")
    return found


def cores() -> list[int]:
    """Thread counts to try pytagi with: one, and all."""
    return sorted({1, len(os.sched_getaffinity(0))})
