"""Initialisers: gains, fans, distributions, and what they become in a layer."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tagi_cli import objax
from tagi_cli.objax.nn import init


def test_gains_have_the_known_values() -> None:
    shape = (4, 3, 2, 10_000)
    assert init.kaiming_normal_gain(shape) == pytest.approx(0.20412415, abs=5e-9)
    assert init.xavier_normal_gain(shape) == pytest.approx(0.01412520, abs=5e-9)
    assert init.gain_leaky_relu(0.1) == pytest.approx(1.40719509, abs=5e-9)
    assert init.gain_leaky_relu() == init.gain_leaky_relu(0.1)


def test_the_fan_out_of_a_kernel_is_its_last_axis_alone() -> None:
    assert init.xavier_normal_gain((5, 5, 3, 7)) == pytest.approx(np.sqrt(2 / (75 + 7)))


@pytest.mark.parametrize(
    ("draw", "base"),
    [
        (init.kaiming_normal, init.kaiming_normal_gain),
        (init.xavier_normal, init.xavier_normal_gain),
    ],
)
def test_normals(draw: object, base: object) -> None:
    shape = (3, 3, 20, 100)
    sd = 1.7 * base(shape)  # type: ignore[operator]
    mu, var = draw(shape, gain=1.7, var_gain=2)  # type: ignore[operator]
    assert stats.kstest(mu.ravel() / sd, "norm").pvalue > 1e-3
    np.testing.assert_allclose(var, (2 * sd) ** 2, rtol=1e-12)


@pytest.mark.parametrize(("lower", "upper"), [(-2, 2), (-1, 3)])
@pytest.mark.parametrize(
    ("draw", "base"),
    [
        (init.truncated_normal, lambda shape: 1.0),
        (init.kaiming_truncated_normal, init.kaiming_normal_gain),
        (init.xavier_truncated_normal, init.xavier_normal_gain),
    ],
)
def test_truncated_normals(draw: object, base: object, lower: float, upper: float) -> None:
    """The deviation is the one asked for; the support follows from it, as the mean does."""
    shape = (200, 100)
    name = "stddev" if draw is init.truncated_normal else "gain"
    sd = 0.3 * base(shape)  # type: ignore[operator]
    mu, var = draw(shape, lower, upper, **{name: 0.3})  # type: ignore[operator]
    law = stats.truncnorm(lower, upper)
    assert stats.kstest(mu.ravel() / sd * law.std(), law.cdf).pvalue > 1e-3
    np.testing.assert_allclose(mu.std(), sd, rtol=0.02)
    np.testing.assert_allclose(var, sd**2, rtol=1e-12)


def test_the_generator_makes_draws_repeatable() -> None:
    first = init.kaiming_normal((3, 4)).mu
    assert (init.kaiming_normal((3, 4)).mu != first).all()
    objax.random.DEFAULT_GENERATOR.seed(0)
    np.testing.assert_array_equal(init.kaiming_normal((3, 4)).mu, first)


def test_layers_take_their_prior_from_w_init() -> None:
    layer = objax.nn.Linear(50, 20, w_init=lambda shape: init.kaiming_normal(shape, var_gain=0.5))
    np.testing.assert_allclose(layer.w.variance, 0.25 / 50)
    np.testing.assert_allclose(layer.b.variance, 0.25 / 50)
    assert not layer.b.value.any()


def test_means_alone_get_the_variances_of_the_default() -> None:
    w = np.arange(12.0).reshape(3, 4)
    layer = objax.nn.Linear(3, 4, w_init=lambda shape: w)
    np.testing.assert_array_equal(layer.w.value, w)
    np.testing.assert_allclose(layer.w.variance, init.xavier_normal_gain((3, 4)) ** 2)
    conv = objax.nn.Conv2D(2, 5, 3, w_init=np.ones)
    np.testing.assert_allclose(conv.w.variance, 1 / 18)


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"w_init gave the shape \(4, 3\), the kernel has \(3, 4"):
        objax.nn.Linear(3, 4, w_init=lambda shape: np.ones(shape[::-1]))
