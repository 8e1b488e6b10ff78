"""Root-mean-square normalisation."""

from __future__ import annotations

from collections.abc import Sequence

from tagi_cli import nn
from tagi_cli.pytagi.nn.base_layer import BaseLayer


class RMSNorm(BaseLayer):
    """Divides each row by the root of its expected mean square.

    Args:
        normalized_shape: `[n]`.
        eps: added to the mean square.
    """

    def __init__(self, normalized_shape: Sequence[int], eps: float = 1e-6) -> None:
        super().__init__()
        self._layer = nn.RMSNorm(tuple(normalized_shape), eps)
        self.normalized_shape = list(normalized_shape)
        self.eps = eps
        self.init_weight_bias()

    def _drawable(self) -> bool:
        return bool(self.normalized_shape)
