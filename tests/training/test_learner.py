"""The learner: one network, its noise and update rule, bound to data."""

from __future__ import annotations

import gc
import weakref
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from tagi_cli import arch, nn
from tagi_cli.backend import select
from tagi_cli.distributed.partition import lanes
from tagi_cli.errors import UserError
from tagi_cli.nn.rules import RULES
from tagi_cli.training.batches import Batches
from tagi_cli.training.interface import NumericalError
from tagi_cli.training.learner import Learner
from tagi_cli.training.noise import registry


def learner(
    noise: str = "learned",
    *,
    width: int = 12,
    depth: int = 1,
    outputs: int = 1,
    batch_size: int = 8,
    kernels: str = "auto",
    precision: str = "float64",
    rule: str = "information_capped",
    **options: Any,
) -> Learner:
    mlp = arch.registry["mlp"]
    chosen = mlp.options(width=width, depth=depth)
    kind = registry[noise]
    return Learner(
        lambda units: mlp.build(chosen, (3,), units),
        (3,),
        outputs,
        noise=(kind, kind.options(**options)),
        update_rule=rule,
        cap=None,
        batch_size=batch_size,
        rng=np.random.default_rng(0),
        backend=select(kernels=kernels, precision=precision),
    )


def rows(n: int, outputs: int = 1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    y = np.sin(x @ rng.normal(size=(3, outputs))) + 0.1 * rng.normal(size=(n, outputs))
    return x, y


NOISES = ("constant", "decay", "heteroscedastic", "learned")


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("kernels", ["numpy", "auto"])
def test_cuts_at_batches_do_not_matter(noise: str, kernels: str) -> None:
    """Bit for bit the same whether an epoch is one call or many, with a short last batch."""
    x, y = rows(45)
    order = np.random.default_rng(1).permutation(45)
    whole, cut = (learner(noise, kernels=kernels) for _ in range(2))
    for one in (whole, cut):
        one.bind(x, y)
        one.start_epoch(0)
    whole.train(order, 0, 45)
    for begin, end in ((0, 8), (8, 32), (32, 40), (40, 45)):
        cut.train(order, begin, end)
    for name, value in whole.state_dict().items():
        np.testing.assert_array_equal(value, cut.state_dict()[name], err_msg=name)
    assert whole.scores() == cut.scores()


@pytest.mark.parametrize("noise", NOISES)
def test_backends_agree(noise: str) -> None:
    x, y = rows(60, outputs=2)
    y[::7, 0] = np.nan
    made = [learner(noise, outputs=2, kernels=kernels) for kernels in ("numpy", "auto")]
    for one in made:
        one.bind(x, y)
        for epoch in range(3):
            one.start_epoch(epoch)
            one.train(np.arange(60), 0, 60)
    first, second = (one.predict(x) for one in made)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


@pytest.mark.parametrize("noise", NOISES)
def test_a_state_continues_to_the_bit(noise: str) -> None:
    x, y = rows(40)
    one, other = learner(noise), learner(noise)
    for each in (one, other):
        each.bind(x, y)
    one.start_epoch(0)
    one.train(np.arange(40), 0, 24)
    state, scores = one.state_dict(), one.scores()
    one.train(np.arange(40), 24, 40)
    other.start_epoch(0, scores)
    other.load_state_dict(state)
    other.train(np.arange(40), 24, 40)
    for name, value in one.state_dict().items():
        np.testing.assert_array_equal(value, other.state_dict()[name], err_msg=name)
    for name, value in one.scores().items():
        np.testing.assert_array_equal(value, other.scores()[name])


def test_scores_are_of_predictions_made_before_learning() -> None:
    x, y = rows(8, outputs=2)
    y[3, 1] = np.nan
    one = learner("constant", outputs=2, sigma_v=0.5)
    p = one.predict(x)
    one.bind(x, y)
    one.start_epoch(0)
    one.train(np.arange(8), 0, 8)
    nll = -norm.logpdf(y, p.mu, np.sqrt(p.var_epistemic + p.var_noise))
    scores = one.scores()
    np.testing.assert_array_equal(scores["count"], [8, 7])
    np.testing.assert_allclose(scores["nll_sum"], np.nansum(nll, axis=0), rtol=1e-12)
    np.testing.assert_allclose(scores["se_sum"], np.nansum((y - p.mu) ** 2, axis=0), rtol=1e-12)


def test_prediction_does_not_depend_on_the_other_rows() -> None:
    x, _ = rows(2500)
    one = learner()
    p = one.predict(x)
    for part in (slice(0, 1), slice(7, 1300), slice(2400, 2500)):
        for a, b in zip(p, one.predict(x[part]), strict=True):
            np.testing.assert_allclose(a[part], b, rtol=1e-12)
    assert one.predict(x[:0]).mu.shape == (0, 1)


def test_learnt_noise_finds_the_noise_and_intervals_cover() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(4000, 3))
    y = x @ np.array([[0.5], [-0.3], [0.8]]) + 0.4 * rng.normal(size=(4000, 1))
    one = learner(depth=0)
    one.bind(x[:3000], y[:3000])
    for epoch in range(2):
        one.start_epoch(epoch)
        one.train(rng.permutation(3000), 0, 3000)
    p = one.predict(x[3000:])
    assert abs(np.sqrt(p.var_noise[0, 0]) / 0.4 - 1) < 0.05
    z = (y[3000:] - p.mu) / np.sqrt(p.var_epistemic + p.var_noise)
    assert 0.87 < (np.abs(z) < norm.ppf(0.95)).mean() < 0.93


