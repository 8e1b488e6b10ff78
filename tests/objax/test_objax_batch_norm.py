"""Batch normalisation against NumPy, over any axes; running statistics; layouts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from certain import certain

from tagi_cli import nn, objax

Host = np.ndarray[Any, Any]
# Module, shape of its input, axes averaged over.
MODULES = [
    (lambda: objax.nn.BatchNorm0D(4), (6, 4), (0,)),
    (lambda: objax.nn.BatchNorm1D(4), (6, 4, 3), (0, 2)),
    (lambda: objax.nn.BatchNorm2D(4), (6, 4, 3, 2), (0, 2, 3)),
    (lambda: objax.nn.BatchNorm((1, 1, 3), (0, 1)), (6, 4, 3), (0, 1)),
    (lambda: objax.nn.BatchNorm((1, 4, 3), [0]), (6, 4, 3), (0,)),
    (lambda: objax.nn.BatchNorm((1, 4, 1, 2), (0, -2)), (6, 4, 3, 2), (0, 2)),
    (lambda: objax.nn.BatchNorm((1, 1, 3, 2), (0, 1)), (6, 4, 3, 2), (0, 1)),
    (lambda: objax.nn.BatchNorm((1, 1, 3, 1), (3, 1, 0)), (6, 4, 3, 2), (0, 1, 3)),
    (lambda: objax.nn.BatchNorm((1, 1, 1), (0, 1, 2)), (6, 4, 3), (0, 1, 2)),
]


def with_parameters(module: Any) -> Any:
    rng = np.random.default_rng(0)
    module.gamma.assign(rng.normal(1, 0.3, module.gamma.shape))
    module.beta.assign(rng.normal(size=module.beta.shape))
    return module


@pytest.mark.parametrize(("make", "shape", "axes"), MODULES)
def test_without_variance_it_is_plain_batch_normalisation(
    make: Any, shape: tuple[int, ...], axes: tuple[int, ...]
) -> None:
    module = certain(with_parameters(make()))
    x = np.random.default_rng(1).normal(2, 3, shape)
    gamma, beta = module.gamma.value, module.beta.value
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    assert gamma.shape == mean.shape
    mu, spread = module(x, training=True)
    np.testing.assert_allclose(mu, gamma * (x - mean) / np.sqrt(var + 1e-6) + beta, rtol=1e-10)
    assert not spread.any()
    running = 0.001 * mean, 0.999 + 0.001 * var
    np.testing.assert_allclose(module.running_mean.value, running[0], rtol=1e-10)
    np.testing.assert_allclose(module.running_var.value, running[1], rtol=1e-10)
    mu, _ = module(x, training=False)
    want = gamma * (x - running[0]) / np.sqrt(running[1] + 1e-6) + beta
    np.testing.assert_allclose(mu, want, rtol=1e-10)
    np.testing.assert_allclose(module.running_mean.value, running[0], rtol=1e-10)


@pytest.mark.parametrize(("make", "shape", "axes"), MODULES)
def test_statistics_count_the_variances_of_the_input(
    make: Any, shape: tuple[int, ...], axes: tuple[int, ...]
) -> None:
    """The variance of an equal mixture of the elements."""
    module = with_parameters(make())
    rng = np.random.default_rng(2)
    x, v = rng.normal(size=shape), rng.random(shape)
    mu, var = module(objax.Moments(x, v), training=True)
    m = x.mean(axes, keepdims=True)
    s = x.var(axes, keepdims=True) + v.mean(axes, keepdims=True)
    i = 1 / np.sqrt(s + 1e-6)
    (g, vg), (b, vb) = module.gamma.moments, module.beta.moments
    t = (x - m) * i
    np.testing.assert_allclose(mu, g * t + b, rtol=1e-10)
    np.testing.assert_allclose(var, (g**2 + vg) * i**2 * v + vg * t**2 + vb, rtol=1e-10)
    np.testing.assert_allclose(module.running_var.value, 0.999 + 0.001 * s, rtol=1e-12)


def test_running_statistics_approach_those_of_a_repeated_batch() -> None:
    module = objax.nn.BatchNorm0D(3, momentum=0.9)
    x = np.random.default_rng(3).normal(5, 2, (8, 3))
    for _ in range(20):
        module(x, training=True)
    rest = 0.9**20
    np.testing.assert_allclose(module.running_mean.value, (1 - rest) * x.mean(0, keepdims=True))
    want = rest + (1 - rest) * x.var(0, keepdims=True)
    np.testing.assert_allclose(module.running_var.value, want)


def test_one_row_is_no_division_by_zero() -> None:
    mu, var = objax.nn.BatchNorm0D(3)(np.ones((1, 3)), training=True)
    assert np.isfinite(mu).all()
    assert np.isfinite(var).all()


def test_training_must_be_said() -> None:
    with pytest.raises(TypeError, match="training"):
        objax.nn.BatchNorm0D(3)(np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("dims", "redux", "message"),
    [
        ((1, 4), (1,), r"lacks axis 0, the batch; .* use Lift\(nn.LayerNorm"),
        ((1, 4, 3), (0, 1), r"dims \(1, 4, 3\) must be 1 along the axes \(0, 1\)"),
        ((1, 4), (0, 2), r"redux \(0, 2\) names axes that \(1, 4\) does not have"),
    ],
)
def test_axes_must_go_together(dims: Any, redux: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        objax.nn.BatchNorm(dims, redux)


def test_other_shapes_and_options_are_refused() -> None:
    for shape in ((2, 5), (2, 4, 3)):
        with pytest.raises(nn.ShapeError, match=r"BatchNorm0D takes rows \(4\) but gets"):
            objax.nn.BatchNorm0D(4)(np.zeros(shape), training=True)
    with pytest.raises(ValueError, match="eps is 0"):
        objax.nn.BatchNorm0D(4, eps=0)
    with pytest.raises(ValueError, match="momentum is 2"):
        objax.nn.BatchNorm0D(4, momentum=2)
