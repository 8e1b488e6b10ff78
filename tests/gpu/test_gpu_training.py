"""Whole trainings on a GPU: reference trajectories, and the same as on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
from golden_replay import cases, distance, replay

from tagi_cli import nn
from tagi_cli.backend import Backend, Call, select
from tagi_cli.backend.cuda.backend import CudaBackend
from tagi_cli.backend.select import without_gpu

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(without_gpu()), reason=without_gpu())]


@pytest.mark.parametrize("name", cases())
def test_a_reference_trajectory_agrees_to_1e_5(name: str) -> None:
    worst = {what: d for what, d in replay(name, CudaBackend()).items() if not d <= 1e-5}
    assert not worst


def mlp() -> tuple[nn.Sequential, tuple[int, ...]]:
    """The network of the benchmark."""
    return nn.Sequential(
        nn.Linear(784, 128), nn.MixtureReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 11)
    ), (784,)


def wide() -> tuple[nn.Sequential, tuple[int, ...]]:
    """Large enough for cuBLAS."""
    return nn.Sequential(nn.Linear(600, 1000), nn.MixtureReLU(), nn.Linear(1000, 11)), (600,)


def images() -> tuple[nn.Sequential, tuple[int, ...]]:
    """A block of a residual network and its neighbours."""
    block = nn.ResNetBlock(
        nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.MixtureReLU(),
            nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8),
        )
    )  # fmt: skip
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), block, nn.MixtureReLU(), nn.AvgPool2d(2),
        nn.Linear(0, 11),
    ), (3, 16, 16)  # fmt: skip


def steps(
    make: object, backend: Backend, count: int, rows: int = 64
) -> tuple[nn.network.Moments, dict[str, np.ndarray]]:
    """The prediction and the parameters after some steps on data that a linear map made."""
    rng = np.random.default_rng(0)
    layers, shape = make()  # type: ignore[operator]
    net = nn.Network(layers, shape, rng=np.random.default_rng(1), backend=backend)
    updater = nn.OutputUpdater(net)
    truth = rng.normal(size=(int(np.prod(shape)), 11)) / 30
    # Noise as large as the signal: less of it makes rounding grow from step to step.
    var_v = np.ones((rows, 11))
    for _ in range(count):
        x = rng.normal(size=(rows, *shape))
        net(x)
        updater.update(x.reshape(rows, -1) @ truth, var_v)
        net.backward()
        net.step()
    net.eval()
    return net(rng.normal(size=(rows, *shape))), net.state_dict()


@pytest.mark.parametrize("make", [mlp, wide, images])
def test_100_steps_are_those_of_the_cpu_to_1e_4(make: object) -> None:
    got, state = steps(make, CudaBackend(), 100)
    want, reference = steps(make, select("cpu"), 100)
    assert distance(got.mu, want.mu) < 1e-4
    assert distance(got.var, want.var) < 1e-4
    far = {name: distance(state[name], value) for name, value in reference.items()}
    assert not {name: d for name, d in far.items() if not d < 1e-4}


@pytest.mark.parametrize("make", [mlp, wide, images])
def test_in_float64_they_agree_to_1e_9(make: object) -> None:
    got, _ = steps(make, CudaBackend("float64"), 20)
    want, _ = steps(make, select("cpu", precision="float64"), 20)
    assert distance(got.mu, want.mu) < 1e-9
    assert distance(got.var, want.var) < 1e-9


def test_tf32_stays_near_float32() -> None:
    got, _ = steps(wide, CudaBackend("tf32"), 20)
    want, _ = steps(wide, CudaBackend(), 20)
    assert distance(got.mu, want.mu) < 1e-2
    assert 0 < distance(got.var, want.var) < 1e-2


def test_two_runs_are_the_same_bit_for_bit() -> None:
    first, second = (steps(images, CudaBackend(), 10)[1] for _ in range(2))
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


def test_steps_are_captured_as_graphs() -> None:
    backend = CudaBackend()
    cursor = backend.zeros((1,), np.int32)
    segment = backend.bind([Call("advance", (cursor, np.int32(1)))] * 2)
    segment.run(3)
    assert segment._graph is not None
    assert backend.to_host(cursor) == 6


def test_products_are_captured_as_graphs() -> None:
    net = nn.Network(wide()[0], (600,), backend=CudaBackend())
    for _ in range(2):
        net(np.zeros((64, 600)))
        net.backward()
    assert all(segment._graph is not None for segment in net.current.segments[:2])  # type: ignore[attr-defined]
