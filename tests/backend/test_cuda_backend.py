"""The GPU backend on the CPU: arrays, graphs, products, and whole trainings."""

from __future__ import annotations

import gc
import weakref
from types import ModuleType
from typing import Any

import fake_cupy
import numpy as np
import pytest
from golden_replay import cases, replay
from kernel_harness import assert_agrees, needs_compiler

from tagi_cli import nn
from tagi_cli.arch import mlp
from tagi_cli.backend import Backend, Call, select
from tagi_cli.backend.cuda import conv as cuda_conv
from tagi_cli.backend.cuda import linear as cuda_linear
from tagi_cli.backend.cuda import step as cuda_step
from tagi_cli.backend.cuda.backend import CudaBackend
from tagi_cli.backend.cuda.products import Products
from tagi_cli.backend.notes import say_once
from tagi_cli.nn.rules import RULES
from tagi_cli.training import noise
from tagi_cli.training.learner import Learner

pytestmark = needs_compiler


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> ModuleType:
    return fake_cupy.install(monkeypatch, pytestconfig.cache.mkdir("cuda_on_the_cpu"))


@pytest.fixture(params=["fused", "cublas"])
def products(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to run a fully connected layer."""
    if request.param == "cublas":
        for module, limit in (
            (cuda_linear, "FUSED_WORK"),
            (cuda_step, "WORK"),
            (cuda_step, "ROWS"),
        ):
            monkeypatch.setattr(module, limit, 0)


@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize("name", cases())
def test_a_reference_trajectory_agrees_to_1e_5(name: str) -> None:
    worst = {what: d for what, d in replay(name, CudaBackend()).items() if not d <= 1e-5}
    assert not worst


def train(backend: Backend, rule: str, kind: str) -> dict[str, np.ndarray]:
    """The state of a learner after three epochs with batches of 16 and a short last one."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(70, 3)), rng.normal(size=(70, 2))
    y[::9, 0] = np.nan
    options = mlp.MLPOptions(width=19, depth=2)
    learner = Learner(
        lambda units: mlp.build(options, (3,), units),
        (3,),
        2,
        noise=(noise.registry[kind], noise.registry[kind].options()),
        update_rule=rule,
        cap=None,
        batch_size=16,
        rng=np.random.default_rng(1),
        backend=backend,
    )
    learner.bind(x.astype(backend.dtype), y.astype(backend.dtype))
    for epoch in range(3):
        learner.start_epoch(epoch)
        order = rng.permutation(70)
        learner.train(order, 0, 32)
        learner.train(order, 32, 70)
    learner.check_finite(1)
    mu, var, _ = learner.predict(x)
    return {**learner.state_dict(), **learner.scores(), "mu": mu, "var": var}


@pytest.mark.usefixtures("cupy", "products")
@pytest.mark.parametrize("kind", ["learned", "heteroscedastic"])
@pytest.mark.parametrize("rule", RULES)
def test_a_training_equals_that_of_the_references(rule: str, kind: str) -> None:
    got = train(CudaBackend("float64"), rule, kind)
    want = train(select(kernels="numpy", precision="float64"), rule, kind)
    assert got.keys() == want.keys()
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-8, atol=1e-10, err_msg=name)


@pytest.mark.usefixtures("cupy", "products")
def test_a_training_in_float32_stays_close() -> None:
    got = train(CudaBackend(), "information_capped", "learned")
    want = train(select(kernels="numpy", precision="float64"), "information_capped", "learned")
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.usefixtures("cupy")
def test_a_network_goes_from_the_cpu_to_the_gpu_and_back() -> None:
    x = np.random.default_rng(0).normal(size=(5, 4))
    layers = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm2d(6), nn.ReLU(), nn.Linear(6, 1))
    cpu = select(kernels="numpy", precision="float64")
    net = nn.Network(layers, (4,), rng=np.random.default_rng(1), backend=cpu)
    net(x)
    net.eval()
    want = net(x)
    net.move(CudaBackend("float64"))
    np.testing.assert_allclose(net(x), want, rtol=1e-12)
    net.load_state_dict(net.state_dict())
    net.move(cpu)
    np.testing.assert_allclose(net(x), want, rtol=1e-12)


