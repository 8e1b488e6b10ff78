"""`DDPSequential` on ranks that are threads: sums, means, blocks, and every method."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from thread_ranks import ThreadRanks, on_ranks

from tagi_cli.distributed import ALONE, Communicator
from tagi_cli.errors import UserError
from tagi_cli.pytagi import manual_seed, nn
from tagi_cli.pytagi.nn import ddp

LOCAL = threading.local()
STEPS, ROWS = 20, 11
CUTS = {2: (0, 4, 11), 3: (0, 5, 6, 11)}


def mlp() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(5, 12), nn.ReLU(),
        nn.ResNetBlock(nn.LayerBlock(nn.Linear(12, 12), nn.ReLU())), nn.Linear(12, 2),
    )  # fmt: skip


def cnn() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False, in_width=6, in_height=6), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Linear(64, 2),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thread finds the ranks that it has set; how processes do is tested elsewhere."""
    connected = ddp.connect

    def found(backend: str, where: str) -> Communicator:
        return getattr(LOCAL, "ranks", None) or connected(backend, where=where)

    monkeypatch.setattr(ddp, "connect", found)
    monkeypatch.setattr(ddp, "abort_on_error", lambda ranks: None)


def made(
    model: nn.Sequential, ranks: Communicator, average: bool, config: nn.DDPConfig | None = None
) -> nn.DDPSequential:
    LOCAL.ranks = ranks
    try:
        return nn.DDPSequential(model, config or nn.DDPConfig([], backend="mpi"), average)
    finally:
        del LOCAL.ranks


def data(size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(STEPS, ROWS, size)).astype(np.float32)
    return x, rng.normal(size=(STEPS, ROWS, 2)).astype(np.float32)


def learn(net: Any, x: np.ndarray, y: np.ndarray, rows: slice, noise: float = 0.25) -> None:
    buffers = net
    updater = nn.OutputUpdater(
        net.device if isinstance(net, nn.Sequential) else net.get_device_with_index()
    )
    for inputs, targets in zip(x[:, rows], y[:, rows], strict=True):
        net(inputs.ravel())
        observed = targets.ravel()
        variances = np.full(observed.size, noise, np.float32)
        updater.update(buffers.output_z_buffer, observed, variances, buffers.input_delta_z_buffer)
        net.backward()
        net.step()


