"""What an architecture ends in: which hidden units the outputs see, and their activation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from tagi_cli import nn
from tagi_cli.arch.priors import PriorOptions
from tagi_cli.errors import UserError
from tagi_cli.options import option

CLASS_PROBABILITIES = ("softmax", "remax", "closed_form_softmax")
"""Output activations that make class probabilities of logits."""

BOUNDED = {"sigmoid": (0, 1), "tanh": (-1, 1)}
"""Output activations for real targets, and between what their values lie."""

HEADS = ("flatten", "last", "step")


@dataclass(frozen=True)
class OutputOptions(PriorOptions):
    """The output layer."""

    output_activation: str | None = option(
        None,
        "Activation of the outputs. sigmoid, tanh: for real targets within 0 to 1, or -1 to 1; "
        "softmax, remax, closed_form_softmax: for classes, the same as `task.head`.",
        choices=(*BOUNDED, *CLASS_PROBABILITIES),
    )

    def ending(self) -> list[nn.Layer]:
        """The output activation, if there is one."""
        if self.output_activation is None:
            return []
        kind = nn.registry[self.output_activation]
        return [kind.build(kind.options())]

    def step_faults(self) -> list[str]:
        """Why padding at the end of a window would change outputs before it; none if it would not.

        Asked where outputs belong to steps, and windows of several lengths are padded to one.
        """
        return []

    def per_step(self) -> Self:
        """The options with a set of outputs per step."""
        return self


@dataclass(frozen=True)
class StepOutputOptions(OutputOptions):
    """The output layer behind hidden units at each step of a window."""

    head: str | None = option(
        None,
        "What the outputs see. flatten: the hidden units of all steps; last: those of the last "
        "step; step: at each step its own, for one set of outputs per step. null: flatten, or step "
        "where the task is vl_regression.",
        choices=HEADS,
    )

    def step_faults(self) -> list[str]:
        """See `OutputOptions.step_faults`."""
        if self.head in (None, "step"):
            return []
        return [f"arch.head: found '{self.head}'. Allowed: null, step, as the task is per step"]

    def per_step(self) -> Self:
        """See `OutputOptions.per_step`."""
        return replace(self, head="step")

    def output(self, steps: int, outputs: int) -> list[nn.Layer]:
        """The layers from hidden units `(steps, units)`, or `(units,)` of the last one.

        Args:
            steps: steps of a window.
            outputs: units that the task needs.

        Raises:
            UserError: there are not as many outputs at each step.
        """
        if self.head != "step":
            return [nn.Linear(0, outputs, **self.prior()), *self.ending()]
        return per_step(steps, outputs, self, "arch.head=flatten")


def per_step(steps: int, outputs: int, options: OutputOptions, instead: str) -> list[nn.Layer]:
    """The same output layer at each step of hidden units `(steps, units)`.

    Args:
        steps: steps of a window.
        outputs: units that the task needs.
        options: of the output layer.
        instead: the setting that takes any number of outputs, for the error.

    Raises:
        UserError: the steps do not share the outputs evenly.
    """
    if outputs % steps:
        raise UserError(
            f"arch: each of the {steps} steps of a window gets the same number of outputs, but the "
            f"task needs {outputs} in all. Set {instead}"
        )
    layer = nn.SLinear(0, outputs // steps, **options.prior())
    return [layer, *options.ending(), nn.Flatten()]


def window(input_shape: tuple[int, ...], kind: str) -> tuple[int, int]:
    """Steps and columns of an input; a row of a plain table is a window of one step.

    Raises:
        UserError: the input is no window.
    """
    if len(input_shape) == 1:
        return 1, input_shape[0]
    if len(input_shape) != 2:
        raise UserError(
            f"arch: {kind} takes windows (steps, columns), and the rows of the data are "
            f"{input_shape}"
        )
    return input_shape[0], input_shape[1]