def step(backend: Backend, cursor: Any) -> Any:
    amount = np.int32(1)
    return backend.bind([Call("advance", (cursor, amount)), Call("advance", (cursor, amount))])


def test_the_first_run_is_eager_and_later_ones_replay_a_graph(cupy: ModuleType) -> None:
    backend = CudaBackend()
    cursor = backend.zeros((1,), np.int32)
    segment = step(backend, cursor)
    segment.run()
    assert cupy.state.get("launched", 0) == 0
    segment.once()
    segment.run(3)
    backend.wait()
    assert cupy.state["launched"] == 4
    assert backend.to_host(cursor) == 10


def test_one_launch_needs_no_graph(cupy: ModuleType) -> None:
    backend = CudaBackend()
    cursor = backend.zeros((1,), np.int32)
    backend.bind([Call("advance", (cursor, np.int32(2)))]).run(5)
    assert backend.to_host(cursor) == 10
    assert "launched" not in cupy.state


@pytest.mark.parametrize("where", ["begin_capture", "end_capture"])
def test_without_graphs_it_runs_and_says_so_once(
    cupy: Any, where: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    say_once.cache_clear()
    backend = CudaBackend()
    cursor = backend.zeros((1,), np.int32)
    for _ in range(2):
        segment = step(backend, cursor)
        segment.run()
        cupy.state["broken"] = where
        segment.run(4)
        cupy.state["broken"] = None
    assert backend.to_host(cursor) == 20
    assert "launched" not in cupy.state
    said = capfd.readouterr().err
    assert said.count("tagi: no CUDA graph, launches are slower: ") == 1


def test_arrays_come_from_a_pool_of_the_backend(cupy: ModuleType) -> None:
    backend = CudaBackend()
    before = backend.memory
    backend.empty((10, 10))
    assert backend.memory == before + 400
    assert backend.xp is cupy
    assert "cuda:0" in backend.describe()


@pytest.mark.usefixtures("cupy")
def test_arrays_outlive_their_backend_and_then_give_their_memory_back() -> None:
    backend = CudaBackend()
    array, pool = backend.asarray([1.0, 2.0]), weakref.ref(backend._pool)
    del backend
    gc.collect()
    other = CudaBackend()
    np.testing.assert_array_equal(other.to_host(array), [1, 2])
    del array
    CudaBackend()
    assert pool() is None


@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize("size", [0, 1, 1000, (1 << 23) + 1])
def test_data_are_written_with_the_arrays_type_and_shape(size: int) -> None:
    backend = CudaBackend()
    array = backend.zeros((size, 1))
    data = np.arange(size, dtype=np.float64)
    backend.write(array, data)
    want = data.astype(np.float32)[:, None]
    data += 1
    np.testing.assert_array_equal(backend.to_host(array), want)
    backend.write(array, backend.asarray(data))
    np.testing.assert_array_equal(backend.to_host(array), want + np.float32(1))


@pytest.mark.usefixtures("cupy")
def test_data_may_change_at_once_and_many_copies_be_under_way() -> None:
    backend = CudaBackend()
    arrays = [backend.zeros((n,)) for n in (3, 50, 3, 4, 5, 3, 60, 3, 3)]
    data = np.zeros(60)
    for array in arrays:
        data += 1
        backend.write(array, data[: array.size])
    for k, array in enumerate(arrays):
        np.testing.assert_array_equal(backend.to_host(array), np.full(array.size, k + 1.0))


@pytest.mark.usefixtures("cupy")
def test_data_of_another_size_are_refused() -> None:
    backend = CudaBackend()
    with pytest.raises(ValueError, match="reshape"):
        backend.write(backend.zeros((3,)), np.zeros(4))


@pytest.mark.usefixtures("cupy")
def test_host_arrays_pass_through() -> None:
    data = np.ones(3)
    copy = CudaBackend().to_host(data)
    data[:] = 2
    assert (copy == 1).all()


@pytest.mark.usefixtures("cupy")
def test_the_same_data_are_copied_once_while_they_live() -> None:
    backend = CudaBackend()
    data = np.ones(3)
    assert backend.resident(data) is backend.resident(data)
    assert backend.resident(data[:2].copy()).size == 2
    del data
    assert not backend._resident


@pytest.mark.usefixtures("cupy")
def test_a_segment_keeps_what_it_works_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_linear, "FUSED_WORK", 0)
    backend = CudaBackend()
    rng = np.random.default_rng(0)
    z = backend.zeros((2, 3))
    arrays = [backend.asarray(rng.random(s)) for s in ((2, 4), (2, 4), (3, 4), (3, 4), 30)]
    mu_a, _, mu_w, _, scratch = (backend.to_host(a) for a in arrays)
    sizes = [np.int32(n) for n in (2, 4, 3)]
    *operands, scratch = arrays
    call = Call(
        "linear_forward", (z, backend.zeros((2, 3)), *operands, None, None, scratch, *sizes)
    )
    segment = backend.bind([call])
    del arrays, operands, scratch, call
    segment.run()
    np.testing.assert_allclose(backend.to_host(z), mu_a @ mu_w.T, rtol=1e-6)


