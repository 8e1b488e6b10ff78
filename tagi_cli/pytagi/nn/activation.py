"""Activations; see `docs/theory/activations.md` for their moments."""

from __future__ import annotations

from tagi_cli import nn
from tagi_cli.pytagi.nn.base_layer import BaseLayer


class ReLU(BaseLayer):
    """Rectifier, linearised at the mean."""

    def __init__(self) -> None:
        super().__init__()
        self._layer = nn.ReLU()


class LeakyReLU(BaseLayer):
    """Leaky rectifier with slope 0.1 below zero, linearised at the mean."""

    def __init__(self) -> None:
        super().__init__()
        self._layer = nn.LeakyReLU(0.1)


class Sigmoid(BaseLayer):
    """Logistic sigmoid, linearised at the mean."""

    def __init__(self) -> None:
        super().__init__()
        self._layer = nn.Sigmoid()


class Tanh(BaseLayer):
    """Hyperbolic tangent, linearised at the mean."""

    def __init__(self) -> None:
        super().__init__()
        self._layer = nn.Tanh()


class Softplus(BaseLayer):
    """`log(1 + e^z)`, linearised at the mean."""

    def __init__(self) -> None:
        super().__init__()
        self._layer = nn.Softplus()


class MixtureReLU(BaseLayer):
    """Rectifier with the exact moments of a Gaussian input."""

    def __init__(self) -> None:
        super().__init__()
        self._layer = nn.MixtureReLU()


class MixtureSigmoid(BaseLayer):
    """Clip of `(z + 1) / 2` to `[0, 1]`, with the exact moments of a Gaussian input."""

    def __init__(self) -> None:
        super().__init__()
        self._layer = nn.MixtureSigmoid()


class MixtureTanh(BaseLayer):
    """Clip to `[-1, 1]`, with the exact moments of a Gaussian input."""

    def __init__(self) -> None:
        super().__init__()
        self._layer = nn.MixtureTanh()


class EvenExp(BaseLayer):
    """Identity at even positions, exponential at odd ones: the head for `update_heteros`."""

    def __init__(self) -> None:
        super().__init__()
        self._layer = nn.EvenExp()


class Softmax(BaseLayer):
    """Softmax over the units of a row, linearised at the mean."""

    def __init__(self) -> None:
        super().__init__()
        self._layer = nn.Softmax()


class ClosedFormSoftmax(BaseLayer):
    """Softmax over the units of a row as a ratio of log-normals."""

    def __init__(self) -> None:
        super().__init__()
        self._layer = nn.ClosedFormSoftmax()


class Remax(BaseLayer):
    """Share of each rectified unit of a row in their sum."""

    def __init__(self) -> None:
        super().__init__()
        self._layer = nn.Remax()
