"""Recurrent layers whose states can be smoothed: `SLSTM`, and `SLinear` for what they give."""

from __future__ import annotations

from tagi_cli.nn.init import InitOptions
from tagi_cli.nn.layers.linear import Linear
from tagi_cli.nn.layers.lstm import LSTM


class SLSTM(LSTM):
    """An `LSTM` for one long series, cut into windows that follow each other without gaps.

    Each window starts from the states in which the one before ended, given its observations, and
    `Smoother` goes back over all of them afterwards.

    Args:
        input_size: inputs of a step; 0 takes it from the layer before.
        output_size: number of units `H`.
        seq_len: steps of a window.
        bias: whether the gates have biases.
        gain_weight: factor on the prior standard deviation of the weights (not on their means).
        gain_bias: the same for the biases.
        init_method: `He` or `Xavier`, from `inputs + H` inputs and `H` outputs.
        forget_bias: added to the prior means of the forget gate's biases; larger values keep
            longer memories.
        covariance: `full` has the moments of gates and smooths hidden and cell states together;
            `peer` computes both as pytagi does.
        state_var: variance of the states before the first step.
        gain_mean: factor on the spread of the prior means.
        init: what the prior is drawn from, where it is not the normal of `init_method`.

    Raises:
        ValueError: sizes or options that do not fit together.
    """

    kind = "slstm"

    def __init__(
        self,
        input_size: int,
        output_size: int,
        seq_len: int = 1,
        bias: bool = True,
        gain_weight: float = 1.0,
        gain_bias: float = 1.0,
        init_method: str = "He",
        forget_bias: float = 1.0,
        covariance: str = "full",
        state_var: float = 0.0,
        gain_mean: float = 1.0,
        init: InitOptions | None = None,
    ) -> None:
        super().__init__(
            input_size, output_size, seq_len, bias, gain_weight, gain_bias, init_method,
            forget_bias, covariance=covariance, state_var=state_var, tracking=True,
            gain_mean=gain_mean, init=init,
        )  # fmt: skip


class SLinear(Linear):
    """A `Linear` map of each step of a window `(T, inputs)` by itself.

    Args:
        input_size: number of input units of a step; 0 takes it from the layer before.
        output_size: number of output units of a step.
        bias: whether there is a bias.
        gain_weight: factor on the prior standard deviation of the weights (not on their means).
        gain_bias: the same for the biases.
        init_method: `He` or `Xavier`.
        gain_mean: factor on the spread of the prior means.
        init: what the prior is drawn from, where it is not the normal of `init_method`.
    """

    kind = "slinear"

    def __init__(
        self,
        input_size: int,
        output_size: int,
        bias: bool = True,
        gain_weight: float = 1.0,
        gain_bias: float = 1.0,
        init_method: str = "He",
        gain_mean: float = 1.0,
        init: InitOptions | None = None,
    ) -> None:
        super().__init__(
            input_size, output_size, bias, gain_weight, gain_bias, init_method, gain_mean, False,
            init,
        )  # fmt: skip

    def describe(self) -> str:
        """Name and sizes."""
        return f"SLinear({self.input_size},{self.output_size})"
