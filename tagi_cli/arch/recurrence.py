"""Long short-term memory over windows."""

from __future__ import annotations

from dataclasses import dataclass, field

from tagi_cli import nn
from tagi_cli.arch.internal_state import InternalStateOptions
from tagi_cli.arch.output import StepOutputOptions, window
from tagi_cli.arch.registry import registry
from tagi_cli.nn.layers.recurrent import CARRIES, COVARIANCES
from tagi_cli.options import option


@dataclass(frozen=True)
class CellOptions:
    """A recurrent cell."""

    covariance: str = option(
        "full",
        "`full` takes all covariances between gates; `peer` leaves out those that pytagi does.",
        choices=COVARIANCES,
    )
    forget_bias: float = option(
        1.0,
        "Added to the prior means of the forget gate's biases: with 1 a state fades to one half in "
        "2 steps, with 2 in 5, with 3 in 14.",
    )
    state_var: float = option(0.0, "Variance of the states before the first step.", minimum=0)


@dataclass(frozen=True)
class _Hidden(CellOptions):
    """The recurrent layers."""

    width: int = option(
        32,
        "Units of each layer and direction. The time of a step grows with the square.",
        minimum=1,
    )
    depth: int = option(1, "Number of layers, one on top of the other.", minimum=1)
    dropout: float = option(
        0.0,
        "Probability that a unit is dropped between two layers, as moments. 0, as the uncertainty "
        "of the weights regularises already.",
        minimum=0,
        below=1,
    )
    bidirectional: bool = option(
        False, "Whether each layer also runs from the last step of a window to the first."
    )
    recurrent: bool = option(
        True, "Whether states flow from step to step; without, each step stands for itself."
    )
    internal_state: InternalStateOptions = field(default_factory=InternalStateOptions)
    carry: str = option(
        "posterior",
        "What tracking keeps: states given the targets of the batch, or before them.",
        choices=CARRIES,
    )


@dataclass(frozen=True)
class LSTMOptions(StepOutputOptions, _Hidden):
    """Long short-term memory: `depth` recurrent layers of `width` units.

    A row of a plain table counts as a window of one step.
    """

    def faults(self) -> list[str]:
        """Options that mean nothing beside others."""
        found = []
        if self.dropout and self.depth == 1:
            found.append(
                f"arch.dropout: found {self.dropout:g}, which acts between layers, beside "
                "arch.depth 1. Allowed: 0, or a depth of 2 at least"
            )
        if self.internal_state.tracking and self.bidirectional:
            found.append(
                "arch.internal_state.tracking: found true beside arch.bidirectional; the backward "
                "states of a window come from its end, so there is nothing to track. Allowed: one "
                "of them"
            )
        if not self.recurrent and (self.internal_state.tracking or self._starts_elsewhere):
            found.append(
                "arch.recurrent: found false beside a state to start from. Allowed: "
                "arch.internal_state and arch.state_var as they are by default"
            )
        if self.carry != "posterior" and not self.internal_state.tracking:
            found.append(
                f"arch.carry: found '{self.carry}', which is kept by tracking alone. Allowed: "
                "posterior, or arch.internal_state.tracking=true"
            )
        return found

    @property
    def _starts_elsewhere(self) -> bool:
        return self.internal_state.kind != "zeros" or self.state_var > 0

    def step_faults(self) -> list[str]:
        """The backward direction begins in the padding."""
        if not self.bidirectional:
            return super().step_faults()
        return [
            *super().step_faults(),
            "arch.bidirectional: found true, but windows of several lengths are padded at their "
            "end, where the backward direction would begin. Allowed: false",
        ]


def build(options: LSTMOptions, input_shape: tuple[int, ...], outputs: int) -> nn.Layer:
    """The network for `outputs` output units.

    Args:
        options: of the architecture.
        input_shape: `(steps, columns)`, or `(columns,)`.
        outputs: units of the output, step by step where `options.head` is `step`.

    Raises:
        UserError: the input is no window, or its steps do not share the outputs evenly.
    """
    steps, columns = window(input_shape, "lstm")
    layer = recurrent_layer(options, steps, columns, options.internal_state.kind)
    return nn.Sequential(layer, *options.output(steps, outputs))


def recurrent_layer(options: LSTMOptions, steps: int, columns: int, internal_state: str) -> nn.LSTM:
    """The recurrent layers, with states before the first step that may be other than the options'.

    Args:
        options: of the architecture.
        steps: steps of a window.
        columns: inputs of a step.
        internal_state: `zeros`, `random` or `given`.
    """
    return nn.LSTM(
        columns,
        options.width,
        steps,
        **options.prior(),
        forget_bias=options.forget_bias,
        depth=options.depth,
        bidirectional=options.bidirectional,
        dropout=options.dropout,
        output="last" if options.head == "last" else "all",
        covariance=options.covariance,
        recurrent=options.recurrent,
        internal_state=internal_state,
        state_var=options.state_var,
        tracking=options.internal_state.tracking,
        carry=options.carry,
    )


registry.register("lstm", LSTMOptions, build)
