"""Ranks that share batches learn what one process learns from whole ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from thread_ranks import ThreadRanks, on_ranks

from tagi_cli import nn
from tagi_cli.backend import select
from tagi_cli.distributed import ALONE, Communicator
from tagi_cli.distributed.partition import rows_per_rank
from tagi_cli.errors import UserError
from tagi_cli.training.class_noise import class_noise
from tagi_cli.training.learner import Learner
from tagi_cli.training.noise import registry

ROWS, BATCH, OUTPUTS = 77, 10, 3
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}

Build = Callable[[int], nn.Layer]


def mlp(units: int) -> nn.Layer:
    return nn.Sequential(nn.Linear(0, 14), nn.MixtureReLU(), nn.Linear(0, 9), nn.ReLU(),
                         nn.Linear(0, units))  # fmt: skip


def blocks(units: int) -> nn.Layer:
    inner = nn.Sequential(nn.Linear(0, 8), nn.BatchNorm2d(), nn.ReLU(), nn.Linear(0, 8))
    return nn.Sequential(
        nn.Linear(0, 8), nn.ResNetBlock(inner), nn.LayerNorm(), nn.Linear(0, units)
    )


def cnn(units: int) -> nn.Layer:
    return nn.Sequential(
        nn.Conv2d(0, 4, 3, padding=1), nn.BatchNorm2d(), nn.ReLU(), nn.AvgPool2d(2, 2),
        nn.Conv2d(0, 5, 3), nn.BatchNorm2d(statistics="mixture", projected=True), nn.ReLU(),
        nn.Linear(0, units),
    )  # fmt: skip


def data(shape: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS, *shape))
    flat = x.reshape(ROWS, -1)
    y = np.sin(flat @ rng.normal(size=(flat.shape[1], OUTPUTS)) / flat.shape[1] ** 0.5)
    y += 0.1 * rng.normal(size=y.shape)
    y[::9, 1] = np.nan
    return x, y


def make(
    build: Build, shape: tuple[int, ...], ranks: Communicator = ALONE, noise: str = "learned",
    precision: str = "float64", kernels: str = "auto", **options: Any,
) -> Learner:  # fmt: skip
    kind = registry[noise]
    return Learner(
        build,
        shape,
        OUTPUTS,
        noise=(kind, kind.options()),
        update_rule=options.pop("rule", "information_capped"),
        cap=None,
        batch_size=options.pop("batch_size", BATCH),
        # Only what rank 0 has drawn counts.
        rng=np.random.default_rng(3 + 100 * ranks.rank),
        backend=select(kernels=kernels, precision=precision),
        ranks=ranks,
        **options,
    )


def trained(learner: Learner, x: np.ndarray, y: np.ndarray, epochs: int = 3) -> dict[str, Any]:
    """All that is known after some epochs of 8 steps each, cut differently in each of them."""
    learner.bind(x, y)
    rng = np.random.default_rng(1)
    for epoch in range(epochs):
        order = rng.permutation(ROWS)
        learner.start_epoch(epoch)
        cut = BATCH * (2 + epoch)
        learner.train(order, 0, cut)
        learner.train(order, cut, ROWS)
    scores = {f"scores.{name}": value for name, value in learner.scores().items()}
    return {**learner.state_dict(), **scores}


def agree(one: dict[str, Any], other: dict[str, Any], tolerance: float) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        largest = np.abs(value).max(initial=0)
        np.testing.assert_allclose(other[name], value, rtol=0, atol=tolerance * largest + 1e-30,
                                   err_msg=name)  # fmt: skip


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize(
    ("build", "shape"),
    [(mlp, (6,)), (blocks, (6,)), (cnn, (2, 8, 8))],
    ids=["mlp", "blocks", "cnn"],
)
def test_ranks_equal_one(build: Build, shape: tuple[int, ...], size: int, precision: str) -> None:
    """Batches of 10 rows for 3 ranks, and a last one of 7, are shared unequally."""
    x, y = data(shape)
    alone = trained(make(build, shape, precision=precision), x, y)

    def work(ranks: ThreadRanks) -> dict[str, Any]:
        return trained(make(build, shape, ranks, precision=precision), x, y)

    together = on_ranks(size, work)
    for found in together:
        agree(alone, found, TOLERANCE[precision])
        for name, value in together[0].items():
            np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.parametrize("rule", ["sum", "capped", "information", "site"])
def test_every_rule_sees_the_whole_batch(rule: str) -> None:
    x, y = data((6,))
    alone = trained(make(mlp, (6,), rule=rule), x, y)
    for found in on_ranks(2, lambda ranks: trained(make(mlp, (6,), ranks, rule=rule), x, y)):
        agree(alone, found, 1e-12)


@pytest.mark.parametrize("noise", ["constant", "decay", "heteroscedastic", "learned"])
@pytest.mark.parametrize("kernels", ["numpy", "auto"])
def test_every_noise(noise: str, kernels: str) -> None:
    x, y = data((6,))
    alone = trained(make(mlp, (6,), noise=noise, kernels=kernels), x, y)

    def work(ranks: ThreadRanks) -> dict[str, Any]:
        return trained(make(mlp, (6,), ranks, noise=noise, kernels=kernels), x, y)

    for found in on_ranks(3, work):
        agree(alone, found, 1e-11)


@pytest.mark.parametrize("head", ["softmax", "hrc"])
def test_classes(head: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 6))
    y = np.eye(OUTPUTS)[rng.integers(OUTPUTS, size=ROWS)]

    def work(ranks: Communicator) -> dict[str, Any]:
        kind = registry["learned"]
        learner = Learner(
            mlp, (6,), OUTPUTS, noise=class_noise(head, kind, kind.options()), cap=None,
            update_rule="information_capped", batch_size=BATCH, rng=np.random.default_rng(0),
            backend=select(precision="float64"), ranks=ranks,
        )  # fmt: skip
        return trained(learner, x, y)

    alone = work(ALONE)
    for found in on_ranks(2, work):
        agree(alone, found, 1e-11)


def test_one_all_reduce_per_step() -> None:
    """And one more at the end, for the scores."""
    x, y = data((6,))

    def work(ranks: ThreadRanks) -> int:
        trained(make(blocks, (6,), ranks, noise="constant"), x, y, epochs=1)
        return ranks.collectives

    steps = -(-ROWS // BATCH)
    gathered = steps  # statistics of the one normalisation over the batch
    assert on_ranks(2, work) == [steps + gathered + 1] * 2


def test_without_pooled_statistics_ranks_still_agree() -> None:
    x, y = data((2, 8, 8))
    alone = trained(make(cnn, (2, 8, 8)), x, y)

    def work(ranks: ThreadRanks) -> dict[str, Any]:
        return trained(make(cnn, (2, 8, 8), ranks, sync_batchnorm=False), x, y)

    first, second = on_ranks(2, work)
    for name, value in first.items():
        np.testing.assert_array_equal(second[name], value, err_msg=name)
    name = next(name for name in alone if name.endswith("running_mean"))
    difference = np.abs(first[name] - alone[name]).max()
    assert 1e-12 < difference < 0.3


def lottery(units: int) -> nn.Layer:
    return nn.Sequential(
        nn.Linear(0, 14), nn.ReLU(), nn.Dropout(0.7, "sample"), nn.Linear(0, 9), nn.Dropout(0.8),
        nn.ReLU(), nn.Linear(0, units),
    )  # fmt: skip


def random_states(units: int) -> nn.Layer:
    lstm = nn.LSTM(2, 5, 3, internal_state="random", output="last")
    return nn.Sequential(lstm, nn.Linear(0, units))


@pytest.mark.parametrize(("build", "shape"), [(lottery, (6,)), (random_states, (3, 2))])
def test_what_is_drawn_belongs_to_the_row(build: Build, shape: tuple[int, ...]) -> None:
    """Masks and first states are those of one process, whichever rank has the row."""
    x, y = data(shape)
    alone = trained(make(build, shape), x, y)
    for found in on_ranks(3, lambda ranks: trained(make(build, shape, ranks), x, y)):
        agree(alone, found, 1e-11)


def test_rows_of_every_rank() -> None:
    assert rows_per_rank(77, 10, 3) == [24, 24, 29]
    for size in range(1, 7):
        assert sum(rows_per_rank(77, 10, size)) == 77


@pytest.mark.parametrize("size", [2, 3])
def test_goes_on_with_another_number_of_ranks(size: int) -> None:
    x, y = data((6,))
    order = np.random.default_rng(2).permutation(ROWS)

    def half(learner: Learner, begin: int, end: int) -> Learner:
        learner.bind(x, y)
        learner.train(order, begin, end)
        return learner

    whole = half(make(mlp, (6,)), 0, ROWS)
    before = half(make(mlp, (6,)), 0, 40)
    state, scores = before.state_dict(), before.scores()

    def work(ranks: ThreadRanks) -> dict[str, Any]:
        learner = make(mlp, (6,), ranks)
        learner.load_state_dict(state)
        learner.start_epoch(0, scores)
        half(learner, 40, ROWS)
        return {**learner.state_dict(), **learner.scores()}

    for found in on_ranks(size, work):
        agree({**whole.state_dict(), **whole.scores()}, found, 1e-12)


def test_fewer_rows_than_ranks() -> None:
    with pytest.raises(UserError, match=r"data\.batch_size: found 2, fewer rows than the 3 ranks"):
        on_ranks(3, lambda ranks: make(mlp, (6,), ranks, batch_size=2))
