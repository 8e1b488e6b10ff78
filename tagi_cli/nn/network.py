"""A network stepped from Python: forward, output update, backward, parameter step."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tagi_cli.backend import Array, Backend, collective, select
from tagi_cli.nn.layer import Layer, Shape
from tagi_cli.nn.parameters import Host, Parameters, flat_size
from tagi_cli.nn.passes import Moments as Moments
from tagi_cli.nn.passes import Passes as Passes
from tagi_cli.nn.plan import Plan, Value
from tagi_cli.nn.rules import checked, default_cap, emit_step
from tagi_cli.nn.shard import Shard
from tagi_cli.nn.variances import NegativeFlag, refuse_negative


def output_shape(layer: Layer, input_shape: Shape) -> Shape:
    """The shape of one row of output; builds the layer in a store of its own, so use a spare one.

    Raises:
        ShapeError: layers do not fit together.
        TypeError: `input_shape` is no tuple of sizes.
    """
    return layer.build(_shape(input_shape), Parameters(select()), np.random.default_rng(0))


def _shape(given: Any) -> Shape:
    try:
        return tuple(operator.index(size) for size in given)
    except TypeError:
        raise TypeError(
            f"input_shape: found {given!r}. Allowed: the sizes of one row, such as (3,)"
        ) from None


class _Entry(NamedTuple):
    """Where an input of a certain shape goes: views of a plan's input with that shape."""

    mu: Array
    var: Array | None
    forward: Callable[[], None]
    passes: Passes


_WHAT = "input variances"

_KEPT = 16
"""Plans kept per network; where more batch sizes are in use, the ones traced first are dropped."""


