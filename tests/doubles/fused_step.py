"""Layers whose sums and update are one kernel, beside the references, on any GPU backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tagi_cli import nn
from tagi_cli.backend import Backend, Call
from tagi_cli.backend.cuda import step as cuda_step
from tagi_cli.backend.cuda.backend import CudaBackend
from tagi_cli.backend.reference import KERNELS
from tagi_cli.nn.rules import RULES
from tagi_cli.training import noise
from tagi_cli.training.learner import Learner

LIMITS = {"small": (1 << 60, 0, 1 << 60), "large": (1 << 60, 0, 0), "none": (-1, -1, 1)}
"""`WORK, ROWS, TILES_PER_PROCESSOR` that choose one of the kernels, or none."""

MARGIN = 3


def limited(monkeypatch: pytest.MonkeyPatch, size: str) -> None:
    """Let one kernel, or none, be chosen for all layers."""
    names = ("WORK", "ROWS", "TILES_PER_PROCESSOR")
    for name, value in zip(names, LIMITS[size], strict=True):
        monkeypatch.setattr(cuda_step, name, value)


class Store:
    """Parameters as a network's are: another tensor, a weight, a bias, another; NaN about them."""

    def __init__(self, B: int, I: int, O: int, *, bias: bool, precision: str) -> None:
        rng = np.random.default_rng(0)
        sizes = [MARGIN, O * I, *([O] if bias else []), MARGIN]
        n, real = sum(sizes), np.dtype(precision)
        self.sizes, self.bias, self.real = (B, I, O), bias, real
        self.ends = np.cumsum(sizes).astype(np.int32)
        self.floored = np.zeros(len(sizes), np.int32)
        self.mu, self.var = rng.normal(size=n).astype(real), rng.random(n).astype(real)
        self.G, self.L = np.full((2, n), np.nan, real)
        for sums in (self.G, self.L):
            sums[:MARGIN], sums[n - MARGIN :] = -rng.random((2, MARGIN))
        self.inputs = [rng.normal(size=(B, k)).astype(real) for k in (I, O, O)]
        self.inputs[2] = -np.abs(self.inputs[2]) * real.type(0.3)
        self.inputs[2][::2] *= 10
        self.rows = np.array([max(B, 1)], real)

    def tensor(self, flat: Any, number: int) -> Any:
        start = 0 if number == 0 else int(self.ends[number - 1])
        return flat[start : int(self.ends[number])]

    def calls(self, backend: Backend | None, rule: str) -> list[Call]:
        """The two calls, on copies of the arrays that are then the attributes."""
        copy: Callable[[Any], Any] = np.array
        if backend is not None:
            copy = lambda a: backend.asarray(a, a.dtype)  # noqa: E731
        for name in ("mu", "var", "G", "L", "floored", "rows"):
            setattr(self, name, copy(getattr(self, name)))
        self.inputs = [copy(a) for a in self.inputs]
        B, I, O = self.sizes
        weights = [self.tensor(a, 1).reshape(O, I) for a in (self.G, self.L)]
        biases = [self.tensor(a, 2) if self.bias else None for a in (self.G, self.L)]
        numbers = [np.int32(n) for n in (*self.sizes, 0)]
        scratch = copy(np.zeros(B * I + O * I, self.real))
        learnt = (*weights, *biases, *self.inputs, scratch)
        cap, tensors = self.real.type(2), np.int32(len(self.ends))
        flat = (self.mu, self.var, self.G, self.L, self.floored, copy(self.ends), self.rows)
        return [
            Call("linear_innovation", (*learnt, *numbers)),
            Call(f"step_{rule}", (*flat, cap, tensors, np.int32(int(self.ends[-1])))),
        ]


def wanted(store: Store, rule: str) -> dict[str, Any]:
    for kernel, arguments, _ in store.calls(None, rule):
        KERNELS[kernel](*arguments)
    return {name: getattr(store, name) for name in ("mu", "var", "floored")}


