"""Dropout: both modes, the probability of a call, masks that repeat."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from tagi_cli import objax

X = np.random.default_rng(0).normal(1, 1, (20, 30))


def test_a_mask_is_drawn_at_each_call_in_training() -> None:
    module = objax.nn.Dropout(0.6)
    first, second = module(X, training=True).mu, module(X, training=True).mu
    kept = first != 0
    np.testing.assert_allclose(first[kept], X[kept] / 0.6, rtol=1e-12)
    assert abs(kept.mean() - 0.6) < 6 * np.sqrt(0.24 / X.size)
    assert ((second != 0) != kept).any()
    np.testing.assert_array_equal(module(X, training=False).mu, X)


def test_moments_integrate_the_mask_out() -> None:
    v = np.random.default_rng(1).random(X.shape)
    mu, var = objax.nn.Dropout(0.6, mode="moments")(objax.Moments(X, v), training=True)
    np.testing.assert_array_equal(mu, X)
    np.testing.assert_allclose(var, v / 0.6 + X**2 * 0.4 / 0.6, rtol=1e-12)


@pytest.mark.parametrize("mode", ["sample", "moments"])
def test_a_call_may_have_a_probability_of_its_own(mode: str) -> None:
    """objax ignores 0."""
    module = objax.nn.Dropout(0.5, mode=mode)
    assert not module(X, training=True, dropout_keep=0.0).mu.any()
    assert not module(X, training=True, dropout_keep=0.0).var.any()
    np.testing.assert_array_equal(module(X, training=True, dropout_keep=1.0).mu, X)
    np.testing.assert_array_equal(module(X, training=False, dropout_keep=0.0).mu, X)
    model = objax.nn.Sequential([module, objax.functional.relu])
    assert not model(X, training=True, dropout_keep=0.0).mu.any()
    assert model(X, training=True).mu.any()


def test_keeping_more_than_all_keeps_all() -> None:
    np.testing.assert_array_equal(objax.nn.Dropout(1.5)(X, training=True).mu, X)
    with pytest.raises(ValueError, match="lies in 0 to 1"):
        objax.nn.Dropout(-0.1)
    with pytest.raises(ValueError, match="mode 'mean': allowed are moments, sample"):
        objax.nn.Dropout(0.5, mode="mean")


def test_masks_come_from_the_generator_and_go_on_in_a_copy() -> None:
    first, second = (objax.nn.Dropout(0.5, objax.random.Generator(7)) for _ in range(2))
    other = objax.nn.Dropout(0.5, objax.random.Generator(8))
    masks = [module(X, training=True).mu != 0 for module in (first, second, other)]
    np.testing.assert_array_equal(masks[0], masks[1])
    assert (masks[0] != masks[2]).any()
    again = copy.deepcopy(first)
    np.testing.assert_array_equal(again(X, training=True).mu, first(X, training=True).mu)
    assert list(first.key.value) == [first.key.value[0], 2]


def test_dropped_units_learn_nothing() -> None:
    first = objax.nn.Linear(30, 5)
    model = objax.nn.Sequential([first, objax.nn.Dropout(0.5)])
    before = first.b.value
    out = objax.Trainer(model)(X[:1], np.ones((1, 5)), 0.1)
    moved = first.b.value != before
    np.testing.assert_array_equal(moved, out.mu[0] != 0)


def test_one_module_cannot_be_used_in_two_ways_in_one_call() -> None:
    class Twice(objax.Module):
        def __init__(self) -> None:
            self.drop = objax.nn.Dropout(0.5)

        def __call__(self, x: object) -> object:
            return self.drop(self.drop(x, training=True), training=True, dropout_keep=0.1)

    with pytest.raises(ValueError, match="is used twice in one call, in different ways"):
        Twice()(X)
