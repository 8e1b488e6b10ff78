"""The multilayer perceptron: its layers, and where the options of its prior end up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tagi_cli import arch, nn
from tagi_cli.arch.mlp import ACTIVATIONS, MLPOptions


def network(inputs: int = 3, outputs: int = 2, **options: Any) -> nn.Network:
    made = MLPOptions(**options)
    layer = arch.registry.of(made).build(made, (inputs,), outputs)
    return nn.Network(layer, (inputs,), rng=np.random.default_rng(0))


def priors(**options: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    tensors = network(**options).parameters.tensors
    return {
        name: (np.asarray(t.mu).ravel(), np.asarray(t.var).ravel()) for name, t in tensors.items()
    }


def test_layers_alternate_and_end_in_the_outputs() -> None:
    made = MLPOptions(width=7, depth=2, activation="tanh")
    layer = arch.registry.of(made).build(made, (3,), 2)
    assert [type(one) for one in layer] == [nn.Linear, nn.Tanh, nn.Linear, nn.Tanh, nn.Linear]
    sizes = {name: mu.size for name, (mu, _) in priors(width=7, depth=2).items()}
    assert sorted(sizes.values()) == sorted([3 * 7, 7, 7 * 7, 7, 7 * 2, 2])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_is_a_layer_kind(activation: str) -> None:
    made = MLPOptions(depth=1, activation=activation)
    layer = list(arch.registry.of(made).build(made, (3,), 1))[1]
    assert type(nn.build_layer(nn.registry[activation].options())) is type(layer)


def test_depth_zero_is_one_affine_map() -> None:
    """Mean and variance of the output are those of a linear model with the prior's moments."""
    made = network(depth=0)
    x = np.random.default_rng(1).normal(size=(5, 3))
    mu, var = made(x)
    (w, var_w), (b, var_b) = priors(depth=0).values()
    np.testing.assert_allclose(np.reshape(mu, (5, 2)), x @ w.reshape(2, 3).T + b, rtol=1e-5)
    np.testing.assert_allclose(
        np.reshape(var, (5, 2)), x**2 @ var_w.reshape(2, 3).T + var_b, rtol=1e-5
    )


@pytest.mark.parametrize(("method", "variance"), [("He", 1 / 40), ("Xavier", 2 / (40 + 60))])
def test_the_prior_has_the_scale_of_its_method_times_the_gains(
    method: str, variance: float
) -> None:
    options = {"width": 60, "depth": 1, "init_method": method, "gain_weight": 0.5, "gain_mean": 3.0}
    made = {
        name: pair for name, pair in priors(inputs=40, **options).items() if pair[0].size == 2400
    }
    ((mu, var),) = made.values()
    np.testing.assert_allclose(var, 0.25 * variance, rtol=1e-6)
    # 2400 draws: the relative standard error of their variance is sqrt(2 / 2400) = 0.029.
    assert np.mean(mu**2) == pytest.approx(9 * variance, rel=6 * 0.029)


def test_biases_have_a_gain_of_their_own_or_are_left_out() -> None:
    def biases(**options: Any) -> list[np.ndarray]:
        return [var for mu, var in priors(width=7, **options).values() if mu.size in (7, 2)]

    for one, double in zip(biases(), biases(gain_bias=2.0), strict=True):
        np.testing.assert_allclose(double, 4 * one, rtol=1e-6)
    assert biases(bias=False) == []
