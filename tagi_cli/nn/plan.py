"""Plans: the calls of one forward and backward pass, traced once per batch size.

`layer.trace(plan, x)` emits kernel calls for the forward pass, and hands over a closure that emits
those of its backward pass. Closures run last in, first out, so whether a buffer is written for the
first time or added to is known when a call is emitted: nothing is ever cleared.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tagi_cli.backend import Array, Backend, Call, countable
from tagi_cli.backend.collective import COLLECTIVE
from tagi_cli.nn.parameters import Parameter, Parameters, flat_size

if TYPE_CHECKING:
    from tagi_cli.nn.layer import Layer
    from tagi_cli.nn.layers.recurrent import Recurrence, Window
    from tagi_cli.nn.shard import Shard


class Scratch(NamedTuple):
    """A request for scratch memory; the plan puts the shared arena in its place."""

    size: int


class _Innovation:
    """Where the innovations of an activation arrive: made on first use."""

    __slots__ = ("d_mu", "d_var", "wanted", "written")

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted
        self.written = False
        self.d_mu: Array | None = None
        self.d_var: Array | None = None


class Value:
    """A Gaussian activation inside a plan.

    Attributes:
        mu: means, `(B, ...)`.
        var: variances of the same shape, or None where the value is certain.
        jac: for the result of an activation function, its Jacobian `cov(a, z) / var_z`; else None.
        source: for the result of an activation function, the value it acts on; else None.
    """

    def __init__(
        self,
        plan: Plan,
        mu: Array,
        var: Array | None,
        wanted: bool,
        innovation: _Innovation | None = None,
    ) -> None:
        # Plans hold their values: were it the other way round, too, a network's memory would be
        # free only once cycles are collected.
        self._plan = weakref.ref(plan)
        self.mu = mu
        self.var = var
        self.jac: Array | None = None
        self.source: Value | None = None
        self._innovation = innovation or _Innovation(wanted)

    @property
    def plan(self) -> Plan:
        """The plan that this value is in, which must still be in use."""
        plan = self._plan()
        assert plan is not None
        return plan

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape without the batch."""
        return tuple(self.mu.shape[1:])

    @property
    def wanted(self) -> bool:
        """Whether innovations have to reach this value."""
        return self._innovation.wanted

    @property
    def reached(self) -> bool:
        """Whether any use of this value has sent innovations back so far."""
        return self._innovation.written

    def reshape(self, shape: Sequence[int]) -> Value:
        """The same value, and the same innovations, with another shape behind the batch."""
        full = (self.mu.shape[0], *shape)
        var = None if self.var is None else self.var.reshape(full)
        return Value(self.plan, self.mu.reshape(full), var, self.wanted, self._innovation)

    def with_variance(self, var: Array) -> Value:
        """The same mean, and the same innovations, with another variance."""
        return Value(self.plan, self.mu, var, self.wanted, self._innovation)

    def innovation(self) -> tuple[Array, Array]:
        """Buffers `d_mu, d_var` as they stand, to be read by the producer's backward."""
        slot = self._innovation
        if slot.d_mu is None or slot.d_var is None:
            slot.d_mu = self.plan.empty(self.mu.shape)
            slot.d_var = self.plan.empty(self.mu.shape)
        return slot.d_mu.reshape(self.mu.shape), slot.d_var.reshape(self.mu.shape)

    def send(self) -> tuple[Array, Array, int]:
        """Buffers for a use of this value to write to, and 1 if it must add instead."""
        slot = self._innovation
        accumulate = int(slot.written)
        slot.written = True
        return (*self.innovation(), accumulate)


