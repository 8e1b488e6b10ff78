"""Layer normalisation."""

from __future__ import annotations

from collections.abc import Sequence

from tagi_cli import nn
from tagi_cli.pytagi.nn.base_layer import BaseLayer


class LayerNorm(BaseLayer):
    """Normalises each row by its own mean and variance.

    Args:
        normalized_shape: `[n]`, or `[channels, width, height]` with one gain per channel.
        eps: added to the variance.
        bias: whether there is a bias.
    """

    def __init__(
        self, normalized_shape: Sequence[int], eps: float = 1e-4, bias: bool = True
    ) -> None:
        super().__init__()
        self._layer = nn.LayerNorm(tuple(normalized_shape), eps, bias)
        self.normalized_shape = list(normalized_shape)
        self.eps = eps
        self.is_bias = bias
        self.init_weight_bias()

    def _drawable(self) -> bool:
        return bool(self.normalized_shape)
