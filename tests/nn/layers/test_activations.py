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


@pytest.mark.parametrize(
    ("m", "v"), [(-30.0, 0.5), (-1.0, 0.04), (0.0, 1.0), (0.5, 0.5), (2.0, 1e-6), (5.0, 1e-8)]
)
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


# Largest error of mean, standard deviation and J over all means of the input, by its variance;
# docs/theory/activations.md tells the same.
ERRORS = [
    (nn.Sigmoid, 0.01, (0.001, 0.001, 0.001)),
    (nn.Sigmoid, 1.0, (0.040, 0.043, 0.044)),
    (nn.Sigmoid, 4.0, (0.11, 0.19, 0.10)),
    (nn.Tanh, 0.01, (0.005, 0.002, 0.011)),
    (nn.Tanh, 1.0, (0.22, 0.38, 0.40)),
    (nn.Tanh, 4.0, (0.42, 1.21, 0.64)),
    (nn.Softplus, 0.01, (0.002, 0.001, 0.001)),
    (nn.Softplus, 1.0, (0.12, 0.065, 0.040)),
    (nn.Softplus, 4.0, (0.38, 0.33, 0.11)),
    (nn.ReLU, 1.0, (0.40, 0.59, 0.50)),
    (nn.ReLU, 4.0, (0.80, 1.17, 0.50)),
    (nn.LeakyReLU, 1.0, (0.36, 0.52, 0.46)),
    (nn.LeakyReLU, 4.0, (0.72, 1.03, 0.46)),
]


@pytest.mark.parametrize(("make", "v", "bounds"), ERRORS)
def test_errors_of_linearisation(make: type, v: float, bounds: tuple[float, ...]) -> None:
    """By quadrature; each bound is nearly reached."""
    function = dict(LINEARISED)[make]
    e = np.linspace(-8, 8, 4001)
    weight = np.exp(-(e**2) / 2) / np.exp(-(e**2) / 2).sum()
    m = np.linspace(-8, 8, 161)
    a = function(m[:, None] + np.sqrt(v) * e)
    mean = a @ weight
    centred = a - mean[:, None]
    wanted = mean, np.sqrt(centred**2 @ weight), (centred * e) @ weight / np.sqrt(v)
    mu, var, jac = moments(make(), m, np.full_like(m, v))
    for got, want, bound in zip((mu, np.sqrt(var), jac), wanted, bounds, strict=True):
        error = np.abs(got - want).max()
        assert bound - 0.011 <= error <= bound + 1e-9


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


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("kernels", ["numpy", "auto"])
def test_an_error_variance_that_grows_too_far_can_be_learnt_back(
    kernels: str, precision: str
) -> None:
    """pytagi's overflows, and its innovation is no number; so would be an infinite J times 0."""
    net = nn.Network(
        nn.EvenExp(),
        (2,),
        backend=select(kernels=kernels, precision=precision),
        input_innovation=True,
    )
    logs = np.array([0.0, 39.0, 44.0, 89.0, 1e4, 1e30, 5.0, 5.0])
    spread = np.array([0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 90.0, 1e30])
    x, v = np.stack([0 * logs, logs], axis=1), np.stack([np.ones(8), spread], axis=1)
    mu, var = net(x, v)
    assert np.isfinite(mu).all()
    assert np.isfinite(var).all()
    nn.OutputUpdater(net).update_heteros(np.full(8, 0.1))
    net.backward()
    d_mu, d_var = net.input_innovations()
    assert np.isfinite(d_var).all()
    assert (d_mu[:, 1] < 0).all(), "an error variance far above the error comes down"
    assert (net(x)[0][:, 1] > 0).all()
    assert np.isfinite(net.outputs().mu).all()


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
