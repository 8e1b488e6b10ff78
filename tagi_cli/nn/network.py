"""A network stepped from Python: forward, output update, backward, parameter step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tagi_cli.backend import Array, Backend, Segment, select
from tagi_cli.nn.layer import Layer, Shape
from tagi_cli.nn.parameters import Host, Parameters, flat_size
from tagi_cli.nn.plan import Plan, Value
from tagi_cli.nn.rules import default_cap, emit_step


def output_shape(layer: Layer, input_shape: Shape) -> Shape:
    """The shape of one row of output; builds the layer in a store of its own, so use a spare one.

    Raises:
        ShapeError: layers do not fit together.
    """
    return layer.build(tuple(input_shape), Parameters(select()), np.random.default_rng(0))


class Moments(NamedTuple):
    """Mean and variance of a Gaussian array."""

    mu: Host
    var: Host


class Passes(NamedTuple):
    """The bound passes of one plan. `below` is the value that the trailing activation acts on."""

    plan: Plan
    forward: Segment
    trailing: Segment | None
    backward: Segment | None
    step: Segment | None
    below: Value


class Network:
    """A layer (usually `Sequential`) with its parameters, run batch by batch.

    ```python
    net = Network(Sequential(Linear(0, 50), ReLU(), Linear(0, 1)), (13,))
    mu, var = net(x)                      # x (B, 13)
    net.update(y, var_v)                  # innovations of the output
    net.backward()
    net.step()
    ```

    Args:
        layer: the network's layer; it is built here.
        input_shape: shape of one row of input.
        rng: draws the prior means; default: a fresh, unseeded generator.
        backend: where it runs; default: float32 on the CPU.
        rule: update rule, one of `tagi_cli.nn.rules.RULES`.
        cap: divisor of the capped rules; default: from the batch size of each call.
        parameters: a store to share with other networks; default: its own.
        input_innovation: also compute the innovations of the input.

    Raises:
        ShapeError: layers do not fit together.
    """

    def __init__(
        self,
        layer: Layer,
        input_shape: Shape,
        *,
        rng: np.random.Generator | None = None,
        backend: Backend | None = None,
        rule: str = "capped",
        cap: float | None = None,
        parameters: Parameters | None = None,
        input_innovation: bool = False,
    ) -> None:
        self.layer = layer
        self.backend = backend or select()
        self.input_shape = tuple(input_shape)
        self.parameters = parameters or Parameters(self.backend)
        self.output_shape = layer.build(
            self.input_shape, self.parameters, rng or np.random.default_rng()
        )
        self.parameters.allocate()
        self.rule = rule
        self.cap = cap
        self.input_innovation = input_innovation
        self.training = True
        self._passes: dict[tuple[int, bool, bool, bool], Passes] = {}
        self._current: Passes | None = None

    def train(self) -> None:
        """Behave as in training from the next call on."""
        self.training = True

    def eval(self) -> None:
        """Behave as in prediction from the next call on."""
        self.training = False

    def passes(self, batch: int, has_variance: bool) -> Passes:
        """The bound passes for a batch size, traced on first use."""
        key = (batch, self.training, has_variance, self.input_innovation)
        if key not in self._passes:
            self._passes[key] = self._trace(batch, has_variance)
        return self._passes[key]

    def _trace(self, batch: int, has_variance: bool) -> Passes:
        backend = self.backend
        plan = Plan(backend, self.parameters, batch, training=self.training, differentiable=True)
        plan.input = plan.value(
            self.input_shape, certain=not has_variance, wanted=self.input_innovation
        )
        plan.output = self.layer.trace(plan, plan.input)
        forward = backend.bind(plan.take())
        plan.output.send()
        below = plan.output.source or plan.output
        trailing = None
        if plan.output.source is not None:
            plan.emit_backward(1)
            trailing = backend.bind(plan.take())
        plan.emit_backward()
        plan.clear_unused()
        backward = backend.bind(plan.take())
        rows = backend.asarray([batch])
        cap = default_cap(batch) if self.cap is None else self.cap
        emit_step(plan, self.parameters, self.rule, cap, rows)
        return Passes(plan, forward, trailing, backward, backend.bind(plan.take()), below)

    def __call__(self, x: Any, var_x: Any = None) -> Moments:
        """Moments of the output for `x (B, ...)`, a certain input or one with variance `var_x`.

        Raises:
            ValueError: `x` is no whole number of rows, or `var_x` differs in size.
        """
        x = np.asarray(x)
        size = flat_size(self.input_shape)
        if x.size % size:
            raise ValueError(
                f"input has {x.size} values, not a multiple of {size} {self.input_shape}"
            )
        if var_x is not None and np.size(var_x) != x.size:
            raise ValueError(f"input has {x.size} means but {np.size(var_x)} variances")
        passes = self._current = self.passes(x.size // size, var_x is not None)
        value = passes.plan.input
        self.backend.write(value.mu, x)
        if value.var is not None:
            self.backend.write(value.var, var_x)
        passes.forward.run()
        return self.outputs()

    @property
    def current(self) -> Passes:
        """The passes of the latest call.

        Raises:
            RuntimeError: no call was made yet.
        """
        if self._current is None:
            raise RuntimeError("run the network forward first")
        return self._current

    def outputs(self) -> Moments:
        """Copies of the output moments of the latest call, `(B, ...)`."""
        output = self.current.plan.output
        mu = self.backend.to_host(output.mu)
        return Moments(
            mu, np.zeros_like(mu) if output.var is None else self.backend.to_host(output.var)
        )

    def innovations(self) -> tuple[Array, Array]:
        """Buffers for the innovations of the output of the latest call, to write or to read."""
        return self.current.plan.output.innovation()

    def backward(self) -> None:
        """Send the innovations of the output back to all parameters."""
        passes = self.current
        if passes.trailing is not None:
            passes.trailing.run()
        assert passes.backward is not None
        passes.backward.run()

    def input_innovations(self) -> tuple[Host, Host]:
        """Innovations `d_mu, d_var` of the input, divided by its variance and variance squared.

        Raises:
            RuntimeError: the network was made without `input_innovation`.
        """
        if not self.input_innovation:
            raise RuntimeError("make the network with input_innovation=True")
        d_mu, d_var = self.current.plan.input.innovation()
        return self.backend.to_host(d_mu), self.backend.to_host(d_var)

    def step(self) -> None:
        """Turn the innovations of the parameters into their posterior."""
        step = self.current.step
        assert step is not None
        step.run()

    def state_dict(self) -> dict[str, Host]:
        """Host copies of all parameters and states."""
        return self.parameters.state_dict()

    def load_state_dict(self, values: Mapping[str, Host]) -> None:
        """Take over what `state_dict` gave; see `Parameters.load_state_dict`."""
        self.parameters.load_state_dict(values)
