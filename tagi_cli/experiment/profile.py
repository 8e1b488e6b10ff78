"""`tagi profile`: where the time of a training step goes, layer by layer."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from tagi_cli.backend import Backend, Call, Segment, collective, threads
from tagi_cli.backend.work import Work, work
from tagi_cli.data import Dataset
from tagi_cli.errors import UserError
from tagi_cli.experiment.members import MakeMember, make_backend
from tagi_cli.experiment.settings import Settings
from tagi_cli.nn.layer import Layer
from tagi_cli.training.learner import Learner
from tagi_cli.training.step_calls import StepCalls

_SAMPLE = 2e-4
"""Seconds that a sample should last, so that what starts and stops the clock does not count."""

_NOTHING = Work(None, 0)

_ROUNDS = (5, 200)
"""Fewest and most samples of each call."""

_ONE_THREAD = 1 << 20
"""Below this many bytes one thread moves memory as fast as several."""


@dataclass(frozen=True)
class Ceiling:
    """What this machine can do, measured in the same run.

    Attributes:
        flops: operations per second of large matrix products, by the array library or by our own
            kernel, on all threads or on one, whichever is fastest.
        bandwidth: bytes per second of sums of arrays, as large together as what a step touches.
        working_set: that size in bytes.
    """

    flops: float
    bandwidth: float
    working_set: int

    def seconds(self, least: Work) -> float:
        """The time that work takes at the ceiling."""
        return max((least.flops or 0) / self.flops, least.bytes / self.bandwidth)


@dataclass
class Line:
    """A layer, or a part of the step that belongs to no layer.

    Attributes:
        name: the layer, as its parameters are named.
        what: its class and sizes.
        seconds: time of one step in its forward pass, its backward pass, and in accumulating what
            its parameters learn (for a part that is no layer: all under its own name).
        least: the work of all its calls.
    """

    name: str
    what: str
    seconds: dict[str, float] = field(default_factory=dict)
    least: Work = _NOTHING

    @property
    def total(self) -> float:
        """Seconds of all passes."""
        return sum(self.seconds.values())

    def add(self, part: str, seconds: float, least: Work) -> None:
        """Count a call."""
        self.seconds[part] = self.seconds.get(part, 0.0) + seconds
        mine, its = self.least.flops, least.flops
        flops = None if mine is None and its is None else (mine or 0) + (its or 0)
        self.least = Work(flops, self.least.bytes + least.bytes)


PASSES = ("forward", "backward", "accumulation")
"""The passes of a layer."""


@dataclass(frozen=True)
class Profile:
    """The time of one training step of one network.

    Attributes:
        layers: in the order of the network.
        others: the parameter update, and the rest: rows brought, output conditioned, noise learnt.
        whole: seconds of the step as it is run in training, all calls bound together.
        ceiling: what the machine can do.
        batch: rows of the step.
        members: networks of the ensemble, each of which takes such steps.
        backend: what it ran on, in words.
        threads: CPU threads.
    """

    layers: tuple[Line, ...]
    others: tuple[Line, ...]
    whole: float
    ceiling: Ceiling
    batch: int
    members: int
    backend: str
    threads: int

    @property
    def lines(self) -> tuple[Line, ...]:
        """Layers, then the others."""
        return self.layers + self.others

    @property
    def accounted(self) -> float:
        """Seconds of all calls, each measured by itself."""
        return sum(line.total for line in self.lines)

    def share_of_ceiling(self, line: Line) -> float | None:
        """The least time of a line's work over the time it took; None where it took none."""
        return self.ceiling.seconds(line.least) / line.total if line.total else None


def profile(settings: Settings, dataset: Dataset, *, seconds: float = 3.0) -> Profile:
    """Measure a training step of the network that `settings` describe.

    Each kernel call is bound as a segment of its own and run many times, in the order of the step;
    the median counts. The state of the network is set back between rounds.

    Args:
        settings: the run that would train it.
        dataset: its training rows are learnt; nothing is written.
        seconds: time to spend on the calls, about.

    Raises:
        UserError: the layers do not fit the data.
    """
    backend = make_backend(settings)
    learner = MakeMember(settings, dataset.encoder, backend)(0, np.random.default_rng(0))
    if not isinstance(learner, Learner):
        raise UserError(
            "arch: the steps of latent_regression are not told apart by pass, so there is no "
            "profile of them. Allowed: any other architecture"
        )
    rows = len(dataset.train)
    batch = settings.data.rows_per_update(rows)
    learner.bind(dataset.train.x, dataset.train.y)
    with threads.limited(settings.trainer.threads):
        step = learner.step_calls(batch)
        size = step.plan.bytes + 4 * learner.parameters.size * backend.dtype.itemsize
        ceiling = measure_ceiling(backend, size)
        calls, whole = _time(learner, step, batch, rows, seconds)
        layers, others = _lines(learner.layer, step, calls)
        return Profile(
            tuple(layers), tuple(others), whole, ceiling, batch, settings.ensemble.size,
            backend.describe(), max(threads.counts(), default=1),
        )  # fmt: skip


def named(layer: Layer, name: str = "") -> Iterator[tuple[str, Layer]]:
    """The layers inside and those inside them, in the order of the network, with their names."""
    for part, child in layer.children():
        inner = f"{name}.{part}".lstrip(".")
        yield inner, child
        yield from named(child, inner)


