"""Innovations through the statistics of a batch."""

from __future__ import annotations

import numpy as np
import pytest

from tagi_cli import nn
from tagi_cli.backend import select

SHAPE = (3, 2, 2)


def innovations(
    x: np.ndarray, d: np.ndarray, kernels: str = "numpy", **options: bool
) -> np.ndarray:
    """What reaches the means `x` below a batch normalisation, for innovations `d` above it."""
    backend = select("cpu", kernels, "float64")
    parameters = nn.Parameters(backend)
    layer = nn.BatchNorm2d(3, eps=1e-12, statistics="mixture", **options)
    layer.build(SHAPE, parameters, np.random.default_rng(0))
    parameters.allocate()
    assert layer.weight is not None
    backend.write(layer.weight.mu, np.array([0.5, 1.0, -2.0]))
    plan = nn.Plan(backend, parameters, len(x), training=True, differentiable=True)
    plan.input = plan.value(SHAPE)
    z = layer.trace(plan, plan.input)
    d_mu, d_var, _ = z.send()
    plan.emit_backward()
    backend.write(plan.input.mu, x)
    assert plan.input.var is not None
    backend.write(plan.input.var, np.zeros_like(x))
    backend.write(d_mu, d)
    backend.write(d_var, np.zeros_like(d))
    backend.bind(plan.take()).run()
    return backend.to_host(plan.input.innovation()[0])


def drawn() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(3, 2, size=(6, *SHAPE)), rng.normal(size=(6, *SHAPE))


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
def test_they_are_the_gradient_of_normalisation(kernels: str) -> None:
    """Central differences of `sum d z(x)`, where everything is certain."""
    x, d = drawn()
    gain = np.array([0.5, 1.0, -2.0])[:, None, None]

    def weighted(x: np.ndarray) -> float:
        centred = x - x.mean(axis=(0, 2, 3), keepdims=True)
        return float(np.sum(d * gain * centred / centred.std(axis=(0, 2, 3), keepdims=True)))

    found = innovations(x, d, kernels, projected=True)
    step = 1e-5
    for place in np.ndindex(*x.shape):
        there = np.zeros_like(x)
        there[place] = step
        slope = (weighted(x + there) - weighted(x - there)) / (2 * step)
        assert found[place] == pytest.approx(slope, abs=1e-7)


def test_they_leave_mean_and_deviation_alone() -> None:
    x, d = drawn()
    found = innovations(x, d, projected=True)
    np.testing.assert_allclose(found.sum(axis=(0, 2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose((found * x).sum(axis=(0, 2, 3)), 0, atol=1e-10)
    assert abs(innovations(x, d).sum(axis=(0, 2, 3))).min() > 0.01
