"""Multi-head attention."""

from __future__ import annotations

from tagi_cli import nn
from tagi_cli.pytagi.nn.base_layer import BaseLayer


class MultiheadAttention(BaseLayer):
    """Self-attention over the tokens of a row, `embed_dim` units each, however many there are.

    Scores are divided by the root of a head's size and later tokens are left out, neither of which
    pytagi does right; tokens and heads stay apart, and innovations reach all projections. Networks
    therefore compute something else here than there.

    Args:
        embed_dim: units of a token, in and out.
        num_heads: number of heads; they divide `embed_dim`.
        num_kv_heads: heads of keys and values; they divide `num_heads`, which is the default.
        bias: whether the projections have biases.
        gain_weight: factor on the prior standard deviation of the weights (not on their means).
        gain_bias: the same for the biases.
        init_method: `He` or `Xavier`.
        causal: whether a token looks at itself and earlier tokens only.
        rotary: whether queries and keys are turned by their positions.
        output_projection: whether an affine map mixes the heads at the end.
        weighting: `remax` or `softmax`.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        num_kv_heads: int | None = None,
        bias: bool = True,
        gain_weight: float = 1.0,
        gain_bias: float = 1.0,
        init_method: str = "Xavier",
        causal: bool = True,
        rotary: bool = False,
        output_projection: bool = False,
        weighting: str = "remax",
    ) -> None:
        super().__init__()
        self._attention = layer = nn.MultiheadAttention(
            embed_dim, num_heads, num_kv_heads, bias, gain_weight, gain_bias, init_method, causal,
            rotary, output_projection=output_projection, weighting=weighting,
        )  # fmt: skip
        self._layer = layer
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.num_kv_heads = layer.num_kv_heads
        self.gain_weight = gain_weight
        self.gain_bias = gain_bias
        self.init_method = init_method
        self.init_weight_bias()

    def _drawable(self) -> bool:
        return self.embed_dim > 0

    def _redraw(self) -> None:
        output = self._attention.output
        if output is not None:
            output.has_bias, output.weight, output.bias = self.bias, None, None
        super()._redraw()
