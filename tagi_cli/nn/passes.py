"""What a network runs on one batch size, and what comes out."""

from __future__ import annotations

from typing import Any, NamedTuple

from tagi_cli.backend import Call, Segment
from tagi_cli.nn.parameters import Host
from tagi_cli.nn.plan import Plan, Value
from tagi_cli.nn.variances import NegativeFlag


class Moments(NamedTuple):
    """Mean and variance of a Gaussian array."""

    mu: Host
    var: Host


class Passes:
    """The bound passes of one plan.

    Attributes:
        plan: what was traced.
        source: the value whose innovations are those of the input.
        below: the value that the trailing activation acts on; without one, the output itself.
        trailing: the backward calls of the trailing activation.
        forward: runs the forward pass.
        backward: runs the backward pass, from the output, or from `below`.
        step: runs the parameter update.
        bound: output updates bound to the plan so far.
        flag: of negative variances of the input; None for a certain one.
    """

    __slots__ = (
        "backward", "below", "bound", "flag", "forward", "mu", "plan", "segments", "source", "step",
        "trailing", "var",
    )  # fmt: skip

    def __init__(
        self,
        plan: Plan,
        source: Value,
        below: Value,
        trailing: list[Call],
        segments: tuple[Segment, Segment, Segment],
        flag: NegativeFlag | None = None,
    ) -> None:
        self.plan = plan
        self.flag = flag
        self.source = source
        self.below = below
        self.trailing = trailing
        self.segments = segments
        self.forward, self.backward, self.step = (segment.once for segment in segments)
        self.bound: dict[Any, Any] = {}
        output = plan.output
        self.mu = output.mu.reshape(-1)
        self.var = plan.backend.zeros(self.mu.shape) if output.var is None else output.var.ravel()

    def check_variances(self) -> None:
        """Make sure that the input that was run forward had no negative variance.

        Raises:
            ValueError: it had.
        """
        if self.flag is not None and self.flag.set[0]:
            self.flag.refuse()
