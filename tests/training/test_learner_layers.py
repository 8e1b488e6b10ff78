"""Layers with states or demands of their own, inside a learner."""

from __future__ import annotations

import numpy as np
import pytest

from tagi_cli import nn
from tagi_cli.backend import select
from tagi_cli.errors import UserError
from tagi_cli.training.learner import Learner
from tagi_cli.training.noise import registry


def learner(*layers: nn.Layer, seed: int = 0) -> Learner:
    kind = registry["learned"]
    return Learner(
        lambda units: nn.Sequential(*layers, nn.Linear(0, units)),
        (3,),
        1,
        noise=(kind, kind.options()),
        update_rule="information_capped",
        cap=None,
        batch_size=8,
        rng=np.random.default_rng(seed),
        backend=select(precision="float64"),
    )


def stack() -> list[nn.Layer]:
    """Every layer whose result depends on the batches before."""
    return [nn.Linear(0, 12), nn.BatchNorm2d(), nn.ReLU(), nn.Dropout(0.8, mode="sample")]


def rows(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3))
    return x, np.sin(x[:, :1]) + 0.1 * rng.normal(size=(n, 1))


def test_a_learner_taken_up_again_ends_the_same() -> None:
    """States of layers are in the checkpoint: running statistics, generators."""
    x, y = rows(60)
    order = np.random.default_rng(1).permutation(60)
    whole, first, second = (learner(*stack(), seed=seed) for seed in (0, 0, 1))
    for one in (whole, first, second):
        one.bind(x, y)
        one.start_epoch(0)
    whole.train(order, 0, 60)
    first.train(order, 0, 24)
    second.load_state_dict(first.state_dict())
    second.train(order, 24, 60)
    for name, value in whole.state_dict().items():
        np.testing.assert_array_equal(second.state_dict()[name], value, err_msg=name)
    np.testing.assert_array_equal(second.predict(x).mu, whole.predict(x).mu)


def test_prediction_changes_nothing() -> None:
    x, y = rows(40)
    one = learner(*stack())
    one.bind(x, y)
    one.start_epoch(0)
    one.train(np.arange(40), 0, 40)
    before = one.state_dict()
    assert (one.predict(x).mu == one.predict(x).mu).all()
    for name, value in one.state_dict().items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


def test_an_id_outside_the_table_is_the_users_mistake() -> None:
    one = learner(nn.Embedding(5, 4))
    good, y = np.zeros((8, 3)), np.zeros((8, 1))
    bad = np.full((8, 3), 5.0)
    one.bind(good, y)
    with pytest.raises(UserError, match=r"arch: Embedding\(5,4\): id 5: ids are whole .*none"):
        one.bind(bad, y)
    with pytest.raises(UserError, match="id 5"):
        one.predict(bad)