def flat(net: nn.Sequential) -> np.ndarray:
    store = net.network.parameters
    states = [state.value.ravel() for state in store.states.values()]
    return np.concatenate([store.mu, store.var, *states])


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], nn.Sequential], int], Any]:
    """A model per rank, made one after the other: the generator of the seed is the process's."""

    def make(build: Callable[[], nn.Sequential], size: int) -> list[nn.Sequential]:
        found = []
        for rank in range(size):
            manual_seed(7 + rank)
            found.append(build())
            found[-1].preinit_layer()
        return found

    return make


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize(("build", "units"), [(mlp, 5), (cnn, 36)], ids=["mlp", "cnn"])
def test_the_sum_is_one_process_with_all_rows(
    models: Any, build: Callable[[], nn.Sequential], units: int, size: int
) -> None:
    """After 20 steps of unequal shards, blocks and running statistics included."""
    x, y = data(units)
    (alone,) = models(build, 1)
    own = models(build, size)
    learn(alone, x, y, slice(None))

    def work(ranks: ThreadRanks) -> np.ndarray:
        first, last = CUTS[size][ranks.rank : ranks.rank + 2]
        learn(made(own[ranks.rank], ranks, False), x, y, slice(first, last))
        return flat(own[ranks.rank])

    expected = flat(alone)
    found = on_ranks(size, work)
    for one in found:
        np.testing.assert_array_equal(one, found[0])
        np.testing.assert_allclose(one, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("size", [2, 3])
def test_the_mean_is_the_capped_step_of_the_mean(models: Any, size: int) -> None:
    """Innovations divided by the number of processes, the cap of what they have on average.

    One of three has a single row, for which pytagi has another cap: all make the same step.
    """
    x, y = data(5)
    (alone,), own = models(mlp, 1), models(mlp, size)
    learn(alone, x[:1], y[:1], slice(0, 0))
    store = alone.network.parameters
    mu, var = store.mu.copy(), store.var.copy()
    G, L = np.zeros((2, size, store.size))
    shards = [slice(*CUTS[size][rank : rank + 2]) for rank in range(size)]
    for rank, rows in enumerate(shards):
        alone(x[0, rows].ravel())
        observed = y[0, rows].ravel()
        nn.OutputUpdater("cpu").update(
            alone.output_z_buffer, observed, np.full(observed.size, 0.25, np.float32),
            alone.input_delta_z_buffer,
        )  # fmt: skip
        alone.backward()
        G[rank], L[rank] = store.G, store.L

    def work(ranks: ThreadRanks) -> nn.Sequential:
        learn(made(own[ranks.rank], ranks, True), x[:1], y[:1], shards[ranks.rank])
        return own[ranks.rank]

    bar = np.sqrt(var) / 2
    found = [each.network.parameters for each in on_ranks(size, work)]
    for after in found:
        np.testing.assert_array_equal(after.mu, found[0].mu)
        np.testing.assert_allclose(
            after.mu, mu + np.clip(var * G.mean(axis=0), -bar, bar), rtol=1e-4, atol=1e-6
        )
        np.testing.assert_allclose(
            after.var, var + np.clip(var**2 * L.mean(axis=0), -bar, bar), rtol=1e-4, atol=1e-6
        )


def test_all_go_on_from_the_running_statistics_of_the_first(models: Any) -> None:
    """A network that was trained before, on each rank with other data."""
    x, y = data(36)
    own = models(cnn, 2)
    for net, rows in zip(own, (slice(0, 4), slice(4, 11)), strict=True):
        learn(net, x, y, rows)
    expected = flat(own[0])

    def work(ranks: ThreadRanks) -> np.ndarray:
        learner = made(own[ranks.rank], ranks, False)
        learner.eval()
        learner(x[0].ravel())
        return flat(own[ranks.rank])

    for found in on_ranks(2, work):
        np.testing.assert_array_equal(found, expected)


def series() -> nn.Sequential:
    return nn.Sequential(nn.LSTM(3, 4, 1), nn.Linear(4, 2))


@pytest.mark.parametrize("size", [2, 3])
def test_recurrent_states_are_those_of_the_rows_of_each(models: Any, size: int) -> None:
    """Set for the first call, of as many rows as each process has."""
    cuts = {2: (0, 4, 11), 3: (0, 4, 6, 11)}[size]
    x, y = data(3)
    (alone,), own = models(series, 1), models(series, size)
    start = np.random.default_rng(1).uniform(0.1, 0.5, size=(4, ROWS, 4)).astype(np.float32)

    def begin(net: nn.Sequential, rows: slice) -> None:
        net.set_lstm_states({0: tuple(part[rows].ravel() for part in start)})

    begin(alone, slice(None))
    learn(alone, x, y, slice(None))

    def work(ranks: ThreadRanks) -> tuple[np.ndarray, Any]:
        net = own[ranks.rank]
        rows = slice(*cuts[ranks.rank : ranks.rank + 2])
        begin(net, rows)
        learn(made(net, ranks, False), x, y, rows)
        store = net.network.parameters
        return np.concatenate([store.mu, store.var]), net.get_lstm_states()[0]

    store = alone.network.parameters
    expected = np.concatenate([store.mu, store.var])
    found = on_ranks(size, work)
    for parameters, _ in found:
        np.testing.assert_allclose(parameters, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    for number, whole in enumerate(alone.get_lstm_states()[0]):
        parts = np.concatenate([states[number] for _, states in found])
        np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-5 * np.abs(whole).max())


def test_alone_it_is_the_model(models: Any) -> None:
    x, y = data(5)
    one, other = *models(mlp, 1), *models(mlp, 1)
    learn(one, x, y, slice(None))
    config = nn.DDPConfig([], backend="auto", rank=3, world_size=9)
    parallel = nn.DDPSequential(other, config)
    learn(parallel, x, y, slice(None))
    np.testing.assert_array_equal(flat(one), flat(other))
    assert (config.rank, config.world_size) == (0, 1)
    parallel.barrier()
    parallel.eval()
    mu, var = parallel.forward(x[0].ravel())
    assert parallel.output_to_host() == mu.tolist()
    np.testing.assert_array_equal(parallel.get_outputs()[1], var)
    assert parallel.get_device_with_index() == "cpu"
    parallel.train()
    assert other.training


def test_a_network_that_learns_its_size_from_the_first_call() -> None:
    own = [nn.Sequential(nn.BatchNorm2d(4), nn.Linear(4, 1)) for _ in range(2)]
    x = np.random.default_rng(0).normal(size=(2, 6, 4)).astype(np.float32)

    def work(ranks: ThreadRanks) -> np.ndarray:
        learner = made(own[ranks.rank], ranks, False)
        learner(x[ranks.rank])
        return flat(own[ranks.rank])

    first, second = on_ranks(2, work)
    np.testing.assert_array_equal(first, second)
    mean = own[0].network.parameters.states
    running = next(s.value for name, s in mean.items() if name.endswith("running_mean"))
    np.testing.assert_allclose(running, x.mean(axis=(0, 1)), rtol=1e-5)


def test_config() -> None:
    config = nn.DDPConfig([0, 1])
    assert (config.device_ids, config.backend, config.rank, config.world_size) == (
        [0, 1], "nccl", 0, 1,
    )  # fmt: skip
    config.device_ids, config.backend, config.rank, config.world_size = [2], "mpi", 1, 4
    assert (config.device_ids, config.backend, config.rank, config.world_size) == ([2], "mpi", 1, 4)


def test_no_nccl_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(UserError, match=r"DDPConfig\.backend: found 'nccl'.*Install"):
        nn.DDPSequential(mlp(), nn.DDPConfig([0, 1]))


@pytest.mark.parametrize(
    ("ids", "count", "message"),
    [
        ([0, 1], 0, r"found \[0, 1\], but 0 CUDA devices are visible. Allowed: \[\]"),
        ([0, 5], 2, r"found \[0, 5\], but 2 CUDA devices are visible. Allowed: 0 to 1"),
    ],
)
def test_devices_that_are_not_there(
    monkeypatch: pytest.MonkeyPatch, ids: list[int], count: int, message: str
) -> None:
    monkeypatch.setattr(ddp.cuda, "get_device_count", lambda: count)
    with pytest.raises(UserError, match=message):
        made(mlp(), ALONE, True, nn.DDPConfig(ids, backend="mpi"))


def test_an_error_in_a_script_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Communicator] = []
    monkeypatch.setattr(ddp, "abort_on_error", told.append)
    nn.DDPSequential(mlp(), nn.DDPConfig([], backend="auto"))
    assert told == [ALONE]


def test_each_process_has_a_device_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ddp.cuda, "get_device_count", lambda: 3)
    config = nn.DDPConfig([2, 0])
    assert on_ranks(2, lambda ranks: ddp._device(config, ranks)) == ["cuda:2", "cuda:0"]


def test_fewer_devices_than_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ddp.cuda, "get_device_count", lambda: 4)
    config = nn.DDPConfig([2], backend="mpi")
    with pytest.raises(UserError, match=r"found \[2\] for 2 processes on this machine"):
        on_ranks(2, lambda ranks: ddp._device(config, ranks))
    monkeypatch.setattr(ddp.cuda, "get_device_count", lambda: 0)
    assert ddp._device(nn.DDPConfig([0], backend="auto"), ALONE) is None
