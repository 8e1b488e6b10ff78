"""Batch normalisation."""

from __future__ import annotations

from tagi_cli import nn
from tagi_cli.pytagi.nn.base_layer import BaseLayer


class BatchNorm2d(BaseLayer):
    """Normalises each channel of images, or each unit of vectors, over the batch.

    Args:
        num_features: number of channels or units.
        eps: added to the variance.
        momentum: weight of the old value in the running averages.
        bias: whether there is a bias.
        gain_weight: factor on the prior standard deviation of the gains (not on their means, 1).
        gain_bias: the same for the biases.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.9,
        bias: bool = True,
        gain_weight: float = 1.0,
        gain_bias: float = 1.0,
    ) -> None:
        super().__init__()
        self._layer = nn.BatchNorm2d(num_features, eps, momentum, bias, gain_weight, gain_bias)
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.gain_weight = gain_weight
        self.gain_bias = gain_bias
        self.init_weight_bias()

    def _drawable(self) -> bool:
        return self.num_features > 0
