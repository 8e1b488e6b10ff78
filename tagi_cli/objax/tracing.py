"""From a call of a module to a network: what the call does is recorded, and built once.

A module's `__call__` is run on a stand-in for its input at every call, which records the layers
used in order. The same recording for the same shape of input finds the network built before;
whatever was changed in between, such as an item of a list or an attribute, gives another one. A
variable lives in the network that ran it last and moves to the next.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tagi_cli import nn
from tagi_cli.backend import Backend, host_copy, overwrite
from tagi_cli.objax import random
from tagi_cli.objax.device import backend
from tagi_cli.objax.refusals import Arithmetic
from tagi_cli.objax.variable import BaseVar

Host = np.ndarray[Any, Any]
Tensor = nn.Parameter | nn.State

_KEPT = 8
"""Networks kept per module; where more are in use, the one built first is dropped."""


class Slot(NamedTuple):
    """Where a layer keeps a variable of the module that it is built for.

    Attributes:
        var: the variable.
        tensors: names of the layer's parameter, or of its states for value and variance.
        axes: of the variable, each as an axis of the layer's tensor; None where the order of
            elements is the same.
    """

    var: BaseVar
    tensors: tuple[str, ...]
    axes: tuple[int, ...] | None = None


class Place:
    """Where a network keeps a variable; see `variable.Place`."""

    def __init__(self, tensors: Sequence[Tensor], slot: Slot) -> None:
        self._tensors = tensors
        self._shape = slot.var.shape
        self._axes = slot.axes or tuple(range(len(self._shape)))
        self._inverse = tuple(int(axis) for axis in np.argsort(self._axes))

    def _arrays(self) -> list[Any]:
        (first, *_) = self._tensors
        if isinstance(first, nn.Parameter):
            return [first.mu, first.var]
        return [tensor.value for tensor in self._tensors if isinstance(tensor, nn.State)]

    def read(self) -> tuple[Host, Host | None]:
        """Copies of value and variance, in the variable's shape."""
        inner = tuple(self._shape[axis] for axis in self._inverse)
        copies = [
            np.ascontiguousarray(host_copy(array).reshape(inner).transpose(self._axes))
            for array in self._arrays()
        ]
        return copies[0], copies[1] if len(copies) > 1 else None

    def write(self, value: Host, variance: Host | None) -> None:
        """Set them."""
        for array, data in zip(self._arrays(), (value, variance), strict=False):
            overwrite(array, data.transpose(self._inverse))  # type: ignore[union-attr]


class Leaf(ABC):
    """What a recorded layer belongs to: a module with variables of its own."""

    @abstractmethod
    def slots(self, tensors: Mapping[str, Tensor]) -> list[Slot]:
        """Where variables are kept, given the tensors of the layer."""


@dataclass(frozen=True)
class Step:
    """One layer of a recording.

    Attributes:
        leaf: the module whose variables it holds; None where there are none.
        make: makes the layer from the options.
        options: by name.
        inputs: steps whose results it takes; -1 is the input.
        training: whether it was told to behave as in training; None where it was not told.
        where: the place of the module in lists, for messages.
    """

    leaf: Leaf | None
    make: Callable[..., nn.Layer]
    options: tuple[tuple[str, Any], ...]
    inputs: tuple[int, ...]
    training: bool | None
    where: str