def _lines(network: Layer, step: StepCalls, seconds: list[float]) -> tuple[list[Line], list[Line]]:
    """Sum the calls by layer and pass."""
    layers = dict(named(network))
    lines = {name: Line(name, layer.describe()) for name, layer in layers.items()}
    update, rest = Line("update", "of all parameters"), Line("rest", "rows, output, noise")
    times = iter(seconds)
    for part, calls in zip(step._fields[1:], step[1:], strict=True):
        for call in calls:
            least, its = work(call, step.plan.arena), next(times)
            if part == "update":
                update.add(part, its, least)
            elif call.layer in lines:
                accumulates = call.kernel.endswith("_innovation")
                name = "accumulation" if accumulates else part
                lines[call.layer].add(name, its, least)
            else:
                rest.add("rest", its, least)
    # Of layers that hold others, only those that compute something besides.
    shown = [line for name, line in lines.items() if line.seconds or not layers[name].children()]
    return shown, [update, rest]


def _time(
    learner: Learner, step: StepCalls, batch: int, rows: int, seconds: float
) -> tuple[list[float], float]:
    """Median seconds of each call, and of the whole step."""
    backend, order = learner.backend, np.arange(rows)
    single = [collective.bind(backend, [call]) for call in step.all()]
    whole, most = collective.bind(backend, step.all()), rows // batch
    kept = learner.state_dict()

    def reset() -> None:
        learner.load_state_dict(kept)
        learner.start_epoch(0)
        learner.load(order, 0, rows)

    reset()
    for segment in single:  # the first run loads and warms up
        segment.run()
    reset()
    times = [_repeats(backend, segment) for segment in single]
    reset()
    steps = _repeats(backend, whole, most)
    found: list[list[float]] = [[] for _ in single]
    wholes: list[float] = []
    end = time.perf_counter() + seconds
    while len(wholes) < _ROUNDS[0] or (len(wholes) < _ROUNDS[1] and time.perf_counter() < end):
        reset()
        for segment, n, samples in zip(single, times, found, strict=True):
            samples.append(_run(backend, segment, n) / n)
        reset()
        wholes.append(_run(backend, whole, steps) / steps)
    reset()
    return [statistics.median(samples) for samples in found], statistics.median(wholes)


def _run(backend: Backend, segment: Segment, times: int) -> float:
    """Seconds of running a segment so often."""
    backend.wait()
    begin = time.perf_counter()
    segment.run(times)
    backend.wait()
    return time.perf_counter() - begin


def _repeats(backend: Backend, segment: Segment, most: int = 10000) -> int:
    """How often to run a segment for a sample that is long enough, at most `most` times."""
    count = 1
    while count < most:
        taken = _run(backend, segment, count)
        if taken >= _SAMPLE / 2:
            return max(1, min(most, round(count * _SAMPLE / taken)))
        count *= 4
    return most


def measure_ceiling(backend: Backend, working_set: int) -> Ceiling:
    """What the machine can do now, with the threads that kernels and matrix products may use.

    Args:
        backend: where.
        working_set: bytes over which the bandwidth is measured: what fits in a cache moves faster.
    """
    return Ceiling(_matrix_rate(backend), *_bandwidth(backend, working_set))


def _matrix_rate(backend: Backend, n: int = 768) -> float:
    """Operations per second of the fastest product of `(n, n)` matrices."""
    rng = np.random.default_rng(0)
    a, b = backend.asarray(rng.normal(size=(n, n))), backend.asarray(rng.normal(size=(n, n)))
    out, second = backend.empty((n, n)), backend.empty((n, n))
    sizes = [np.int32(value) for value in (n, n, n, 0)]
    scratch = backend.empty((2 * n * n,))
    both = backend.bind([Call("linear_backward", (out, second, a, a, b, scratch, *sizes))])
    rate = 0.0
    # On a busy machine one thread may be faster than several that wait for each other.
    for count in (None, 1):
        with threads.limited(count):
            for run, products in ((lambda: backend.xp.matmul(a, b, out=out), 1), (both.run, 2)):
                end = time.perf_counter() + 0.15
                while time.perf_counter() < end:
                    backend.wait()
                    begin = time.perf_counter()
                    run()
                    backend.wait()
                    rate = max(rate, products * 2.0 * n**3 / (time.perf_counter() - begin))
    return rate


def _bandwidth(backend: Backend, working_set: int) -> tuple[float, int]:
    """Bytes per second, and over how many bytes it was measured."""
    size = int(np.clip(working_set, 1 << 14, 1 << 28))
    several = size >= _ONE_THREAD and backend.xp is np
    workers = max(threads.counts(), default=1) if several else 1
    n = size // (6 * workers * backend.dtype.itemsize)
    segments = []
    for _ in range(workers):
        arrays = [backend.zeros((n,)) for _ in range(6)]
        for array in arrays:
            array.fill(1)  # so that each has memory of its own
        segments.append(backend.bind([Call("add_forward", (*arrays, np.int32(n)))]))
    times = _repeats(backend, segments[0])
    best = np.inf
    with ThreadPoolExecutor(workers) as pool:
        for _ in range(20):
            begin = time.perf_counter()
            list(pool.map(lambda segment: _run(backend, segment, times), segments))
            best = min(best, time.perf_counter() - begin)
    moved = 6 * n * workers * backend.dtype.itemsize
    return moved * times / best, moved
