"""Sums and update of a fully connected layer in one kernel of the GPU, run on the CPU."""

from __future__ import annotations

from types import ModuleType

import fake_cupy
import numpy as np
import pytest
from fused_step import (
    NETWORKS,
    SHAPES,
    Store,
    assert_step_agrees,
    limited,
    trained,
)
from kernel_harness import needs_compiler

from tagi_cli import nn
from tagi_cli.backend import Backend, Call, collective
from tagi_cli.backend.cuda import step as cuda_step
from tagi_cli.backend.cuda.backend import CudaBackend
from tagi_cli.backend.reference import KERNELS
from tagi_cli.nn.rules import RULES

pytestmark = needs_compiler


@pytest.fixture(autouse=True)
def cupy(monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> ModuleType:
    return fake_cupy.install(monkeypatch, pytestconfig.cache.mkdir("cuda_on_the_cpu"))


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
    assert_step_agrees(shape, bias=bias, precision=precision)


def test_the_size_decides_which_kernel_runs() -> None:
    """By default: many tiles, or many products with few rows, are for the kernel of large tiles."""

    def kernels(B: int, I: int, O: int) -> list[str]:
        backend = CudaBackend()
        store = Store(B, I, O, bias=False, precision="float32")
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