class Recorder:
    """The steps of one call so far, and the place in lists where it is."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.where = ""


class Tracer(Arithmetic):
    """Stands for a Gaussian array while a call is recorded."""

    def __init__(self, recorder: Recorder, index: int) -> None:
        self._recorder = recorder
        self.index = index

    def record(
        self,
        make: Callable[..., nn.Layer],
        leaf: Leaf | None = None,
        training: bool | None = None,
        others: Sequence[Tracer] = (),
        **options: Any,
    ) -> Tracer:
        """The result of a layer applied to this array, and to `others` after it."""
        recorder = self._recorder
        inputs = (self.index, *(other.index for other in others))
        where = recorder.where
        recorder.steps.append(Step(leaf, make, tuple(options.items()), inputs, training, where))
        return Tracer(recorder, len(recorder.steps) - 1)

    @contextmanager
    def inside(self, item: int) -> Iterator[None]:
        """What is recorded inside belongs to this item of a list."""
        recorder = self._recorder
        outer, recorder.where = recorder.where, f"{recorder.where}[{item}]"
        try:
            yield
        finally:
            recorder.where = outer

    def __add__(self, other: Any) -> Tracer:
        """The sum with another array, which counts as independent."""
        if not isinstance(other, Tracer):
            self.__radd__(other)
        return self.record(nn.Add, others=(other,))


class Program:
    """A recorded call as a network."""

    def __init__(self, steps: Sequence[Step], shape: tuple[int, ...], where: Backend) -> None:
        rng = np.random.default_rng(random.DEFAULT_GENERATOR())
        self.network = nn.Network(_graph(steps, _layers(steps)), shape, rng=rng, backend=where)
        self.updater = nn.OutputUpdater(self.network)
        self._parallel: nn.DataParallel | None = None
        store, seen = self.network.parameters, set[int]()
        tensors: dict[str, Tensor] = {**store.tensors, **store.states}
        self._places: list[tuple[BaseVar, Place]] = []
        for (name, layer), step in zip(self.network.layer.children(), steps, strict=True):
            if step.leaf is None or id(layer) in seen:
                continue
            seen.add(id(layer))
            own = {k.removeprefix(f"{name}."): t for k, t in tensors.items() if _of(name, k)}
            for slot in step.leaf.slots(own):
                place = Place([own[tensor] for tensor in slot.tensors], slot)
                self._places.append((slot.var, place))

    def enter(self, training: bool | None) -> nn.Network:
        """The network, with the present values of all variables, in the mode given."""
        for var, place in self._places:
            if var.place is not place:
                place.write(*var.read())
                var.place = place
        if training is not None:
            self.network.training = training
        return self.network

    def parallel(self, ranks: nn.Ranks) -> nn.DataParallel:
        """Steps of the network, entered, that sum over ranks; always the same ones."""
        if self._parallel is None:
            self._parallel = nn.DataParallel(self.network, ranks, synced=False)
        return self._parallel


def _of(layer: str, tensor: str) -> bool:
    return tensor.startswith(f"{layer}.")


def _layers(steps: Sequence[Step]) -> list[nn.Layer]:
    """The layers of a recording; a module used twice is one layer."""
    made: dict[int, tuple[nn.Layer, Step]] = {}
    layers = []
    modes = {step.training for step in steps} - {None}
    for step in steps:
        layer, first = made.get(id(step.leaf), (None, step))
        if layer is None:
            layer = step.make(**dict(step.options))
            if step.leaf is not None:
                made[id(step.leaf)] = layer, step
        elif (first.options, first.training) != (step.options, step.training):
            raise ValueError(f"{layer.describe()} is used twice in one call, in different ways")
        if len(modes) > 1:
            layer.training = step.training
        layers.append(layer)
    return layers


def _graph(steps: Sequence[Step], layers: Sequence[nn.Layer]) -> nn.Graph:
    names: list[str] = []
    for i, (step, layer) in enumerate(zip(steps, layers, strict=True)):
        name = f"{step.where}{layer.name}"
        names.append(f"{name}_{i}" if name in names else name)
    sources = [*names, "input"]
    return nn.Graph(
        [
            nn.Node(name, layer, tuple(sources[k] for k in step.inputs))
            for name, layer, step in zip(names, layers, steps, strict=True)
        ]
    )


def program(
    owner: Any, call: Callable[..., Any], shape: tuple[int, ...], *args: Any, **kwargs: Any
) -> tuple[Program | None, bool | None]:
    """The program of a call on rows of a shape, and the mode that its layers are told.

    Args:
        owner: what keeps it for the next call.
        call: given a stand-in for the input, then the other arguments.
        shape: of one row of input.
        args: further arguments of the call.
        kwargs: by name.

    Returns:
        The program, None where the call returns its input, and whether layers behave as in
        training, None where they do not say.

    Raises:
        TypeError: the call returns something else than what it did to its input.
        ValueError: layers do not fit together, or results are left unused.
    """
    recorder = Recorder()
    result = call(Tracer(recorder, -1), *args, **kwargs)
    if not isinstance(result, Tracer):
        raise TypeError(f"a module returned {type(result).__name__}, not what it did to its input")
    steps = tuple(recorder.steps)
    if not steps:
        return None, None
    if result.index != len(steps) - 1:
        raise ValueError("a module uses layers without using their result")
    modes = {step.training for step in steps} - {None}
    mixed = tuple(step.training for step in steps) if len(modes) > 1 else ()
    key = (tuple((s.leaf, s.make, s.options, s.inputs) for s in steps), mixed, shape, backend())
    kept: dict[Any, Program] = owner.__dict__.setdefault("_programs", {})
    if key not in kept:
        if len(kept) >= _KEPT:
            del kept[next(iter(kept))]
        kept[key] = Program(steps, shape, backend())
    return kept[key], modes.pop() if len(modes) == 1 else None


@lru_cache(maxsize=1024)
def accepted(call: Callable[..., Any]) -> frozenset[str] | None:
    """Names of the arguments that a callable takes; None where it takes any."""
    arguments = inspect.signature(call).parameters
    if any(argument.kind is argument.VAR_KEYWORD for argument in arguments.values()):
        return None
    return frozenset(arguments)


def parts(x: Any) -> tuple[Any, Any]:
    """Means and variances of an input; the variances of a certain one are None."""
    return x if isinstance(x, nn.Moments) else (np.asarray(x), None)


def evaluate(owner: Any, call: Callable[..., Any], x: Any, *args: Any, **kwargs: Any) -> nn.Moments:
    """Moments of the result of a call.

    Args:
        owner: what keeps the network for the next call.
        call: see `program`.
        x: the input, an array or `Moments`; its first axis is the batch.
        args: further arguments of the call.
        kwargs: by name.

    Raises:
        TypeError, ValueError: see `program`; or the input has no axis for the batch.
    """
    mu, var = parts(x)
    if not np.ndim(mu):
        raise ValueError("the input is a single number; its first axis is the batch")
    made, training = program(owner, call, np.shape(mu)[1:], *args, **kwargs)
    if made is None:
        return nn.Moments(mu, np.zeros(np.shape(mu)) if var is None else var)
    return made.enter(training)(mu, var)