# Below, at and across the tiles of 16 and of 64, and of the batch.
SHAPES = [
    (1, 1, 1), (3, 7, 2), (16, 16, 16), (17, 15, 17), (10, 13, 50), (64, 64, 64), (33, 65, 63),
    (5, 130, 66), (129, 20, 70), (0, 4, 3),
]  # fmt: skip


def assert_step_agrees(shape: tuple[int, int, int], *, bias: bool, precision: str) -> None:
    """Assert that under every rule it is sums, then step, and that the sums are not written."""
    backend = CudaBackend(precision)
    tolerance = 3e-5 if precision == "float32" else 1e-12
    for rule in RULES:
        want = wanted(Store(*shape, bias=bias, precision=precision), rule)
        got = Store(*shape, bias=bias, precision=precision)
        backend.bind(got.calls(backend, rule)).run()
        inner = backend.to_host(got.G)[MARGIN:-MARGIN]
        assert np.isnan(inner).all()
        for name, value in want.items():
            found = backend.to_host(getattr(got, name))
            scale = np.abs(value).max()
            np.testing.assert_allclose(found, value, rtol=0, atol=tolerance * scale, err_msg=name)
        if rule == "sum" and shape[0] > 1:
            assert want["floored"][1] > 0, "the case does not reach the floor"


def tied() -> nn.Layer:
    layer = nn.Linear(6, 6)
    return nn.Sequential(nn.Linear(4, 6), layer, nn.ReLU(), layer, nn.Linear(6, 1))


NETWORKS: dict[str, tuple[Callable[[], nn.Layer], tuple[int, ...], int]] = {
    # How many layers can be updated so.
    "dense": (lambda: nn.Sequential(nn.Linear(4, 19), nn.ReLU(), nn.Linear(19, 1)), (4,), 2),
    "norm": (
        lambda: nn.Sequential(
            nn.Linear(4, 9), nn.LayerNorm((9,)), nn.ReLU(), nn.Linear(9, 1, bias=False)
        ),
        (4,),
        2,
    ),
    "conv": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Linear(8, 7), nn.Linear(7, 1)
        ),
        (1, 4, 4),
        2,
    ),
    "lstm": (lambda: nn.Sequential(nn.LSTM(2, 5, 3), nn.Linear(15, 1)), (3, 2), 2),
    "attention": (
        lambda: nn.Sequential(nn.MultiheadAttention(4, 2), nn.Linear(12, 1)),
        (3, 4),
        3,
    ),
    "tied": (tied, (4,), 2),
    "frozen": (lambda: nn.Sequential(nn.Linear(4, 9), nn.ReLU(), nn.Linear(9, 1)), (4,), 1),
}


def trained(
    name: str, rule: str, monkeypatch: pytest.MonkeyPatch, size: str, precision: str
) -> tuple[dict[str, np.ndarray], int]:
    """The state after two epochs of full and short batches, and the fused updates of a step.

    Full steps but the first have to be one graph.
    """
    limited(monkeypatch, size)
    make, shape, _ = NETWORKS[name]
    rng, kind = np.random.default_rng(0), noise.registry["learned"]
    backend = CudaBackend(precision)
    learner = Learner(
        lambda _: make(), shape, 1, noise=(kind, kind.options()), update_rule=rule, cap=None,
        batch_size=8, rng=np.random.default_rng(1), backend=backend,
    )  # fmt: skip
    if name == "frozen":
        for parameter in list(learner.parameters.tensors.values())[2:]:
            parameter.trainable = False
    x, y = rng.normal(size=(21, *shape)), rng.normal(size=(21, 1))
    learner.bind(x.astype(backend.dtype), y.astype(backend.dtype))
    for epoch in range(2):
        learner.start_epoch(epoch)
        learner.train(rng.permutation(21), 0, 21)
    assert learner._steps[8]._graph is not None  # type: ignore[attr-defined]
    calls = cuda_step.with_fused_steps(learner.step_calls(8).all(), backend)
    return learner.state_dict(), sum(call.kernel == "linear_step" for call in calls)
