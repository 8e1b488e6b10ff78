"""Piecewise linear activations with the exact moments of a Gaussian input."""

from __future__ import annotations

from tagi_cli.nn.layers.activations import Activation, LeakyReLU


class MixtureLeakyReLU(LeakyReLU):
    """Leaky rectifier with its exact mean, variance and covariance.

    Args:
        negative_slope: slope below zero.
    """

    kind = "mixture_leaky_relu"


class MixtureTanh(Activation):
    """Clip to `[-1, 1]`, a piecewise linear tanh, with its exact mean, variance and covariance."""

    kind = "mixture_tanh"


class MixtureSigmoid(Activation):
    """Clip of `(z + 1) / 2` to `[0, 1]`, a piecewise linear sigmoid, with its exact moments."""

    kind = "mixture_sigmoid"