@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize("argument", [1.0, np.zeros(1, np.float32), "x"])
def test_what_is_no_argument_of_a_kernel_is_refused(argument: Any) -> None:
    backend = CudaBackend()
    call = Call("fill", (backend.zeros((1,)), argument, np.int32(1)))
    with pytest.raises(TypeError, match=r"fill: \w+ is no argument of a kernel"):
        backend.bind([call])


@pytest.mark.usefixtures("cupy")
def test_a_strided_array_is_refused() -> None:
    backend = CudaBackend()
    call = Call("fill", (backend.zeros((4, 2))[:, 0], np.float32(0), np.int32(4)))
    with pytest.raises(ValueError, match="fill: an array is not contiguous"):
        backend.bind([call])


def multiply(precision: str) -> tuple[CudaBackend, Products]:
    backend = CudaBackend(precision)
    return backend, backend.products


SIZES = [(1, 1, 1), (2, 3, 4), (1, 5, 2), (7, 1, 3), (3, 4, 0), (0, 2, 3)]


@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("add", [0, 1])
@pytest.mark.parametrize("groups", [(), (1,), (3,)])
@pytest.mark.parametrize(("M", "N", "K"), SIZES)
def test_products(
    M: int, N: int, K: int, groups: tuple[int, ...], add: int, precision: str
) -> None:
    backend, products = multiply(precision)
    rng = np.random.default_rng(0)
    a, b, c = (rng.normal(size=(*groups, *s)).astype(precision) for s in ((M, K), (K, N), (M, N)))
    want = a @ b + add * c
    for A_transposed in (False, True):
        for B_transposed in (False, True):
            left = backend.asarray(a.swapaxes(-1, -2) if A_transposed else a)
            right = backend.asarray(b.swapaxes(-1, -2) if B_transposed else b)
            # With nothing to add, what is in C must not matter.
            out = backend.asarray(c if add else np.full_like(c, np.nan))
            transposed = {"A_transposed": A_transposed, "B_transposed": B_transposed}
            for launch in products.launch(out, left, right, **transposed, add=add):
                launch()
            np.testing.assert_allclose(backend.to_host(out), want, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("cupy")
def test_products_of_parts_of_matrices() -> None:
    backend, products = multiply("float64")
    rng = np.random.default_rng(0)
    a, b, c = (rng.normal(size=(6, 9)) for _ in range(3))
    A, B, C = (backend.asarray(x) for x in (a, b, c))
    for launch in products.launch(C[:4, 2:5], A[:4, 3:], B[:, 1:4], add=1):
        launch()
    c[:4, 2:5] += a[:4, 3:] @ b[:, 1:4]
    np.testing.assert_allclose(backend.to_host(C), c, rtol=1e-12)


@pytest.mark.usefixtures("cupy")
def test_products_that_do_not_fit_are_refused() -> None:
    backend, products = multiply("float32")
    a = backend.zeros((2, 3))
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(2, 3\) do not give \(2, 3\)"):
        products.launch(a, a, a)
    with pytest.raises(ValueError, match="not contiguous"):
        products.launch(backend.zeros((2, 2)), a[:, ::2], backend.zeros((2, 2)))


@pytest.mark.usefixtures("cupy")
def test_what_cublas_refuses_raises() -> None:
    backend, products = multiply("float32")
    a = backend.zeros((2, 2))
    cublas = products._cublas
    with pytest.raises(RuntimeError, match="cuBLAS fails with status 14"):
        cublas.gemm(0, 0, 0, 2, 2, 0, 0, a.data.ptr, 2, a.data.ptr, 2, 0, a.data.ptr, 2)


def test_cublas_that_is_not_linked_is_told(cupy: Any) -> None:
    cupy.cuda.cublas.__file__ = None  # the process itself
    with pytest.raises(ImportError, match="CuPy 0 is not linked with cuBLAS"):
        CudaBackend("float64")


def test_tf32_rounds_what_only_variances_depend_on(
    cupy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_linear, "FUSED_WORK", 0)
    x = np.random.default_rng(0).normal(size=(5, 40))

    def moments(precision: str) -> nn.network.Moments:
        layers = nn.Sequential(nn.Linear(40, 30), nn.Linear(30, 2))
        rng, backend = np.random.default_rng(1), CudaBackend(precision)
        return nn.Network(layers, (40,), rng=rng, backend=backend)(x)

    plain, rounded = moments("float32"), moments("tf32")
    assert set(cupy.cuda.cublas.products) == {("float32", 0), ("float32", 3)}
    np.testing.assert_array_equal(plain.mu, rounded.mu)
    assert np.abs(rounded.var / plain.var - 1).max() > 1e-6
    np.testing.assert_allclose(rounded.var, plain.var, rtol=2e-3)


@pytest.mark.usefixtures("cupy")
def test_a_batch_of_images_is_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[int] = []
    original = cuda_conv._Tile.__init__

    def counted(self: Any, *arguments: Any) -> None:
        parts.append(arguments[-1])
        original(self, *arguments)

    monkeypatch.setattr(cuda_conv._Tile, "__init__", counted)
    monkeypatch.setattr(cuda_conv, "WORKSPACE", 3 * 2 * (2 * 9 + 4) * 25)
    monkeypatch.setattr("kernel_harness.compiled", CudaBackend)
    rng = np.random.default_rng(0)
    image, maps, weights = (rng.normal(size=s) for s in ((5, 2, 7, 7), (5, 4, 5, 5), (4, 1, 3, 3)))
    window = (2, 7, 7, 4, 5, 5, 3, 3, 1, 1, 1, 1, 0, 0, 2)
    scratch = np.zeros(20000)
    for add in (0, 1):
        assert_agrees("conv2d_innovation", weights, weights, None, None, image, maps, maps, scratch,
                      5, *window, add, scratch=7)  # fmt: skip
        assert_agrees("conv2d_backward", image, image, maps, maps, weights, scratch, 5, *window,
                      add, scratch=5)  # fmt: skip
    assert_agrees("conv2d_forward", maps, maps, image, image**2, weights, weights**2,
                  maps[0, :, 0, 0], maps[0, :, 0, 1] ** 2, scratch, 5, *window,
                  scratch=8)  # fmt: skip
    assert parts == 5 * [2, 2, 1]
