"""Long short-term memory."""

from __future__ import annotations

from dataclasses import replace

from tagi_cli import nn
from tagi_cli.nn import Plan, Value
from tagi_cli.pytagi.nn.base_layer import BaseLayer
from tagi_cli.pytagi.randomness import generator


class Gated(BaseLayer):
    """What `LSTM` and `SLSTM` have in common.

    Args:
        layer: what does the work.
    """

    def __init__(self, layer: nn.LSTM) -> None:
        super().__init__()
        self._layer = self._lstm = layer
        if layer.input_size:
            layer.draw(generator())

    @property
    def bias(self) -> bool:
        """Whether the gates have biases."""
        (recurrence,) = self._lstm.recurrences
        return recurrence.cell.bias

    @bias.setter
    def bias(self, value: bool) -> None:
        if bool(value) == self.bias:
            return
        if self.layer.input_shape is not None:
            raise ValueError(f"{self.get_layer_info()}: bias is {self.bias} and stays so")
        (recurrence,) = self._lstm.recurrences
        recurrence.cell = replace(recurrence.cell, bias=bool(value))
        self._redraw()

    def get_max_num_states(self) -> int:
        """Units of a window of input or output, whichever are more."""
        return self._lstm.seq_len * super().get_max_num_states()

    def _sizes(self) -> dict[str, int]:
        """Sizes of a step."""
        own = {"input_size": self._lstm.input_size, "output_size": self._lstm.output_size}
        return super()._sizes() | own

    def _redraw(self) -> None:
        (recurrence,) = self._lstm.recurrences
        recurrence.cell = replace(recurrence.cell, units=self._lstm.output_size)
        recurrence.weight = recurrence.bias = None
        if self._drawable():
            self._lstm.draw(generator())

    def _drawable(self) -> bool:
        return self._lstm.input_size > 0

    def _input_shape(self) -> tuple[int, ...] | None:
        layer = self._lstm
        return (layer.seq_len, layer.input_size) if layer.seq_len and layer.input_size else None


class LSTM(Gated):
    """Long short-term memory over windows of `seq_len` steps, recurrent from step to step.

    The output is the hidden state of all steps, `seq_len * output_size` units. Each window starts
    from zeros, or from the states of `set_lstm_states`; with windows of one step, calls of one row
    are the steps of one series: each goes on from the states in which the one before ended, given
    its observation. In pytagi that is the only case in which steps are recurrent at all.

    Args:
        input_size: number of input units of a step.
        output_size: number of hidden units.
        seq_len: steps of a window.
        bias: whether the gates have biases.
        gain_weight: factor on the prior standard deviation of the weights (not on their means).
        gain_bias: the same for the biases.
        init_method: `He` or `Xavier`.
        recurrent: whether steps go on from each other; without, each stands for itself, as it does
            in pytagi in windows of several steps and in calls of several rows.
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
        *,
        recurrent: bool = True,
    ) -> None:
        make = _Remembering if recurrent else nn.LSTM
        super().__init__(
            make(
                input_size, output_size, seq_len, bias, gain_weight, gain_bias, init_method,
                forget_bias=0, covariance="peer", recurrent=recurrent,
                internal_state="given" if recurrent else "zeros",
            )
        )  # fmt: skip


class _Remembering(nn.LSTM):
    """An `LSTM` that tracks its states where a call is one step of one row, and only there."""

    @property
    def name(self) -> str:
        """As in listings and files."""
        return "LSTM"

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        (recurrence,) = self.recurrences
        single = self.seq_len == 1 and plan.batch == 1
        recurrence.cell = replace(recurrence.cell, tracking=single)
        return super().trace(plan, x)
