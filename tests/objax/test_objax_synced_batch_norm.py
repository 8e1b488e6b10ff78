"""Synced normalisation: the statistics of all ranks' rows, whatever their number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from thread_ranks import ThreadRanks, on_ranks

import tagi_cli.objax as objax
from tagi_cli.objax import nn

SHAPES = {"0D": (3,), "1D": (3, 5), "2D": (3, 4, 4)}
ROWS = (2, 1, 4)


def values(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).normal(1, 2, size=(sum(ROWS), *shape)).astype(np.float32)


@pytest.mark.parametrize("kind", SHAPES)
def test_alone_it_is_batch_norm(kind: str) -> None:
    x = values(SHAPES[kind])
    plain, synced = (
        getattr(nn, f"{name}{kind}")(3, 0.5) for name in ("BatchNorm", "SyncedBatchNorm")
    )
    for training in (True, False):
        np.testing.assert_array_equal(synced(x, training).mu, plain(x, training).mu)
    np.testing.assert_array_equal(synced.running_var.value, plain.running_var.value)


def test_general_form() -> None:
    x = values((3, 5))
    synced = nn.SyncedBatchNorm((1, 1, 5), (0, 1), momentum=0.0)
    synced(x, training=True)
    np.testing.assert_allclose(synced.running_mean.value.ravel(), x.mean(axis=(0, 1)), rtol=1e-5)


@pytest.mark.parametrize("kind", SHAPES)
def test_running_statistics_can_be_left_alone(kind: str) -> None:
    x = values(SHAPES[kind])
    synced = getattr(nn, f"SyncedBatchNorm{kind}")(3)
    kept = synced(x, True, batch_norm_update=False)
    assert not synced.running_mean.value.any()
    np.testing.assert_array_equal(synced(x, True).mu, kept.mu)
    assert synced.running_mean.value.all()


class Net(objax.Module):
    """Normalised units in front of a line."""

    def __init__(self, norm: Any, units: int) -> None:
        self.norm = norm
        self.line = nn.Linear(units, 1)

    def __call__(self, x: Any, training: bool) -> Any:
        return self.line(objax.functional.flatten(self.norm(x, training)))


def trained(net: Net, x: np.ndarray, y: np.ndarray, ranks: Any = None) -> dict[str, np.ndarray]:
    train = objax.Trainer(net, rule="information", ranks=ranks)
    for _ in range(20):
        train(x, y, 0.1)
    found = {name: np.array(var.value) for name, var in net.vars().items()}
    mu, _ = net(values(x.shape[1:]), training=False)
    return {**found, "prediction": mu}


@pytest.mark.parametrize("kind", SHAPES)
def test_shards_of_any_size_learn_what_one_process_does(kind: str) -> None:
    shape = SHAPES[kind]
    x, units = values(shape), int(np.prod(shape))
    y = np.sin(x.reshape(len(x), -1).sum(axis=1, keepdims=True))
    make = getattr(nn, f"SyncedBatchNorm{kind}")
    nets = []
    for _ in range(4):
        objax.random.DEFAULT_GENERATOR.seed(3)
        nets.append(Net(make(3, 0.9), units))
    alone = trained(nets[3], x, y)
    begin = np.cumsum([0, *ROWS])

    def work(ranks: ThreadRanks) -> dict[str, np.ndarray]:
        part = slice(begin[ranks.rank], begin[ranks.rank + 1])
        return trained(nets[ranks.rank], x[part], y[part], ranks)

    for found in on_ranks(3, work):
        for name, value in alone.items():
            np.testing.assert_allclose(
                found[name], value, rtol=0, atol=1e-5 * np.abs(value).max() + 1e-7, err_msg=name
            )


@pytest.mark.parametrize("uncertain", [False, True])
@pytest.mark.parametrize("kind", SHAPES)
def test_pooled_statistics_are_those_of_the_union(kind: str, uncertain: bool) -> None:
    """Against one computation over all rows; far from zero, where sums of squares would cancel."""
    x = values(SHAPES[kind]) + 1000
    var_x = np.random.default_rng(1).uniform(0, 3, x.shape).astype(np.float32) * uncertain
    begin = np.cumsum([0, *ROWS])
    nets = [Net(getattr(nn, f"SyncedBatchNorm{kind}")(3, 0.0), x[0].size) for _ in range(3)]

    def work(ranks: ThreadRanks) -> tuple[np.ndarray, np.ndarray]:
        part = slice(begin[ranks.rank], begin[ranks.rank + 1])
        given = objax.Moments(x[part], var_x[part]) if uncertain else x[part]
        net = nets[ranks.rank]
        objax.Trainer(net, ranks=ranks)(given, np.zeros((len(x[part]), 1)), 1.0)
        return np.array(net.norm.running_mean.value), np.array(net.norm.running_var.value)

    axes = (0, *range(2, x.ndim))
    exact = x.astype(np.float64)
    mean, var = exact.mean(axis=axes), exact.var(axis=axes) + var_x.mean(axis=axes)
    found = on_ranks(3, work)
    for running_mean, running_var in found:
        np.testing.assert_array_equal(running_mean, found[0][0])
        np.testing.assert_array_equal(running_var, found[0][1])
        np.testing.assert_allclose(running_mean.ravel(), mean, rtol=1e-6)
        np.testing.assert_allclose(running_var.ravel(), var, rtol=2e-5)


def test_plain_normalisation_takes_a_ranks_own_rows() -> None:
    """Their running statistics become the mean over ranks."""
    x = values((3,))
    nets = [Net(nn.BatchNorm0D(3, 0.0), 3) for _ in range(2)]

    def work(ranks: ThreadRanks) -> np.ndarray:
        own = x[:3] if ranks.leads else x[3:]
        objax.Trainer(nets[ranks.rank], ranks=ranks)(own, np.zeros((len(own), 1)), 1.0)
        return np.array(nets[ranks.rank].norm.running_mean.value).ravel()

    expected = (x[:3].mean(axis=0) + x[3:].mean(axis=0)) / 2
    for found in on_ranks(2, work):
        np.testing.assert_allclose(found, expected, rtol=1e-5)
