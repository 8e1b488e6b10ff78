"""Multilayer perceptron."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tagi_cli import nn
from tagi_cli.arch.output import OutputOptions
from tagi_cli.arch.registry import registry
from tagi_cli.options import option

ACTIVATIONS = ("mixture_relu", "relu", "leaky_relu", "tanh", "sigmoid")

DEFAULT_ACTIVATION = "mixture_relu"

ALTERNATING = ("relu", "mixture_relu")
"""What the networks of an ensemble have in turn under `activation: alternating`."""


@dataclass(frozen=True)
class _Hidden:
    """The hidden layers."""

    width: int = option(100, "Units of each hidden layer.", minimum=1)
    depth: int = option(2, "Number of hidden layers; 0 is Bayesian linear regression.", minimum=0)
    activation: str | None = option(
        None,
        "Activation of the hidden units. alternating: relu in the first network of the ensemble, "
        "mixture_relu in the next, and so on. null: alternating for real targets of a plain table, "
        "else mixture_relu.",
        choices=(*ACTIVATIONS, "alternating"),
    )


@dataclass(frozen=True)
class MLPOptions(OutputOptions, _Hidden):
    """Multilayer perceptron: `depth` hidden layers of `width` units.

    A window counts as one row of all its steps.
    """

    def of_member(self, member: int) -> MLPOptions:
        """The options of one network of an ensemble."""
        if self.activation != "alternating":
            return self
        return replace(self, activation=ALTERNATING[member % len(ALTERNATING)])

    def step_faults(self) -> list[str]:
        """Every output sees the whole window."""
        return [
            "arch: 'mlp' sees all steps of a window at once, but the task gives an output per step "
            "of windows that are padded. Allowed: lstm, slstm, tcn"
        ]


def build(options: MLPOptions, input_shape: tuple[int, ...], outputs: int) -> nn.Layer:
    """The network for `outputs` output units; sizes of the input are inferred."""
    activation = nn.registry[options.of_member(0).activation or DEFAULT_ACTIVATION]
    layers: list[nn.Layer] = []
    for _ in range(options.depth):
        layers += [
            nn.Linear(0, options.width, **options.prior()),
            activation.build(activation.options()),
        ]
    output = nn.Linear(0, outputs, **options.prior())
    return nn.Sequential(*layers, output, *options.ending())


registry.register("mlp", MLPOptions, build)
