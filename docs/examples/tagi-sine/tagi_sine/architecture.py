"""An architecture: a multilayer perceptron of sines."""

from __future__ import annotations

from dataclasses import dataclass

from tagi_cli import nn
from tagi_cli.options import option
from tagi_sine.layer import Sine


@dataclass(frozen=True)
class SineMLPOptions:
    """Multilayer perceptron whose hidden units are sines."""

    width: int = option(40, "Units of each hidden layer.", minimum=1)
    depth: int = option(1, "Number of hidden layers.", minimum=1)
    frequency: float = option(1.0, "Frequency of the sines.", above=0)

    def build(self, input_shape: tuple[int, ...], outputs: int) -> nn.Layer:
        """A fresh network, without weights yet, for rows of `input_shape` and `outputs` units."""
        layers: list[nn.Layer] = []
        for _ in range(self.depth):
            layers += [nn.Linear(0, self.width), Sine(self.frequency)]
        return nn.Sequential(*layers, nn.Linear(0, outputs))