def test_heteroscedastic_head_tells_quiet_from_loud() -> None:
    rng = np.random.default_rng(3)
    x = rng.uniform(-1, 1, size=(3000, 3))
    sd = np.where(x[:, :1] > 0, 1.0, 0.1)
    y = sd * rng.normal(size=(3000, 1))
    one = learner("heteroscedastic", width=32)
    one.bind(x, y)
    for epoch in range(10):
        one.start_epoch(epoch)
        one.train(rng.permutation(3000), 0, 3000)
    p = one.predict(np.array([[-0.5, 0, 0], [0.5, 0, 0]]))
    quiet, loud = np.sqrt(p.var_noise[:, 0])
    assert quiet < 0.25
    assert 0.7 < loud < 1.4


def test_every_rule_is_in_force() -> None:
    """Rules differ from each other after one batch."""
    x, y = rows(8)
    results = []
    for rule in RULES:
        one = learner("constant", rule=rule, sigma_v=0.05)
        one.bind(x, y)
        one.start_epoch(0)
        one.train(np.arange(8), 0, 8)
        results.append(one.parameters.mu.copy())
    assert not any(np.allclose(a, b) for a, b in combinations(results, 2))


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("kernels", ["numpy", "auto"])
def test_memory_is_free_as_soon_as_nobody_has_the_learner(noise: str, kernels: str) -> None:
    """So the networks of a search make room for those of the refit."""
    one = learner(noise, kernels=kernels)
    one.bind(*rows(20))
    one.start_epoch(0)
    one.train(np.arange(20), 0, 20)
    one.predict(rows(5)[0])
    store = weakref.ref(one.parameters)
    gc.disable()
    try:
        del one
        assert store() is None
    finally:
        gc.enable()


def test_more_rows_than_can_be_counted_are_refused() -> None:
    rows = np.broadcast_to(0.0, (2**31, 3))
    with pytest.raises(UserError, match="rows to train on: found 2,147,483,648"):
        Batches(select(kernels="numpy"), rows, rows[:, :1], lanes(8, 0, 1), 8, seed=0)


def test_numerical_trouble_names_the_layer() -> None:
    one = learner()
    one.check_finite(3)
    tensor = one.parameters.tensors["linear_2.weight"]
    tensor.mu[0, 1] = np.nan
    told = (
        r"epoch 3: 1 of 12 parameters of linear_2.weight .* \(of sequential and graph: arch\.init\."
    )
    with pytest.raises(NumericalError, match=told):
        one.check_finite(3)


def test_layers_that_do_not_fit_the_data() -> None:
    kind = registry["constant"]
    with pytest.raises(UserError, match=r"arch: layer 0: Linear\(5,1\) takes 5 units but gets 3"):
        Learner(
            lambda units: nn.Sequential(nn.Linear(5, units)),
            (3,),
            1,
            noise=(kind, kind.options()),
            update_rule="sum",
            cap=None,
            batch_size=4,
            rng=np.random.default_rng(0),
            backend=select(kernels="numpy"),
        )


def test_health_counts_floored_variances() -> None:
    x, y = rows(64)
    one = learner("constant", rule="sum", batch_size=64, sigma_v=0.01)
    one.bind(x, y)
    one.start_epoch(0)
    one.train(np.arange(64), 0, 64)
    assert sum(layer.floored for layer in one.health().values()) > 0
    assert any(layer.shrunk > 0 for layer in one.health().values())
