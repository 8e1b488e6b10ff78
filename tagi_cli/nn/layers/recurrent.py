"""One recurrent layer in one direction: its parameters, its states, and the calls of a window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tagi_cli.backend import Array
from tagi_cli.errors import UserError
from tagi_cli.nn.init import InitOptions, Prior
from tagi_cli.nn.layer import Cost, Layer, Shape
from tagi_cli.nn.parameters import Parameter, Parameters, State, drawn
from tagi_cli.nn.plan import Plan, Value

COVARIANCES = ("full", "peer")
"""Covariances between gates: all of them, or the ones that pytagi has."""

INTERNAL_STATES = ("zeros", "random", "given")
"""States before the first step: certain zeros, drawn ones, or those set by hand."""

CARRIES = ("posterior", "prior")
"""What a call leaves to the next: states given its observations, or before them."""

RANDOM_SPREAD = 0.1
"""Standard deviation of `random` internal states; 0.1 leaves the gates in their linear range."""

CONTINUES = "continues"
"""Name of the state that says which carried row each row of a batch goes on from."""


@dataclass(frozen=True)
class Cell:
    """What all layers and directions of an LSTM have in common; see `LSTM` for the meaning."""

    units: int
    bias: bool
    gain_weight: float
    gain_bias: float
    init_method: str
    forget_bias: float
    covariance: str
    recurrent: bool
    internal_state: str
    state_var: float
    tracking: bool
    carry: str
    gain_mean: float
    init: InitOptions | None

    def __post_init__(self) -> None:
        for name, allowed in (
            ("covariance", COVARIANCES),
            ("internal_state", INTERNAL_STATES),
            ("carry", CARRIES),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} '{getattr(self, name)}': allowed are {', '.join(allowed)}"
                )
        if self.state_var < 0:
            raise ValueError(f"state_var {self.state_var}: a variance is not negative")
        if not self.recurrent and (self.tracking or self.internal_state != "zeros"):
            raise ValueError("steps that are not recurrent have no internal_state to start from")


class Window(NamedTuple):
    """What a recurrent layer computed in the latest run of a plan; `B` rows, `T` steps, `H` units.

    Attributes:
        initial: mu_h, var_h, mu_c, var_c before the first step `(B, 4, H)`; None for zeros.
        states: the same after each step `(B, T, 4, H)`.
        d_states: innovations of `states`, `d_mu, d_var` of h and of c, after a backward pass.
        jac: `(B, T, 6, H)`, dc/dz of the gates f, i, c, dh/dz of the gate o, dh/dc, and dc/dc of
            the step before.
    """

    initial: Array | None
    states: Array
    d_states: Array
    jac: Array


class Recurrence(Layer):
    """Gates of `units` units, stepped forwards or backwards through windows `(T, inputs)`.

    Args:
        cell: what it computes.
        reverse: whether the last step is computed first.
    """

    kind = "recurrence"

    def __init__(self, cell: Cell, reverse: bool = False) -> None:
        super().__init__()
        self.cell = cell
        self.reverse = reverse
        self.inputs = 0
        self.weight: Parameter | None = None
        self.bias: Parameter | None = None
        self.carried: State | None = None
        self.held: State | None = None
        self._continues: State | None = None
        self._generator: State | None = None

    def describe(self) -> str:
        """Name and sizes."""
        return f"{self.name}({self.inputs},{self.cell.units})"

    def draw(self, inputs: int, rng: np.random.Generator) -> None:
        """Draw new prior means and set the prior variances for a number of inputs.

        Weights are `(4 H, inputs + H)`, gates in the order forget, input, candidate, output.
        """
        cell, H = self.cell, self.cell.units
        self.inputs = inputs
        prior = Prior(cell.init_method, inputs + H, H, cell.init)
        weight = prior.weights(
            (4 * H, inputs + H), rng, gain=cell.gain_weight, gain_mean=cell.gain_mean
        )
        self.weight = drawn(self.weight, "weight", *weight)
        if not cell.bias:
            return
        mu, var = prior.bias((4 * H,), rng, gain=cell.gain_bias, gain_mean=cell.gain_mean)
        mu[:H] += cell.forget_bias
        self.bias = drawn(self.bias, "bias", mu, var)

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        cell, H = self.cell, self.cell.units
        T, inputs = shape
        if self.weight is None or self.inputs != inputs:
            self.draw(inputs, rng)
        assert self.weight is not None
        parameters.adopt("weight", self.weight)
        if self.bias is not None:
            parameters.adopt("bias", self.bias)
        if cell.tracking or cell.internal_state == "given":
            R = parameters.rows
            self.carried = parameters.add_state("carried", np.zeros((R, 4, H)))
            self.held = parameters.add_state("held", np.zeros(R))
            self._continues = continuation(parameters)
        if cell.internal_state == "random":
            seed = np.array([rng.integers(np.iinfo(np.int32).max), 0])
            self._generator = parameters.add_state("generator", seed, np.int32)
        return (T, H)

    def _initial(self, plan: Plan, rows: int) -> Array | None:
        """Emit what gives the states before the first step."""
        cell = self.cell
        if self.carried is None and cell.internal_state == "zeros" and not cell.state_var:
            return None
        if self.carried is not None and rows > len(self.carried.value):
            raise UserError(
                f"a batch of {rows} rows, but recurrent states are carried for "
                f"{len(self.carried.value)}: make the network with Parameters(backend, rows={rows})"
            )
        drawn = self._generator if plan.training else None
        var = cell.state_var
        if self._generator is not None and drawn is None:
            var += RANDOM_SPREAD**2
        initial = plan.empty((rows, 4, cell.units))
        kept = (self.carried, self.held, self._continues)
        plan.call(
            "lstm_state_load", initial, *(None if s is None else s.value for s in kept),
            None if drawn is None else drawn.value, RANDOM_SPREAD, float(var),
            plan.first_row, rows, cell.units,
        )  # fmt: skip
        if drawn is not None:
            plan.call("advance", drawn.value[1:], 1)
        return initial

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        z = plan.value((x.shape[0], self.cell.units))
        made = self.forward(plan, x, z, 0, False)

        def backward() -> None:
            if z.reached:
                self.backward(plan, x, z, made)

        plan.on_backward(backward)
        return z

    def costs(self) -> list[Cost]:
        """Per step 18 products of `2 H K` operations forward and 18 backward, `K = inputs + H`."""
        assert self.output_shape is not None
        T, H, K = *self.output_shape, self.inputs + self.cell.units
        count = 4 * H * (K + (self.bias is not None))
        return [Cost(self.describe(), self.output_shape, count, T * H * (72 * K + 150))]

    def forward(self, plan: Plan, x: Value, z: Value, column: int, last: bool) -> _Pass:
        """Emit the forward pass.

        Args:
            plan: where the calls go.
            x: input `(T, inputs)`.
            z: the output, `(T, width)`, or `(width,)` for the last step alone.
            column: the first of the output's columns that are this layer's.
            last: whether the output is that of the last step alone.

        Returns:
            What the backward pass needs.
        """
        assert self.weight is not None
        cell, (T, I) = self.cell, x.shape
        B, H, width = plan.batch, cell.units, z.shape[-1]
        if not cell.recurrent:
            B, T = B * T, 1
        initial = self._initial(plan, B)
        states, d_states = plan.empty((B, T, 4, H)), plan.empty((B, T, 4, H))
        jac = plan.empty((B, T, 6, H))
        mu_u, var_u = plan.empty((B, T, I + H)), plan.empty((B, T, I + H))
        bias = (None, None) if self.bias is None else (self.bias.mu, self.bias.var)
        K = I + H
        plan.call(
            "lstm_forward", z.mu, z.var, states, jac, mu_u, var_u, x.mu, x.var, initial,
            self.weight.mu, self.weight.var, *bias,
            plan.scratch(K * (10 * H + 120) + B * (18 * H + K) + 32),
            B, T, I, H, width, column, int(last), int(self.reverse), int(cell.covariance == "full"),
        )  # fmt: skip
        if cell.tracking:
            assert self.carried is not None
            assert self.held is not None
            plan.call("lstm_state_store", self.carried.value, self.held.value, states, B, T, H)
        window = plan.recurrences[self] = Window(initial, states, d_states, jac)
        return _Pass(window, mu_u, (B, T, I, H, width, column, int(last), int(self.reverse)))

    def backward(self, plan: Plan, x: Value, z: Value, made: _Pass) -> None:
        """Emit the backward pass of what `forward` returned."""
        assert self.weight is not None
        B, T, I, H, *_ = made.sizes
        K = I + H
        d_mu_z, d_var_z = plan.empty((B * T, 4 * H)), plan.empty((B * T, 4 * H))
        d_mu_x, d_var_x, add = x.send() if x.wanted else (None, None, 0)
        states, d_states = made.window.states, made.window.d_states
        plan.call(
            "lstm_backward", d_mu_z, d_var_z, d_states, d_mu_x, d_var_x, *z.innovation(),
            made.window.jac, self.weight.mu, plan.scratch(10 * H * K + B * (13 * H + 2 * K)),
            *made.sizes, add,
        )  # fmt: skip
        if self.carried is not None and self.cell.tracking and self.cell.carry == "posterior":
            plan.call("lstm_state_posterior", self.carried.value, states, d_states, B, T, H)
        G, L, add = plan.accumulators(self.weight)
        G_b, L_b, _ = (None, None, 0) if self.bias is None else plan.accumulators(self.bias)
        plan.call(
            "linear_innovation", G, L, G_b, L_b, made.mu_u.reshape(B * T, K), d_mu_z, d_var_z,
            plan.scratch(B * T * K + 4 * H * K), B * T, K, 4 * H, add,
        )  # fmt: skip


class _Pass(NamedTuple):
    """A forward pass, as its backward pass needs it."""

    window: Window
    mu_u: Array
    sizes: tuple[int, ...]


def continuation(parameters: Parameters) -> State:
    """For each row of the next batch, the carried row that it continues; negative: none `(R,)`.

    All recurrent layers of a network share it. By default row `b` continues row `b`.
    """
    state = parameters.states.get(CONTINUES)
    if state is None:
        rows = parameters.backend.asarray(np.arange(parameters.rows), np.int32)
        state = parameters.states[CONTINUES] = State(CONTINUES, rows)
    return state
