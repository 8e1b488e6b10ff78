"""Networks that carry states along a few series of random rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.backend import Backend, select
from tagi_cli.data import Windows
from tagi_cli.distributed import ALONE, Communicator
from tagi_cli.training.learner import Learner
from tagi_cli.training.noise import registry
from tagi_cli.training.sampling import Sampler

Host = np.ndarray[Any, Any]
SIGMA = 0.3


def body(inputs: int, T: int, tracking: bool = True, carry: str = "posterior") -> list[nn.Layer]:
    last = "all" if T == 1 else "last"
    return [nn.LSTM(inputs, 5, T, depth=2, tracking=tracking, carry=carry, output=last)]


def learner(
    B: int,
    *,
    T: int = 1,
    inputs: int = 2,
    kernels: str = "numpy",
    carry: str = "posterior",
    stride: int = 1,
    layers: list[nn.Layer] | None = None,
    backend: Backend | None = None,
    ranks: Communicator = ALONE,
) -> Learner:
    kind = registry["constant"]
    return Learner(
        lambda units: nn.Sequential(*(layers or body(inputs, T, carry=carry)), nn.Linear(0, units)),
        (T, inputs),
        1,
        noise=(kind, kind.options(sigma_v=SIGMA)),
        update_rule="information_capped",
        cap=2.0,
        batch_size=B,
        rng=np.random.default_rng(0),
        backend=backend or select(kernels=kernels, precision="float64"),
        stride=stride,
        ranks=ranks,
    )


class Series:
    """Rows of some series, one window of T rows for each of its prediction points."""

    def __init__(self, *lengths: int, T: int = 1, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        # T - 1 rows before each series, which a window of its first point needs.
        self.values = rng.normal(size=(sum(n + T - 1 for n in lengths), 2))
        begins = np.cumsum([0, *(n + T - 1 for n in lengths[:-1])])
        starts = np.concatenate([b + np.arange(n) for b, n in zip(begins, lengths, strict=True)])
        places = [(s, 0, t) for s, n in enumerate(lengths) for t in range(n)]
        self.index = np.array(places, np.int64)
        self.x = Windows(self.values, starts, T)
        self.y = np.tanh(self.values[starts + T - 1, :1]) + 0.1 * rng.normal(size=(len(starts), 1))

    def part(self, where: Host) -> Part:
        return Part(self.x[where], self.y[where], self.index[where])


class Part:
    """Some rows of series."""

    center = scale = np.ones((1, 1))

    def __init__(self, x: Windows, y: Host, index: Host) -> None:
        self.x, self.y, self.index = x, y, index

    def __len__(self) -> int:
        return len(self.y)


def train(one: Learner, part: Part, mode: str = "inference", cut: int = 10**9) -> None:
    """An epoch, in slices of `cut` batches."""
    order = Sampler(one.batch_size, mode, False, one_stride(one)).order(
        part, np.random.default_rng(0), follows=True
    )
    one.start_epoch(0)
    step = cut * one.batch_size
    for begin in range(0, len(order.rows), step):
        end = min(begin + step, len(order.rows))
        one.train(order.rows, begin, end, order.follows)


def one_stride(one: Learner) -> int:
    assert one.tracking is not None
    return one.tracking._stride


def bound(one: Learner, part: Part) -> Learner:
    one.bind(part.x, part.y, part.index)
    return one
