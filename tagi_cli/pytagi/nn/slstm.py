"""Long short-term memory whose states can be smoothed."""

from __future__ import annotations

from tagi_cli import nn
from tagi_cli.pytagi.nn.lstm import Gated


class SLSTM(Gated):
    """An `LSTM` for series: each call goes on where the one before ended, given its observations.

    `Sequential.smoother` goes back over the series afterwards. Each row of a call is the next
    window of a series of its own.

    Args:
        input_size: number of input units of a step.
        output_size: number of hidden units.
        seq_len: steps of a window; there is only one in pytagi.
        bias: whether the gates have biases.
        gain_weight: factor on the prior standard deviation of the weights (not on their means).
        gain_bias: the same for the biases.
        init_method: `He` or `Xavier`.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        seq_len: int,
        bias: bool = True,
        gain_weight: float = 1.0,
        gain_bias: float = 1.0,
        init_method: str = "He",
    ) -> None:
        super().__init__(
            nn.SLSTM(
                input_size, output_size, seq_len, bias, gain_weight, gain_bias, init_method,
                forget_bias=0, covariance="peer",
            )
        )  # fmt: skip