class Plan:
    """The traced passes of a network for one batch size.

    Attributes:
        backend: where the calls run.
        batch: number of rows `B`.
        training: whether layers behave as in training (statistics of the batch, dropout).
        differentiable: whether a backward pass will be emitted, so that Jacobians are kept.
        shard: which part of a batch that ranks share the rows are; None where they are all of it.
        input: the value fed from outside.
        output: the value the network ends in.
        statistics: mean and variance that each normalisation layer used in the latest run.
        nodes: the values in each graph, by the name of the node, those of its input among them.
        recurrences: what each recurrent layer computed in the latest run.
        bytes: memory of all buffers.
        bytes_of: that of the buffers which each layer asked for, by the name that calls carry.
    """

    def __init__(
        self,
        backend: Backend,
        parameters: Parameters,
        batch: int,
        *,
        training: bool,
        differentiable: bool,
        shard: Shard | None = None,
    ) -> None:
        self.backend = backend
        self.parameters = parameters
        self.batch = batch
        self.training = training
        self.differentiable = differentiable
        self.shard = shard
        self.input: Value
        self.output: Value
        self.statistics: dict[Layer, tuple[Array, Array]] = {}
        self.nodes: dict[Layer, dict[str, list[Value]]] = {}
        self.recurrences: dict[Recurrence, Window] = {}
        self.bytes = 0
        self.bytes_of: dict[str, int] = {}
        self._calls: list[Call] = []
        self._backward: list[tuple[str, Callable[[], None]]] = []
        self._layer = ""
        self._used: set[str] = set()
        self._arena: Array | None = None

    def empty(self, shape: Sequence[int], dtype: Any = None) -> Array:
        """A buffer owned by the plan, uninitialised.

        Raises:
            UserError: it has more elements than kernels can count.
        """
        layer = f" in {self._layer}" if self._layer else ""
        countable(flat_size(shape), f"numbers in a batch of {self.batch} rows{layer}")
        array = self.backend.empty(shape, dtype)
        self.bytes += array.nbytes
        self.bytes_of[self._layer] = self.bytes_of.get(self._layer, 0) + array.nbytes
        return array

    def value(self, shape: Sequence[int], *, certain: bool = False, wanted: bool = True) -> Value:
        """A new value of `shape` behind the batch, with fresh buffers."""
        full = (self.batch, *shape)
        var = None if certain else self.empty(full)
        return Value(self, self.empty(full), var, wanted and self.differentiable)

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Calls emitted inside, and by backwards handed over inside, are those of this layer."""
        outer, self._layer = self._layer, f"{self._layer}.{name}".lstrip(".")
        try:
            yield
        finally:
            self._layer = outer

    def call(self, kernel: str, *arguments: Any) -> None:
        """Emit a kernel call. Python numbers become the kernel's `int` and `real`."""
        real = self.backend.dtype.type
        typed = tuple(
            np.int32(a) if isinstance(a, int) else real(a) if isinstance(a, float) else a
            for a in arguments
        )
        self._calls.append(Call(kernel, typed, self._layer))

    def collective(self, function: Callable[[], None]) -> None:
        """Emit a function of the host, in which ranks meet; it cuts the segment of the calls."""
        self._calls.append(Call(COLLECTIVE, (function,), self._layer))

    def function(self, function: Callable[..., None], *arguments: Any) -> None:
        """Emit a Python function, for formulas without a kernel; it cuts the segment of the calls.

        Args:
            function: called as `function(xp, *arguments)` in each run; writes its results into
                arrays among the arguments. `xp` is the array module, `numpy` or `cupy`.
            arguments: arrays of the plan and constants.
        """
        bound = partial(function, self.backend.xp, *arguments)
        self._calls.append(Call(COLLECTIVE, (bound, *arguments), self._layer))

    @property
    def first_row(self) -> int:
        """Number of the first row in the whole batch, where ranks share it."""
        return 0 if self.shard is None else self.shard.first

    def scratch(self, size: int) -> Scratch:
        """Ask for `size` elements that are free between calls."""
        return Scratch(size)

    def on_backward(self, emit: Callable[[], None]) -> None:
        """Hand over the emitter of a backward pass; only kept where innovations are wanted."""
        if self.differentiable:
            self._backward.append((self._layer, emit))

    def on_backward_through(self, a: Value, z: Value, jac: Array) -> None:
        """Hand over the backward of an elementwise `a = f(z)`, given its Jacobians."""

        def backward() -> None:
            if not (z.wanted and a.reached):
                return
            d_mu_a, d_var_a = a.innovation()
            d_mu_z, d_var_z, add = z.send()
            n = flat_size(a.mu.shape)
            self.call("jacobian_backward", d_mu_z, d_var_z, d_mu_a, d_var_a, jac, n, add)

        self.on_backward(backward)

    def accumulators(self, parameter: Parameter) -> tuple[Array, Array, int]:
        """`G` and `L` of a parameter, and 1 if this backward call must add to an earlier one."""
        if parameter.G is None or parameter.L is None:
            raise RuntimeError(f"{parameter.name} is not allocated yet")
        accumulate = int(parameter.name in self._used)
        self._used.add(parameter.name)
        return parameter.G, parameter.L, accumulate

    def take(self) -> list[Call]:
        """The calls emitted since the last `take`, with scratch requests resolved."""
        calls, self._calls = self._calls, []
        need = max(
            (a.size for c in calls for a in c.arguments if isinstance(a, Scratch)), default=0
        )
        if need and (self._arena is None or self._arena.size < need):
            self._arena = self.empty((need,))
        arena = self._arena
        return [
            c._replace(arguments=tuple(arena if isinstance(a, Scratch) else a for a in c.arguments))
            for c in calls
        ]

    @property
    def emitted(self) -> int:
        """Number of calls emitted since the last `take`."""
        return len(self._calls)

    @property
    def arena(self) -> Array | None:
        """The scratch memory that calls share, as far as `take` has needed any."""
        return self._arena

    def emit_backward(self, steps: int | None = None) -> None:
        """Emit the backward calls of the last `steps` traced layers, by default of all left."""
        count = len(self._backward) if steps is None else steps
        outer = self._layer
        for _ in range(count):
            self._layer, emit = self._backward.pop()
            emit()
        self._layer = outer

    @property
    def pending(self) -> int:
        """Number of backward closures not emitted yet."""
        return len(self._backward)

    def add_to_earlier(self) -> None:
        """Let all accumulators add to what another plan of the same step has written."""
        self._used.update(self.parameters.tensors)

    def clear_unused(self) -> None:
        """Emit zeros for accumulators that this plan's backward does not reach.

        So for those of parameters that are not to be learnt.
        """
        for name, parameter in self.parameters.tensors.items():
            if name in self._used and parameter.trainable:
                continue
            if parameter.G is not None and parameter.L is not None:
                self.call("fill", parameter.G, 0.0, flat_size(parameter.shape))
                self.call("fill", parameter.L, 0.0, flat_size(parameter.shape))
