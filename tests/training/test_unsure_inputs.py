"""Predictions for inputs that are themselves predicted."""

from __future__ import annotations

import numpy as np
import pytest
from series_learner import Series
from series_learner import learner as series_learner

from tagi_cli import arch
from tagi_cli.backend import select
from tagi_cli.data import Windows
from tagi_cli.training import prediction
from tagi_cli.training.learner import Learner
from tagi_cli.training.noise import registry


def learner(depth: int) -> Learner:
    mlp = arch.registry["mlp"]
    chosen, kind = mlp.options(width=8, depth=depth), registry["constant"]
    return Learner(
        lambda units: mlp.build(chosen, (3,), units),
        (3,),
        2,
        noise=(kind, kind.options(sigma_v=0.1)),
        update_rule="information_capped",
        cap=None,
        batch_size=4,
        rng=np.random.default_rng(0),
        backend=select(kernels="numpy", precision="float64"),
    )


@pytest.mark.parametrize("depth", [0, 1])
def test_without_variance_they_are_as_before(depth: int) -> None:
    x = np.random.default_rng(1).normal(size=(9, 3))
    one = learner(depth)
    for a, b in zip(one.predict(x), one.predict(x, np.zeros_like(x)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_a_linear_network_adds_what_its_inputs_spread() -> None:
    """E[var] + var[E] over samples of the inputs, within six standard errors."""
    rng = np.random.default_rng(2)
    one, x, var = learner(0), rng.normal(size=(1, 3)), rng.uniform(0.5, 2, (1, 3))
    n = 40_000
    samples = one.predict(rng.normal(x, np.sqrt(var), (n, 3)))
    found = one.predict(x, var)
    total = samples.var_epistemic.mean(axis=0) + samples.mu.var(axis=0)
    error = 6 * np.sqrt(2 / n) * total
    assert (np.abs(found.mu - samples.mu.mean(axis=0)) < 6 * np.sqrt(total / n)).all()
    assert (np.abs(found.var_epistemic - total) < error).all()
    np.testing.assert_allclose(found.var_noise, samples.var_noise[:1])


def test_networks_that_carry_states_take_them_too() -> None:
    series = Series(7, 5, T=2)
    one = series_learner(3, T=2)
    zero = Windows(np.zeros_like(series.values), series.x.starts, 2)
    some = Windows(np.ones_like(series.values), series.x.starts, 2)
    (plain,) = prediction.predict([one], series.x, index=series.index) or []
    (sure,) = prediction.predict([one], series.x, index=series.index, var_x=zero) or []
    (unsure,) = prediction.predict([one], series.x, index=series.index, var_x=some) or []
    np.testing.assert_allclose(plain.var_epistemic, sure.var_epistemic, rtol=1e-12)
    np.testing.assert_allclose(plain.mu, sure.mu, rtol=1e-12)
    assert (unsure.var_epistemic > sure.var_epistemic).all()
