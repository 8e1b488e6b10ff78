"""Steps of ranks that each bring rows of their own: those of one process with all rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from thread_ranks import ThreadRanks, on_ranks

from tagi_cli import nn
from tagi_cli.backend import select

ROWS, STEPS = 5, 20
CUTS = {2: (0, 2, 5), 3: (0, 2, 3, 5)}


def mlp() -> nn.Layer:
    return nn.Sequential(nn.Linear(4, 7), nn.BatchNorm2d(), nn.ReLU(), nn.Linear(7, 2))


def lstm() -> nn.Layer:
    return nn.Sequential(nn.LSTM(4, 3, 1, tracking=True, output="last"), nn.Linear(3, 2))


def learn(
    net: nn.Network, x: np.ndarray, y: np.ndarray, step: Callable[[], object]
) -> dict[str, np.ndarray]:
    """Parameters and states after 20 steps."""
    updater = nn.OutputUpdater(net)
    for inputs, targets in zip(x, y, strict=True):
        net(inputs)
        updater.update(targets, np.full(targets.shape, 0.2))
        net.backward()
        step()
    store = net.parameters
    return {"mu": store.mu, "var": store.var} | {n: s.value for n, s in store.states.items()}


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize(("build", "shape"), [(mlp, (4,)), (lstm, (1, 4))], ids=["mlp", "lstm"])
def test_ranks_equal_one(build: Callable[[], nn.Layer], shape: tuple[int, ...], size: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(STEPS, ROWS, *shape)), rng.normal(size=(STEPS, ROWS, 2))
    cuts = CUTS[size]

    def network(rows: int, seed: int) -> nn.Network:
        backend = select(precision="float64")
        store = nn.Parameters(backend, rows=rows)
        return nn.Network(
            build(), shape, rng=np.random.default_rng(seed), backend=backend, parameters=store
        )

    def work(ranks: ThreadRanks) -> dict[str, np.ndarray]:
        first, last = cuts[ranks.rank : ranks.rank + 2]
        net = network(last - first, ranks.rank)
        parallel = nn.DataParallel(net, ranks)
        return learn(net, x[:, first:last], y[:, first:last], parallel.step)

    found = on_ranks(size, work)
    alone = network(ROWS, 0)
    expected = learn(alone, x, y, alone.step)
    for name, value in expected.items():
        own = name.endswith(("carried", "held"))
        if name.endswith("continues"):
            continue
        parts = [np.concatenate([one[name] for one in found])] if own else [o[name] for o in found]
        for part in parts:
            np.testing.assert_allclose(
                part, value, rtol=0, atol=1e-12 * np.abs(value).max(), err_msg=name
            )
