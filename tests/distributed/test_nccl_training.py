"""Trainings on GPUs that exchange by NCCL, on the CPU: kernels, graphs and collectives in order."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import fake_cupy
import numpy as np
import pytest
from fake_cuda_memory import flush
from fake_nccl import fake_nccl
from kernel_harness import needs_compiler
from thread_ranks import ThreadRanks, on_ranks

from tagi_cli import nn
from tagi_cli.backend.cuda.backend import CudaBackend
from tagi_cli.distributed import ALONE, Communicator
from tagi_cli.distributed.nccl import NcclCommunicator
from tagi_cli.training.learner import Learner
from tagi_cli.training.noise import registry

pytestmark = needs_compiler

ROWS, BATCH = 37, 10


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> ModuleType:
    found: ModuleType = fake_cupy.install(
        monkeypatch, pytestconfig.cache.mkdir("cuda_on_the_cpu"), 3
    )
    return found


def on_gpus(cupy: Any, size: int, work: Callable[[NcclCommunicator], Any]) -> list[Any]:
    """GPUs share one memory here, and what is captured, so that ranks take turns."""

    def run(ranks: ThreadRanks) -> Any:
        library = fake_nccl(ranks, lambda: int(cupy.cuda.get_current_stream().ptr), flush)
        return work(NcclCommunicator(ranks, cupy, library))

    return on_ranks(size, run, in_turns=True)


def mlp(units: int) -> nn.Layer:
    return nn.Sequential(
        nn.Linear(0, 14), nn.BatchNorm2d(), nn.ReLU(), nn.Linear(0, 9), nn.ReLU(),
        nn.Linear(0, units),
    )  # fmt: skip


def cnn(units: int) -> nn.Layer:
    return nn.Sequential(
        nn.Conv2d(0, 4, 3, padding=1), nn.BatchNorm2d(), nn.ReLU(), nn.AvgPool2d(2, 2),
        nn.Linear(0, units),
    )  # fmt: skip


def trained(
    build: Callable[[int], nn.Layer], shape: tuple[int, ...], ranks: Communicator, **options: Any
) -> dict[str, np.ndarray]:
    """What is known after 20 steps, of which every fourth has a short batch."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, *shape)).astype(np.float32)
    y = np.sin(x.reshape(ROWS, -1)[:, :2]).astype(np.float32)
    y[::7, 1] = np.nan
    kind = registry["learned"]
    learner = Learner(
        build, shape, 2, noise=(kind, kind.options()), update_rule="information_capped", cap=None,
        batch_size=BATCH, rng=np.random.default_rng(3 + ranks.rank),
        backend=CudaBackend(index=ranks.rank), ranks=ranks, **options,
    )  # fmt: skip
    learner.bind(x, y)
    for epoch in range(5):
        learner.start_epoch(epoch)
        learner.train(rng.permutation(ROWS), 0, ROWS)
    return {**learner.state_dict(), **learner.scores()}


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize(("build", "shape"), [(mlp, (5,)), (cnn, (2, 6, 6))], ids=["mlp", "cnn"])
def test_gpus_equal_one(
    cupy: ModuleType, build: Callable[[int], nn.Layer], shape: tuple[int, ...], size: int
) -> None:
    alone = trained(build, shape, ALONE)
    together = on_gpus(cupy, size, lambda ranks: trained(build, shape, ranks))
    for found in together:
        assert found.keys() == alone.keys()
        for name, value in alone.items():
            np.testing.assert_array_equal(found[name], together[0][name], err_msg=name)
            np.testing.assert_allclose(
                found[name], value, rtol=0, atol=1e-5 * np.abs(value).max(), err_msg=name
            )


def test_statistics_of_their_own(cupy: ModuleType) -> None:
    """Running ones are then the mean, which ranks form on the GPU."""
    first, second = on_gpus(cupy, 2, lambda ranks: trained(mlp, (5,), ranks, sync_batchnorm=False))
    for name, value in first.items():
        np.testing.assert_array_equal(second[name], value, err_msg=name)
