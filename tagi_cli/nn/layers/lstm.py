"""Long short-term memory."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import numpy as np

from tagi_cli.nn.init import InitOptions
from tagi_cli.nn.layer import Cost, Layer, Shape, ShapeError
from tagi_cli.nn.layers.dropout import Dropout
from tagi_cli.nn.layers.recurrent import Cell, Recurrence
from tagi_cli.nn.parameters import Parameter, Parameters, flat_size
from tagi_cli.nn.plan import Plan, Value

OUTPUTS = ("all", "last")
"""What a window gives: the hidden states of all steps, or that of the last."""


class LSTM(Layer):
    """Long short-term memory, recurrent through windows `(T, inputs)` of any length.

    Hidden and cell states flow from step to step with their variances, and innovations flow back
    through both. The output is `(T, units)`, or `(units,)` for the last step alone; where windows
    run in both directions, the backward units follow the forward ones, and the last step of the
    backward ones is the first of the window.

    Args:
        input_size: inputs of a step; 0 takes it from the layer before.
        output_size: number of units `H` in each layer and direction.
        seq_len: steps of a window; 0 takes it from the layer before.
        bias: whether the gates have biases.
        gain_weight: factor on the prior standard deviation of the weights (not on their means).
        gain_bias: the same for the biases.
        init_method: `He` or `Xavier`, from `inputs + H` inputs and `H` outputs.
        forget_bias: added to the prior means of the forget gate's biases; larger values keep
            longer memories.
        depth: number of layers, one on top of the other.
        bidirectional: whether each layer also runs from the last step to the first.
        dropout: probability that a unit is dropped between two layers, as moments.
        output: `all` steps, or the `last`.
        covariance: `full` takes all covariances between gates; `peer` leaves those out that pytagi
            leaves out.
        recurrent: whether states flow from step to step; without, each step stands for itself.
        internal_state: states before the first step: `zeros`; `random` means, drawn anew for each
            batch in training, uniform with standard deviation 0.1, which in prediction is a
            variance; or `given` ones, set through `RecurrentStates`.
        state_var: variance of states that are `zeros` or `random`.
        tracking: whether a batch starts from the states in which the one before ended.
        carry: what tracking keeps: the `posterior` given the batch's observations, or the `prior`.
        gain_mean: factor on the spread of the prior means.
        init: what the prior is drawn from, where it is not the normal of `init_method`.

    Raises:
        ValueError: sizes or options that do not fit together.
    """

    kind = "lstm"

    def __init__(
        self,
        input_size: int,
        output_size: int,
        seq_len: int = 0,
        bias: bool = True,
        gain_weight: float = 1.0,
        gain_bias: float = 1.0,
        init_method: str = "He",
        forget_bias: float = 1.0,
        depth: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        output: str = "all",
        covariance: str = "full",
        recurrent: bool = True,
        internal_state: str = "zeros",
        state_var: float = 0.0,
        tracking: bool = False,
        carry: str = "posterior",
        gain_mean: float = 1.0,
        init: InitOptions | None = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.output_size = output_size
        self.seq_len = seq_len
        self.bidirectional = bidirectional
        self.output = output
        if input_size < 0 or output_size < 1 or seq_len < 0 or depth < 1:
            raise ValueError(f"{self.describe()}: sizes must be positive")
        if output not in OUTPUTS:
            raise ValueError(f"{self.describe()}: output '{output}': allowed are all, last")
        if not 0 <= dropout < 1:
            raise ValueError(f"{self.describe()}: dropout {dropout} must lie in 0 to 1, below 1")
        if bidirectional and tracking:
            raise ValueError(
                f"{self.describe()}: the backward states of a window come from its end, so there "
                "is nothing to track in both directions"
            )
        try:
            cell = Cell(
                output_size, bias, gain_weight, gain_bias, init_method, forget_bias, covariance,
                recurrent, internal_state, state_var, tracking, carry, gain_mean, init,
            )  # fmt: skip
        except ValueError as error:
            raise ValueError(f"{self.describe()}: {error}") from None
        directions = (False, True) if bidirectional else (False,)
        self.stack = [[Recurrence(cell, reverse) for reverse in directions] for _ in range(depth)]
        self._dropout = Dropout(1 - dropout)

    @property
    def recurrences(self) -> list[Recurrence]:
        """Each layer in each direction, from the input up, forward before backward."""
        return [each for level in self.stack for each in level]

    @property
    def weight(self) -> Parameter | None:
        """The weights `(4 H, inputs + H)` of a single layer in one direction, once drawn."""
        return None if self._stacked else self.stack[0][0].weight

    @property
    def bias(self) -> Parameter | None:
        """The biases `(4 H,)` of a single layer in one direction, once drawn."""
        return None if self._stacked else self.stack[0][0].bias

    @property
    def _stacked(self) -> bool:
        return len(self.recurrences) > 1

    def children(self) -> list[tuple[str, Layer]]:
        """`forward_<depth>` and `backward_<depth>`; none where there is a single one."""
        if not self._stacked:
            return []
        return [
            (f"{direction}_{depth}", each)
            for depth, level in enumerate(self.stack)
            for direction, each in zip(("forward", "backward"), level, strict=False)
        ]

    def describe(self) -> str:
        """Name and sizes."""
        return f"{self.name}({self.input_size},{self.output_size})"

    def draw(self, rng: np.random.Generator) -> None:
        """Draw new prior means and set the prior variances; the input size must be known."""
        inputs = self.input_size
        for level in self.stack:
            for each in level:
                each.draw(inputs, rng)
            inputs = self.output_size * len(level)

    def _window(self, shape: Shape) -> tuple[int, int]:
        """Steps and inputs of a step.

        Raises:
            ShapeError: the input is no window of these sizes.
        """
        size = flat_size(shape)
        T, I = self.seq_len, self.input_size
        if len(shape) == 2:
            T, I = T or shape[0], I or shape[1]
        elif T or I:
            T, I = T or size // I, I or size // T
        else:
            T, I = 1, size
        if size != T * I or (len(shape) == 2 and shape != (T, I)):
            raise ShapeError(
                f"{self.describe()} takes windows of {T} steps with {I} inputs each but gets "
                f"{size} values {shape}"
            )
        return T, I

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        self.seq_len, self.input_size = self._window(shape)
        T, inputs, names = self.seq_len, self.input_size, self._names()
        for level in self.stack:
            for each in level:
                if self._stacked:
                    with parameters.scope(names[each]):
                        each.build((T, inputs), parameters, rng)
                else:
                    each.build((T, inputs), parameters, rng)
            inputs = self.output_size * len(level)
        return (T, inputs) if self.output == "all" else (inputs,)

    def _names(self) -> dict[Layer, str]:
        return {layer: name for name, layer in self.children()}

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        x = x.reshape((self.seq_len, self.input_size))
        for depth, level in enumerate(self.stack):
            if depth:
                x = self._dropout.trace(plan, x)
            top = depth == len(self.stack) - 1
            x = self._trace_level(plan, x, level, top and self.output == "last")
        return x

    def _trace_level(self, plan: Plan, x: Value, level: list[Recurrence], last: bool) -> Value:
        H = self.output_size
        width = H * len(level)
        if last and not level[0].cell.recurrent:
            x = self._last_step(plan, x)
        z = plan.value((width,) if last else (self.seq_len, width))
        made = []
        for k, each in enumerate(level):
            with self._inside(plan, each):
                made.append(each.forward(plan, x, z, k * H, last))

        def backward() -> None:
            if not z.reached:
                return
            for each, one in zip(level, made, strict=True):
                with self._inside(plan, each):
                    each.backward(plan, x, z, one)

        plan.on_backward(backward)
        return z

    def _inside(self, plan: Plan, each: Recurrence) -> AbstractContextManager[None]:
        return plan.inside(self._names()[each]) if self._stacked else nullcontext()

    def _last_step(self, plan: Plan, x: Value) -> Value:
        """The last step of a window, as a window of one step."""
        (T, I), B = x.shape, plan.batch
        part = plan.value((1, I), certain=x.var is None, wanted=x.wanted)
        before = (T - 1) * I
        plan.call("copy_columns", part.mu, part.var, x.mu, x.var, B, I, T * I, 0, before, I, 0)

        def backward() -> None:
            if x.wanted and part.reached:
                d_mu, d_var, add = x.send()
                sizes = (B, T * I, I)
                plan.call("copy_columns", d_mu, d_var, None, None, *sizes, 0, 0, before, add)
                plan.call(
                    "copy_columns", d_mu, d_var, *part.innovation(), *sizes, before, 0, I, add
                )

        plan.on_backward(backward)
        return part

    def costs(self) -> list[Cost]:
        """The sum of all layers and directions."""
        assert self.output_shape is not None
        parts = [cost for each in self.recurrences for cost in each.costs()]
        count, flops = sum(part.parameters for part in parts), sum(part.flops for part in parts)
        return [Cost(self.describe(), self.output_shape, count, flops, len(self.stack))]