class Network:
    """A layer (usually `Sequential`) with its parameters, run batch by batch.

    ```python
    net = Network(Sequential(Linear(0, 50), ReLU(), Linear(0, 1)), (13,))
    mu, var = net(x)                      # x (B, 13)
    OutputUpdater(net).update(y, var_v)   # innovations of the output
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
        flat_input: take inputs of any shape, as long as they hold a whole number of rows.
        preactivation: where the network ends in an activation, innovations of the output mean
            those of its pre-activation: `OutputUpdater` runs that activation's backward, too.

    Attributes:
        direct: whether arrays are NumPy's, so that inputs can be copied without the backend.
        shard: what part of a batch its rows are in training, where ranks share it; see
            `DataParallel`.

    Raises:
        ShapeError: layers do not fit together.
        TypeError: `input_shape` is no tuple of sizes.
        ValueError: unknown rule.
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
        flat_input: bool = False,
        preactivation: bool = False,
    ) -> None:
        self.layer = layer
        self.backend = backend or select()
        self.input_shape = _shape(input_shape)
        self.flat_input = flat_input
        self.parameters = parameters or Parameters(self.backend)
        self.output_shape = layer.build(
            self.input_shape, self.parameters, rng or np.random.default_rng()
        )
        self.parameters.allocate()
        self._check = layer.input_check()
        self.rule = checked(rule)
        self.cap = cap
        self.preactivation = preactivation
        self.direct = self.backend.xp is np
        self.shard: Shard | None = None
        self._passes: dict[tuple[Any, ...], Passes] = {}
        self._entries: dict[tuple[bool, bool], dict[Any, _Entry]] = {}
        self._training, self._input_innovation = True, input_innovation
        self._switch()
        self._current: Passes | None = None

    def _switch(self) -> None:
        """Use the entries of the present mode."""
        mode = self._training, self._input_innovation
        self._mode = self._entries.setdefault(mode, {})

    @property
    def training(self) -> bool:
        """Whether layers behave as in training (statistics of the batch, dropout)."""
        return self._training

    @training.setter
    def training(self, value: bool) -> None:
        self._training = bool(value)
        self._switch()

    @property
    def input_innovation(self) -> bool:
        """Whether the innovations of the input are computed, too."""
        return self._input_innovation

    @input_innovation.setter
    def input_innovation(self, value: bool) -> None:
        self._input_innovation = bool(value)
        self._switch()

    def train(self) -> None:
        """Behave as in training from the next call on."""
        self.training = True

    def eval(self) -> None:
        """Behave as in prediction from the next call on."""
        self.training = False

    def move(self, backend: Backend) -> None:
        """Run on another backend from the next call on, with the present parameters and states."""
        self.parameters.move(backend)
        self.backend = backend
        self.direct = backend.xp is np
        self._current = None
        self.forget()

    def forget(self) -> None:
        """Trace anew from the next call on, after a change of what layers do."""
        self._passes.clear()
        self._entries.clear()
        self._switch()

    def passes(self, batch: int, has_variance: bool, has_jacobian: bool = False) -> Passes:
        """The bound passes for a batch size, traced on first use."""
        key = (batch, self._training, has_variance, self._input_innovation, has_jacobian)
        found = self._passes.get(key)
        if found is None:
            if len(self._passes) >= _KEPT:
                del self._passes[next(iter(self._passes))]
                self._entries.clear()
                self._switch()
            found = self._passes[key] = self._trace(batch, has_variance, has_jacobian)
        return found

    def _trace(self, batch: int, has_variance: bool, has_jacobian: bool) -> Passes:
        backend = self.backend
        plan = Plan(
            backend, self.parameters, batch, training=self._training, differentiable=True,
            shard=self.shard if self._training else None,
        )  # fmt: skip
        wanted = self._input_innovation or has_jacobian
        source = plan.input = plan.value(self.input_shape, certain=not has_variance, wanted=wanted)
        var = plan.input.var
        flag = None if var is None else NegativeFlag(plan, var, _WHAT)
        if has_jacobian:
            source = _pre_activation(plan, plan.input)
        plan.output = self.layer.trace(plan, plan.input)
        forward = collective.bind(backend, plan.take())
        plan.output.send()
        below, trailing = plan.output, []
        if self.preactivation and plan.output.source is not None:
            below = plan.output.source
            plan.emit_backward(1)
            trailing = plan.take()
        plan.emit_backward()
        plan.clear_unused()
        backward = collective.bind(backend, plan.take())
        rows = backend.asarray([batch])
        cap = default_cap(self.rule, batch) if self.cap is None else self.cap
        emit_step(plan, self.parameters, self.rule, cap, rows)
        segments = (forward, backward, collective.bind(backend, plan.take()))
        return Passes(plan, source, below, trailing, segments, flag)

    def run(self, x: Any, var_x: Any = None) -> Passes:
        """Run forward on `x (B, ...)`; the passes hold the result until the next run.

        Args:
            x: means, `(B, *input_shape)`, or `(B, n)` with `n` values per row (`(B,)` where it is
                1), or a single row without `B`; with `flat_input` any shape of whole rows.
            var_x: their variances, as many; None for a certain input.

        Raises:
            ValueError: `x` has another shape or holds a value that the first layer cannot take, or
                `var_x` differs in size or holds a negative one.
        """
        try:
            entry = self._mode[x.shape if var_x is None else (x.shape, var_x.shape)]
        except (KeyError, AttributeError):
            x = np.asarray(x)
            var_x = None if var_x is None else np.asarray(var_x)
            key = x.shape if var_x is None else (x.shape, var_x.shape)
            entry = self._mode.get(key) or self._enter(key, x, var_x)
        if self._check is not None:
            self._check(np.asarray(x))
        if self.direct:
            entry.mu[...] = x
            if var_x is not None:
                entry.var[...] = var_x  # type: ignore[index]
        else:
            self.backend.write(entry.mu, x)
            if var_x is not None:
                refuse_negative(var_x, _WHAT)
                self.backend.write(entry.var, var_x)  # type: ignore[arg-type]
        entry.forward()
        passes = entry.passes
        if var_x is not None:
            passes.check_variances()
        self._current = passes
        return passes

    def _enter(self, key: Any, x: Host, var_x: Host | None) -> _Entry:
        """A new entry for the shapes of an input."""
        batch = self._rows(x.size) if self.flat_input else self._batch(x.shape)
        if var_x is not None and var_x.size != x.size:
            raise ValueError(f"input has {x.size} means but {var_x.size} variances")
        passes = self.passes(batch, var_x is not None)
        value = passes.plan.input
        var = None if var_x is None or value.var is None else value.var.reshape(var_x.shape)
        entry = _Entry(value.mu.reshape(x.shape), var, passes.forward, passes)
        self._mode[key] = entry
        return entry

    def _batch(self, shape: Shape) -> int:
        """Rows of an input whose first axis counts them, unless it is one row alone."""
        n = flat_size(self.input_shape)
        forms = [self.input_shape, (n,)] if self.input_shape != (n,) else [(n,)]
        if shape[1:] in forms or (n == 1 and len(shape) == 1):
            return shape[0]
        if shape in forms:
            return 1
        listed = " or ".join(f"({', '.join(map(str, ('rows', *form)))})" for form in forms)
        raise ValueError(
            f"input has shape {shape}. Allowed: {listed}, or one row of it alone"
        ) from None

    def _rows(self, size: int) -> int:
        row = flat_size(self.input_shape)
        if size % row:
            raise ValueError(f"input has {size} values, not a multiple of {row} {self.input_shape}")
        return size // row

    def run_activation(self, mu: Any, var: Any, jac: Any) -> Passes:
        """Run forward on an activation that another network ended in.

        The innovations of the input are then those of its pre-activation, and always computed.

        Args:
            mu: means, any shape of whole rows.
            var: variances.
            jac: Jacobians `cov(a, z) / var_z` with respect to the pre-activation.

        Raises:
            ValueError: `mu` is no whole number of rows, another array differs in size, or a
                variance is negative.
        """
        size = np.size(mu)
        if (np.size(var), np.size(jac)) != (size, size):
            raise ValueError(
                f"input has {size} means, {np.size(var)} variances and {np.size(jac)} Jacobians"
            )
        passes = self.passes(self._rows(size), True, True)
        value = passes.plan.input
        if not self.direct:
            refuse_negative(var, _WHAT)
        for buffer, data in ((value.mu, mu), (value.var, var), (value.jac, jac)):
            assert buffer is not None
            self.backend.write(buffer, data)
        passes.forward()
        passes.check_variances()
        self._current = passes
        return passes

    def __call__(self, x: Any, var_x: Any = None) -> Moments:
        """Moments of the output for `x (B, ...)`, a certain input or one with variance `var_x`.

        Raises:
            ValueError: see `run`.
        """
        self.run(x, var_x)
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
        passes, host = self.current, self.backend.to_host
        shape = passes.plan.output.mu.shape
        return Moments(host(passes.mu).reshape(shape), host(passes.var).reshape(shape))

    def innovations(self) -> tuple[Array, Array]:
        """Buffers for the innovations of the output of the latest call, to write or to read.

        With `preactivation` they are those of the trailing activation's input.
        """
        return self.current.below.innovation()

    def backward(self) -> None:
        """Send the innovations of the output back to all parameters."""
        self.current.backward()

    def input_innovations(self) -> tuple[Host, Host]:
        """Innovations `d_mu, d_var` of the input, divided by its variance and variance squared.

        Raises:
            RuntimeError: the network was made without `input_innovation`.
        """
        source = self.current.source
        if not source.wanted:
            raise RuntimeError("make the network with input_innovation=True")
        d_mu, d_var = source.innovation()
        return self.backend.to_host(d_mu), self.backend.to_host(d_var)

    def step(self) -> None:
        """Turn the innovations of the parameters into their posterior."""
        self.current.step()

    def state_dict(self) -> dict[str, Host]:
        """Host copies of all parameters and states."""
        return self.parameters.state_dict()

    def load_state_dict(self, values: Mapping[str, Host]) -> None:
        """Take over what `state_dict` gave; see `Parameters.load_state_dict`."""
        self.parameters.load_state_dict(values)


def _pre_activation(plan: Plan, a: Value) -> Value:
    """The value behind an input that is an activation; it holds nothing but innovations."""
    z = Value(plan, a.mu, a.var, True)
    jac = plan.empty(a.mu.shape)
    a.jac, a.source = jac, z
    plan.on_backward_through(a, z, jac)
    return z
