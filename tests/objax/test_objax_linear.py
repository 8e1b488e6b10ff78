"""The fully connected layer against plain algebra and against `tagi_cli.nn`."""

from __future__ import annotations

import numpy as np
import pytest
from certain import certain

from tagi_cli import nn, objax
from tagi_cli.backend import select


@pytest.mark.parametrize("leading", [(7,), (7, 5), (2, 3, 4)])
@pytest.mark.parametrize("use_bias", [True, False])
def test_without_variance_it_is_the_affine_map(use_bias: bool, leading: tuple[int, ...]) -> None:
    layer = certain(objax.nn.Linear(3, 4, use_bias=use_bias))
    x = np.random.default_rng(0).normal(size=(*leading, 3))
    mu, var = layer(x)
    bias = layer.b.value if use_bias else 0
    np.testing.assert_allclose(mu, x @ layer.w.value + bias, rtol=1e-12)
    assert not var.any()
    assert (layer.b is not None) is use_bias


def test_moments_are_those_of_independent_gaussians() -> None:
    layer = objax.nn.Linear(3, 4)
    rng = np.random.default_rng(1)
    x, v = rng.normal(size=(5, 3)), rng.random((5, 3))
    w, b = layer.w, layer.b
    mu, var = layer(objax.Moments(x, v))
    np.testing.assert_allclose(mu, x @ w.value + b.value, rtol=1e-12)
    want = v @ (w.value**2 + w.variance) + x**2 @ w.variance + b.variance
    np.testing.assert_allclose(var, want, rtol=1e-12)


def test_the_layout_is_the_transpose_of_tagi_cli_nn() -> None:
    ours = objax.nn.Linear(3, 4)
    layer = nn.Linear(3, 4)
    net = nn.Network(layer, (3,), backend=select(kernels="numpy", precision="float64"))
    layer.weight.assign(ours.w.value.T, ours.w.variance.T)
    layer.bias.assign(*ours.b.moments)
    x = np.random.default_rng(2).normal(size=(6, 3))
    np.testing.assert_allclose(ours(x), net(x), rtol=1e-12)


def test_the_last_axis_must_fit() -> None:
    layer = objax.nn.Linear(3, 4)
    with pytest.raises(nn.ShapeError, match=r"takes 3 units but gets 5 along the last axis \(2, 5"):
        layer(np.zeros((1, 2, 5)))
    with pytest.raises(nn.ShapeError, match="acts along an axis but gets single numbers"):
        layer(np.zeros(3))
    with pytest.raises(ValueError, match="its first axis is the batch"):
        layer(3.0)
