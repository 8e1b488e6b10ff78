"""Learning and predicting windows is learning and predicting the arrays that they show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tagi_cli import nn
from tagi_cli.backend import select
from tagi_cli.data import Windows
from tagi_cli.errors import UserError
from tagi_cli.training.learner import Learner
from tagi_cli.training.noise import registry

KINDS = ["numpy", "auto"]


def learner(kernels: str, precision: str, *layers: nn.Layer) -> Learner:
    kind = registry["learned"]
    return Learner(
        lambda units: nn.Sequential(*layers, nn.Linear(0, units)),
        (4, 2),
        6,
        noise=(kind, kind.options()),
        update_rule="information_capped",
        cap=None,
        batch_size=8,
        rng=np.random.default_rng(0),
        backend=select(kernels=kernels, precision=precision),
    )


def windows(scaled: bool, precision: str) -> tuple[Windows, Windows]:
    """45 windows of 4 rows of 2 columns, and of 3 rows of 2 targets, some of which are missing."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 2)).astype(precision)
    targets = rng.normal(size=(60, 2)).astype(precision)
    targets[::7, 0] = np.nan
    starts = rng.integers(0, 50, size=45)
    scalers: list[Any] = [None, None]
    if scaled:
        shifts = rng.normal(size=(45, 2)).astype(precision)
        scalers = [shifts, rng.uniform(0.5, 2, size=(45, 2)).astype(precision)]
    return Windows(rows, starts, 4, *scalers), Windows(targets, starts + 4, 3, *scalers)


@pytest.mark.parametrize("kernels", KINDS)
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("scaled", [False, True])
def test_windows_are_learnt_as_arrays(scaled: bool, precision: str, kernels: str) -> None:
    x, y = windows(scaled, precision)
    order = np.random.default_rng(1).permutation(45)
    one, other = (learner(kernels, precision, nn.Linear(0, 9), nn.ReLU()) for _ in range(2))
    one.bind(x, y)
    other.bind(np.asarray(x), np.asarray(y).reshape(45, 6))
    for each in (one, other):
        each.start_epoch(0)
        each.train(order, 0, 45)
    for name, value in one.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], value, err_msg=name)
    assert one.scores()["count"].sum() == np.isfinite(np.asarray(y)).sum() < 45 * 6
    for a, b in zip(one.predict(x), other.predict(np.asarray(x)), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kernels", KINDS)
def test_outputs_may_have_steps(kernels: str) -> None:
    """Three steps of two targets from a layer that gives steps: number 2 t + k is target k of t."""
    one = learner(kernels, "float64", nn.Linear(0, 9), nn.ReLU())
    stepped = Learner(
        lambda _: nn.Sequential(nn.Linear(0, 9), nn.ReLU(), nn.Linear(0, 6), nn.Reshape((3, 2))),
        (4, 2), 6, noise=(registry["learned"], registry["learned"].options()),
        update_rule="information_capped", cap=None, batch_size=8, rng=np.random.default_rng(0),
        backend=select(kernels=kernels, precision="float64"),
    )  # fmt: skip
    x, y = windows(False, "float64")
    for each in (one, stepped):
        each.bind(x, y)
        each.start_epoch(0)
        each.train(np.arange(45), 0, 45)
    np.testing.assert_array_equal(one.predict(x).mu, stepped.predict(x).mu)


def test_windows_outside_their_rows() -> None:
    x, y = windows(False, "float64")
    x.starts[3] = 57
    with pytest.raises(ValueError, match="window of 4 rows reaches outside the 60 rows"):
        learner("numpy", "float64").bind(x, y)


def test_ids_in_windows_are_checked() -> None:
    _, y = windows(False, "float64")
    x = Windows(np.full((60, 2), 5.0), y.starts, 4)
    one = learner("numpy", "float64", nn.Embedding(5, 4))
    with pytest.raises(UserError, match=r"Embedding\(5,4\): id 5"):
        one.bind(x, y)
    # Rows that no window shows do no harm.
    values = np.zeros((70, 2))
    values[65:] = 5
    one.bind(Windows(values, y.starts, 4), y)
