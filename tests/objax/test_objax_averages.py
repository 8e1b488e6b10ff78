"""Running averages of values, and of a posterior."""

from __future__ import annotations

import numpy as np
import pytest

from tagi_cli import nn, objax


def test_a_moving_average_begins_with_the_initial_value() -> None:
    average = objax.nn.MovingAverage((2,), buffer_size=2, init_value=100)
    found = [average(np.array([k, 10 * k], float)).mu for k in range(4)]
    np.testing.assert_allclose(found, [[50, 50], [0.5, 5], [1.5, 15], [2.5, 25]])
    np.testing.assert_allclose(average.buffer.value, [[2, 20], [3, 30]])


def test_a_moving_average_has_the_known_values() -> None:
    average = objax.nn.MovingAverage((), buffer_size=2, init_value=100)
    assert [float(average(x).mu) for x in (0.0, 1.0, 2.0)] == [50, 0.5, 1.5]
    average = objax.nn.MovingAverage((3,), buffer_size=2, init_value=100)
    np.testing.assert_allclose(average(np.array([0.0, 1.0, 2.0])).mu, [50, 50.5, 51])


def test_an_exponential_average_has_the_known_values() -> None:
    average = objax.nn.ExponentialMovingAverage((3,), momentum=0.8, init_value=100)
    np.testing.assert_allclose(average(np.array([0.0, 100, 200])).mu, [80, 100, 120])
    average = objax.nn.ExponentialMovingAverage((3,), momentum=0.8)
    for x in ([0.0, 0.0, 1000.0], [20.0, 0.0, 180.0]):
        found = average(np.array(x)).mu
    np.testing.assert_allclose(found, [4, 0, 196])
    np.testing.assert_allclose(average.avg.value, [4, 0, 196])


def test_variances_of_independent_values_average_with_squared_weights() -> None:
    rng = np.random.default_rng(0)
    x, v = rng.normal(size=(6, 3)), rng.random((6, 3))
    moving, exponential = (
        objax.nn.MovingAverage((3,), 2),
        objax.nn.ExponentialMovingAverage((3,), 0.7),
    )
    kept = np.zeros(3)
    for k in range(6):
        row = objax.Moments(x[k], v[k])
        before = v[k - 1] if k else np.zeros(3)
        np.testing.assert_allclose(moving(row).var, (v[k] + before) / 4)
        kept = 0.49 * kept + 0.09 * v[k]
        np.testing.assert_allclose(exponential(row).var, kept)
    np.testing.assert_allclose(exponential.avg.variance, kept)


def test_rows_of_a_batch_are_steps() -> None:
    x = np.random.default_rng(1).normal(size=(5, 2))
    for make in (
        lambda: objax.nn.MovingAverage((2,), 3),
        lambda: objax.nn.ExponentialMovingAverage((2,), 0.8),
    ):
        one, other = make(), make()
        single = [one(row).mu for row in x]
        np.testing.assert_allclose(other(x).mu, single)
        inside = objax.nn.Sequential([make()])
        np.testing.assert_allclose(inside(x).mu, single)


def test_other_shapes_and_options_are_refused() -> None:
    with pytest.raises(nn.ShapeError, match=r"MovingAverage takes rows \(2\) but gets \(3,\)"):
        objax.nn.MovingAverage((2,), 3)(np.zeros(3)[None])
    with pytest.raises(ValueError, match="at least one row is averaged"):
        objax.nn.MovingAverage((2,), 0)
    with pytest.raises(ValueError, match="momentum lies in 0 to 1"):
        objax.nn.ExponentialMovingAverage((2,), momentum=2)


def test_the_average_of_a_posterior_is_the_mixture_of_its_steps() -> None:
    model = objax.nn.Sequential([objax.nn.Linear(3, 1)])
    train, rng = objax.Trainer(model), np.random.default_rng(2)
    ema = objax.optimizer.ExponentialMovingAverage(model.vars(), momentum=0.8)
    weights, seen = [1.0], [model[0].w.moments]
    for _ in range(4):
        train(rng.normal(size=(4, 3)), rng.normal(size=(4, 1)), 0.1)
        ema()
        weights = [0.8 * weight for weight in weights] + [0.2]
        seen.append(model[0].w.moments)
    mu = sum(p * m for p, (m, _) in zip(weights, seen, strict=True))
    second = sum(p * (v + m**2) for p, (m, v) in zip(weights, seen, strict=True))

    def moments() -> tuple[np.ndarray, np.ndarray]:
        return model[0].w.moments

    averaged = ema.replace_vars(moments)()
    np.testing.assert_allclose(averaged[0], mu, rtol=1e-12)
    np.testing.assert_allclose(averaged[1], second - mu**2, rtol=1e-12)
    np.testing.assert_array_equal(moments(), seen[-1])


def test_the_posterior_comes_back_when_evaluation_fails() -> None:
    model = objax.nn.Sequential([objax.nn.Linear(3, 1)])
    ema = objax.optimizer.ExponentialMovingAverage(model.vars())
    objax.Trainer(model)(np.ones((1, 3)), np.ones((1, 1)), 0.1)
    kept = model[0].w.value
    with pytest.raises(nn.ShapeError):
        ema.replace_vars(model)(np.zeros((1, 4)))
    np.testing.assert_array_equal(model[0].w.value, kept)
    with pytest.raises(ValueError, match="momentum is -1"):
        objax.optimizer.ExponentialMovingAverage(model.vars(), momentum=-1)
