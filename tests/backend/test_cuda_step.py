"""Sums and update of a fully connected layer in one kernel of the GPU, run on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import fake_cupy
import numpy as np
import pytest
from kernel_harness import needs_compiler

from tagi_cli import nn
from tagi_cli.backend import Backend, Call, collective
from tagi_cli.backend.cuda import step as cuda_step
from tagi_cli.backend.cuda.backend import CudaBackend
from tagi_cli.backend.reference import KERNELS
from tagi_cli.nn.rules import RULES
from tagi_cli.training import noise
from tagi_cli.training.learner import Learner

pytestmark = needs_compiler

LIMITS = {"small": (1 << 30, 0), "large": (0, 1 << 30), "none": (-1, -1)}
"""`WORK, ROWS` that choose one of the kernels, or none."""

MARGIN = 3


@pytest.fixture(autouse=True)
def cupy(monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> ModuleType:
    # Never so many tiles that they alone make a layer large.
    monkeypatch.setattr(fake_cupy, "PROCESSORS", 1 << 20)
    return fake_cupy.install(monkeypatch, pytestconfig.cache.mkdir("cuda_on_the_cpu"))


def limited(monkeypatch: pytest.MonkeyPatch, size: str) -> None:
    for name, value in zip(("WORK", "ROWS"), LIMITS[size], strict=True):
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


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_equals_sums_then_step(
    shape: tuple[int, int, int],
    bias: bool,
    size: str,
    precision: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limited(monkeypatch, size)
    backend = CudaBackend(precision)
    tolerance = 3e-5 if precision == "float32" else 1e-12
    for rule in RULES:
        want = wanted(Store(*shape, bias=bias, precision=precision), rule)
        got = Store(*shape, bias=bias, precision=precision)
        backend.bind(got.calls(backend, rule)).run()
        # The sums were never written.
        inner = backend.to_host(got.G)[MARGIN:-MARGIN]
        assert np.isnan(inner).all()
        for name, value in want.items():
            found = backend.to_host(getattr(got, name))
            scale = np.abs(value).max()
            np.testing.assert_allclose(found, value, rtol=0, atol=tolerance * scale, err_msg=name)
        if rule == "sum" and shape[0] > 1:
            assert want["floored"][1] > 0, "the case does not reach the floor"


def test_the_size_decides_which_kernel_runs() -> None:
    """By default: many tiles, or many products with few rows, are for the kernel of large tiles."""

    def kernels(B: int, I: int, O: int) -> list[str]:
        backend = CudaBackend()
        store = Store(B, I, O, bias=False, precision="float32")
        backend._kernels.processors = 4
        segment = backend.bind(store.calls(backend, "capped"))
        launched = [launch.func for launch in segment._launches]  # type: ignore[attr-defined]
        names = [getattr(function, "_name", "") for function in launched]
        return [name for name in names if name.startswith("linear")]

    assert kernels(8, 64, 128) == ["linear_step"]
    assert kernels(8, 129, 128) == ["linear_step_large"]
    assert kernels(128, 8, 40) == ["linear_step"]
    assert kernels(128, 600, 601) == ["linear_step_large"]
    assert kernels(1024, 256, 130) == []


def touching(store: Store, backend: Backend, where: str) -> list[Call]:
    """The two calls with another use of the sums or the weights among them."""
    _, I, O = store.sizes
    innovation, step = store.calls(backend, "capped")
    sums, weights = (store.tensor(a, 1) for a in (store.G, store.mu))
    clear = Call("fill", (sums, store.real.type(0), np.int32(sums.size)))
    halve = Call("fill", (weights, store.real.type(0.5), np.int32(weights.size)))
    if where == "added to others":
        first = innovation
        again = (*innovation.arguments[:-1], np.int32(1))
        return [first, Call("linear_innovation", again), step]
    if where == "not learnt":
        return [innovation, clear, step]
    if where == "weights between":
        return [innovation, halve, step]
    if where == "sums read afterwards":
        target = backend.zeros((I * O,))
        n = np.int32(I * O)
        return [innovation, step, Call("second_moment", (target, sums, None, np.int32(1), n, n))]
    if where == "stepped twice":
        return [innovation, step, step]
    assert where == "part of a tensor"
    flat = step.arguments
    ends = backend.asarray(store.ends - (np.arange(4) == 1), np.int32)
    return [innovation, step._replace(arguments=(*flat[:5], ends, *flat[6:]))]


@pytest.mark.parametrize(
    "where",
    [
        "added to others",
        "not learnt",
        "weights between",
        "sums read afterwards",
        "stepped twice",
        "part of a tensor",
    ],
)
def test_where_something_else_needs_the_sums_they_are_made(where: str) -> None:
    backend = CudaBackend("float64")
    store = Store(4, 5, 3, bias=True, precision="float64")
    calls = touching(store, backend, where)
    assert cuda_step.with_fused_steps(calls, backend) == calls
    backend.bind(calls).run()
    assert np.isfinite(backend.to_host(store.G)).all()


def test_a_layer_whose_input_is_its_weight_is_left_alone() -> None:
    backend = CudaBackend("float64")
    store = Store(3, 5, 3, bias=False, precision="float64")
    innovation, step = store.calls(backend, "capped")
    weights = store.tensor(store.mu, 1).reshape(3, 5)
    arguments = innovation.arguments
    calls = [innovation._replace(arguments=(*arguments[:4], weights, *arguments[5:])), step]
    assert cuda_step.with_fused_steps(calls, backend) == calls


def test_ranks_sum_before_the_update() -> None:
    backend = CudaBackend("float64")
    store = Store(4, 5, 3, bias=True, precision="float64")
    innovation, step = store.calls(backend, "sum")

    def doubled() -> None:
        for sums in (store.G, store.L):
            sums[...] = sums * 2

    collective.bind(backend, [innovation, Call(collective.COLLECTIVE, (doubled,)), step]).run()
    want = Store(4, 5, 3, bias=True, precision="float64")
    first, second = want.calls(None, "sum")
    KERNELS[first.kernel](*first.arguments)
    want.G *= 2
    want.L *= 2
    KERNELS[second.kernel](*second.arguments)
    np.testing.assert_allclose(backend.to_host(store.mu), want.mu, rtol=1e-12)
    np.testing.assert_allclose(backend.to_host(store.var), want.var, rtol=1e-12)


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
    name: str, rule: str, monkeypatch: pytest.MonkeyPatch, size: str | None, precision: str
) -> tuple[dict[str, np.ndarray], int]:
    """The state after two epochs of full and short batches, and the fused updates of a step."""
    if size is not None:
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
    calls = cuda_step.with_fused_steps(learner.step_calls(8).all(), backend)
    return learner.state_dict(), sum(call.kernel == "linear_step" for call in calls)


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_training_is_the_same_with_it_and_without(
    name: str, size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    want, fused = trained(name, "information_capped", monkeypatch, "none", "float64")
    assert fused == 0
    got, fused = trained(name, "information_capped", monkeypatch, size, "float64")
    assert fused == NETWORKS[name][2]
    for key, value in want.items():
        np.testing.assert_allclose(got[key], value, rtol=1e-10, atol=1e-13, err_msg=key)


@pytest.mark.parametrize("rule", RULES)
def test_in_float32_it_is_within_rounding(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    want, _ = trained("dense", rule, monkeypatch, "none", "float32")
    for size in ("small", "large"):
        got, fused = trained("dense", rule, monkeypatch, size, "float32")
        assert fused == 2
        for key, value in want.items():
            np.testing.assert_allclose(got[key], value, rtol=1e-4, atol=1e-5, err_msg=key)


def test_passes_that_are_stepped_from_python_keep_their_sums() -> None:
    net = nn.Network(NETWORKS["dense"][0](), (4,), backend=CudaBackend())
    net(np.ones((3, 4)))
    for array in net.innovations():
        array.fill(-0.1)
    net.backward()
    sums = [net.backend.to_host(t.G) for t in net.parameters.tensors.values()]  # type: ignore[arg-type]
    assert all((array != 0).any() for array in sums)
