"""Modules: what has variables and can be called."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.objax.tracing import Leaf, Slot, Tensor, Tracer, evaluate
from tagi_cli.objax.variable import BaseVar, StateVar, TrainVar, VarCollection


def _entry(call: Callable[..., Any]) -> Callable[..., Any]:
    """`__call__` as it is inside another call; on data, as a network."""

    @wraps(call)
    def enter(self: Module, *args: Any, **kwargs: Any) -> Any:
        if not args or isinstance(args[0], Tracer):
            return call(self, *args, **kwargs)
        x, single = args[0], self._is_row(args[0])
        if single:
            x = x._replace(mu=x.mu[None], var=x.var[None]) if _gaussian(x) else np.asarray(x)[None]
        result = evaluate(self, lambda *a, **k: call(self, *a, **k), x, *args[1:], **kwargs)
        return nn.Moments(result.mu[0], result.var[0]) if single else result

    return enter


def _gaussian(x: Any) -> bool:
    return isinstance(x, nn.Moments)


class Module:
    """Base of all that has variables.

    A class of one's own defines `__call__(self, x, ...)`, which composes modules, functions of
    `functional`, and sums of branches with `+`. It runs as one network, and can be trained so.

    ```python
    class Residual(objax.Module):
        def __init__(self, n):
            self.main = objax.nn.Linear(n, n)

        def __call__(self, x):
            return objax.functional.relu(self.main(x)) + x
    ```
    """

    __call__: Callable[..., Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__call__" in cls.__dict__:
            cls.__call__ = _entry(cls.__dict__["__call__"])  # type: ignore[method-assign]

    def _is_row(self, x: Any) -> bool:
        """Whether an input is a single row, without the axis of the batch."""
        return False

    def __repr__(self) -> str:
        own = [(name, var) for name, var in vars(self).items() if isinstance(var, BaseVar)]
        return f"{type(self).__name__}({', '.join(f'{name}={var.shape}' for name, var in own)})"

    def vars(self, scope: str = "") -> VarCollection:
        """All variables, those of modules among the attributes included.

        Args:
            scope: put in front of the names, which are `(<class>).<attribute>`.
        """
        found = VarCollection()
        scope += f"({type(self).__name__})."
        for name, value in self.__dict__.items():
            if isinstance(value, BaseVar):
                found[scope + name] = value
            elif isinstance(value, Module):
                found.update(value.vars(scope + name))
        return found

    def __getstate__(self) -> dict[str, Any]:
        """What a copy gets: everything but the networks."""
        return {k: v for k, v in self.__dict__.items() if k != "_programs"}


class Lift(Module, Leaf):
    """Any layer of `tagi_cli.nn` as a module, e.g. `Lift(nn.MaxPool2d(2, stride=2))`.

    Its variables keep the names and layouts that they have there, and are known from the first
    call on.

    Args:
        layer: the layer, which is copied and must not be part of a network.

    Raises:
        ValueError: it is part of a network.
    """

    def __init__(self, layer: nn.Layer) -> None:
        if layer.input_shape is not None:
            raise ValueError(f"{layer.describe()} already belongs to a network")
        self.layer = layer
        self._variables: dict[str, BaseVar] = {}

    def _copy(self) -> nn.Layer:
        return copy.deepcopy(self.layer)

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """The layer applied to `x`."""
        return x.record(self._copy, self, training)

    def slots(self, tensors: Mapping[str, Tensor]) -> list[Slot]:
        """All tensors of the layer."""
        for name, tensor in tensors.items():
            if name in self._variables:
                continue
            made: BaseVar
            if isinstance(tensor, nn.Parameter):
                made = TrainVar(tensor.mu, tensor.var)
            else:
                made = StateVar(tensor.value)
            self._variables[name] = made
        return [Slot(self._variables[name], (name,)) for name in tensors]

    def vars(self, scope: str = "") -> VarCollection:
        """See `Module.vars`; empty before the first call."""
        scope += f"({type(self).__name__}{{{self.layer.name}}})."
        return VarCollection((scope + name, var) for name, var in self._variables.items())
