"""Multilayer perceptron."""

from __future__ import annotations

from dataclasses import dataclass

from tagi_cli import nn
from tagi_cli.arch.registry import registry
from tagi_cli.nn.init import METHODS, InitOptions
from tagi_cli.options import option

ACTIVATIONS = ("mixture_relu", "relu", "leaky_relu", "tanh", "sigmoid")


@dataclass(frozen=True)
class MLPOptions:
    """Multilayer perceptron: `depth` hidden layers of `width` units."""

    width: int = option(100, "Units of each hidden layer.", minimum=1)
    depth: int = option(2, "Number of hidden layers; 0 is Bayesian linear regression.", minimum=0)
    activation: str = option("mixture_relu", "Activation of the hidden units.", choices=ACTIVATIONS)
    bias: bool = option(True, "Whether layers have biases.")
    gain_weight: float = option(
        1.0, "Factor on the prior standard deviation of the weights, not on their means.", above=0
    )
    gain_bias: float = option(1.0, "Factor on the prior standard deviation of the biases.", above=0)
    gain_mean: float = option(1.0, "Factor on the spread of the prior means.", minimum=0)
    init_method: str = option(
        "He",
        "Prior scale: `He` is sqrt(1/fan_in), `Xavier` is sqrt(2/(fan_in+fan_out)).",
        choices=METHODS,
    )
    init: InitOptions | None = option(
        None, "What the prior is drawn from, where it is not the normal of `init_method`."
    )


def build(options: MLPOptions, input_shape: tuple[int, ...], outputs: int) -> nn.Layer:
    """The network for `outputs` output units; sizes of the input are inferred."""

    def linear(units: int) -> nn.Layer:
        return nn.Linear(
            0,
            units,
            bias=options.bias,
            gain_weight=options.gain_weight,
            gain_bias=options.gain_bias,
            init_method=options.init_method,
            gain_mean=options.gain_mean,
            init=options.init,
        )

    activation = nn.registry[options.activation]
    layers: list[nn.Layer] = []
    for _ in range(options.depth):
        layers += [linear(options.width), activation.build(activation.options())]
    return nn.Sequential(*layers, linear(outputs))


registry.register("mlp", MLPOptions, build)
