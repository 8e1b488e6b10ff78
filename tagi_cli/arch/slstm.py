"""Recurrent layers that follow one series, and whose states can be smoothed."""

from __future__ import annotations

from dataclasses import dataclass

from tagi_cli import nn
from tagi_cli.arch.output import OutputOptions, per_step, window
from tagi_cli.arch.recurrence import CellOptions
from tagi_cli.arch.registry import registry
from tagi_cli.options import option


@dataclass(frozen=True)
class _Hidden(CellOptions):
    """The recurrent layers."""

    width: int = option(32, "Units of each layer.", minimum=1)
    depth: int = option(1, "Number of layers, one on top of the other.", minimum=1)
    window: str = option(
        "features",
        "How a window is read. features: all its values at once, in one step of the recurrence, so "
        "that prediction points follow each other step by step; steps: one row after the other, "
        "for windows that follow each other without a gap or an overlap.",
        choices=("features", "steps"),
    )


@dataclass(frozen=True)
class SLSTMOptions(OutputOptions, _Hidden):
    """LSTM that goes on from the states of the row before; `tagi smooth` goes back over them."""

    def step_faults(self) -> list[str]:
        """Outputs per step need steps."""
        if self.window == "steps":
            return []
        return [
            "arch.window: found 'features', one step per window, but the task gives an output for "
            "each step. Allowed: steps"
        ]


def build(options: SLSTMOptions, input_shape: tuple[int, ...], outputs: int) -> nn.Layer:
    """The network for `outputs` output units.

    Args:
        options: of the architecture.
        input_shape: `(steps, columns)`, or `(columns,)`.
        outputs: units of the output, step by step where `options.window` is `steps`.

    Raises:
        UserError: the input is no window, or its steps do not share the outputs evenly.
    """
    steps, columns = window(input_shape, "slstm")
    layers: list[nn.Layer] = []
    if options.window == "features":
        steps, columns = 1, steps * columns
        layers.append(nn.Reshape((1, columns)))
    for _ in range(options.depth):
        layers.append(
            nn.SLSTM(
                columns,
                options.width,
                steps,
                **options.prior(),
                forget_bias=options.forget_bias,
                covariance=options.covariance,
                state_var=options.state_var,
            )
        )
        columns = options.width
    return nn.Sequential(*layers, *per_step(steps, outputs, options, "arch.window=features"))


registry.register("slstm", SLSTMOptions, build)
