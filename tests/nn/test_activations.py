"""Elementwise activations: sampling, limits, and the error of the linearised ones."""

from __future__ import annotations

import numpy as np
import pytest
from monte_carlo import assert_activation

from tagi_cli import nn
from tagi_cli.backend import select


def moments(
    layer: nn.Layer, m: np.ndarray, v: np.ndarray | None, kernels: str = "numpy"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, variance and Jacobian of an activation in float64."""
    net = nn.Network(layer, (m.size,), backend=select(kernels=kernels, precision="float64"))
    mu, var = net(m, v)
    return mu[0], var[0], net.current.plan.output.jac[0]


# Centre, shoulder and saturation; variance from nearly none to wide.
POINTS = [(m, v) for m in (-4.0, -1.0, 0.0, 0.3, 2.5) for v in (1e-8, 1e-2, 1.0, 9.0)]


@pytest.mark.parametrize(("m", "v"), POINTS)
def test_mixture_relu_by_sampling(m: float, v: float) -> None:
    mu, var, jac = moments(nn.MixtureReLU(), np.array([m]), np.array([v]))
    assert_activation(lambda z: np.maximum(z, 0), m, v, mu[0], var[0], jac[0])


@pytest.mark.parametrize(("m", "v"), [(-1.0, 0.04), (0.0, 1.0), (0.5, 0.5), (2.0, 1e-6)])
def test_even_exp_by_sampling(m: float, v: float) -> None:
    mu, var, jac = moments(nn.EvenExp(), np.array([m, m]), np.array([v, v]))
    assert_activation(np.exp, m, v, mu[1], var[1], jac[1])
    assert (mu[0], var[0], jac[0]) == (m, v, 1)


LINEARISED = [
    (nn.ReLU, lambda z: np.maximum(z, 0)),
    (nn.LeakyReLU, lambda z: np.where(z > 0, z, 0.1 * z)),
    (lambda: nn.LeakyReLU(0.3), lambda z: np.where(z > 0, z, 0.3 * z)),
    (nn.Sigmoid, lambda z: 1 / (1 + np.exp(-z))),
    (nn.Tanh, np.tanh),
    (nn.Softplus, lambda z: np.log1p(np.exp(z))),
]


@pytest.mark.parametrize(("make", "function"), LINEARISED)
def test_linearised_activations_are_tangents(make: object, function: object) -> None:
    """Mean is the function's value, J its slope (central difference), variance J^2 v."""
    m = np.linspace(-3, 3, 41) + 0.01
    v = np.linspace(0, 2, 41)
    h = 1e-6
    mu, var, jac = moments(make(), m, v)
    np.testing.assert_allclose(mu, function(m), rtol=1e-14)
    np.testing.assert_allclose(jac, (function(m + h) - function(m - h)) / (2 * h), atol=1e-8)
    np.testing.assert_allclose(var, jac**2 * v, rtol=1e-14)


@pytest.mark.parametrize(("make", "function"), LINEARISED)
def test_linearised_activations_are_right_for_a_narrow_input(
    make: object, function: object
) -> None:
    for m in (-2.0, -0.5, 0.7, 1.5):
        mu, var, _ = moments(make(), np.array([m]), np.array([1e-6]))
        z = m + 1e-3 * np.random.default_rng(0).standard_normal(100_000)
        assert abs(function(z).mean() - mu[0]) < 1e-5
        assert abs(function(z).var() / var[0] - 1) < 0.03 if var[0] else function(z).var() == 0


ALL = ["relu", "leaky_relu", "mixture_relu", "sigmoid", "tanh", "softplus", "even_exp"]


@pytest.mark.parametrize("kind", ALL)
def test_a_certain_input_gives_a_certain_output(kind: str) -> None:
    """Zero variance and no variance agree, and nothing is NaN."""
    m = np.array([-40.0, -1.0, 0.0, 1.0, 3.0, 40.0])
    made = nn.registry[kind]
    certain = moments(made.build(made.options()), m, None)
    limit = moments(made.build(made.options()), m, np.zeros(6))
    np.testing.assert_allclose(limit[0], certain[0], rtol=1e-12)
    np.testing.assert_allclose(limit[2], certain[2], rtol=1e-12)
    assert (limit[1] == 0).all()
    assert np.isfinite(limit).all()


@pytest.mark.parametrize("kind", ALL)
def test_innovations_are_multiplied_by_the_jacobian(kind: str) -> None:
    made = nn.registry[kind]
    backend = select(kernels="numpy", precision="float64")
    net = nn.Network(made.build(made.options()), (6,), backend=backend, input_innovation=True)
    rng = np.random.default_rng(0)
    net(rng.normal(size=6), rng.random(6))
    nn.OutputUpdater(net).update(rng.normal(size=6), 0.5)
    d_mu_a, d_var_a = (a.copy() for a in net.innovations())
    net.backward()
    d_mu, d_var = net.input_innovations()
    jac = net.current.plan.output.jac
    np.testing.assert_allclose(d_mu, jac * d_mu_a, rtol=1e-13)
    np.testing.assert_allclose(d_var, jac**2 * d_var_a, rtol=1e-13)


def test_even_exp_needs_pairs() -> None:
    with pytest.raises(nn.ShapeError, match="even number of units but gets 3"):
        nn.Network(nn.EvenExp(), (3,))


def test_mixture_relu_far_from_zero_loses_no_digits() -> None:
    """Differences of raw moments would leave rounding noise here; the tail formulas do not."""
    mu, var, jac = moments(
        nn.MixtureReLU(), np.array([1e4, -1e4, 50.0]), np.array([1e-4, 1.0, 1.0])
    )
    np.testing.assert_allclose(mu, [1e4, 0, 50], atol=1e-300)
    np.testing.assert_allclose(var, [1e-4, 0, 1], rtol=1e-12)
    np.testing.assert_array_equal(jac, [1, 0, 1])
