"""The calls of a training step, told apart by what they are for."""

from __future__ import annotations

from typing import NamedTuple

from tagi_cli import nn
from tagi_cli.backend import Call


class StepCalls(NamedTuple):
    """The calls of a training step, in order.

    Attributes:
        plan: what was traced.
        load: brings the rows of the batch, and says what they go on from.
        forward: of the network.
        condition: scores the output, conditions it on the targets and learns the noise.
        backward: of the network, with what parameters accumulate.
        update: sums that over ranks, and turns it into the posterior.
        advance: keeps the states that series end in, and moves on to the next batch.
    """

    plan: nn.Plan
    load: list[Call]
    forward: list[Call]
    condition: list[Call]
    backward: list[Call]
    update: list[Call]
    advance: list[Call]

    def all(self) -> list[Call]:
        """All calls in order."""
        return [call for part in self[1:] for call in part]
