"""The store of a network's Gaussian parameters: a few flat buffers, and views of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tagi_cli.backend import Array, Backend, countable, overwrite

Host = np.ndarray[Any, Any]


class Parameter:
    """One tensor of independent Gaussian parameters: a prior that training makes the posterior.

    Before its store is allocated it holds what the initialiser drew, or what the user set; after
    that, `mu`, `var`, `G` and `L` are views of the store's flat buffers. `G` and `L` are the
    innovations accumulated by the last backward pass, `sum C d_mu` and `sum C^2 d_var`.

    Attributes:
        trainable: whether plans traced from now on let it learn.
    """

    def __init__(self, name: str, mu: Host, var: Host) -> None:
        if mu.shape != var.shape:
            raise ValueError(f"{name}: mean has shape {mu.shape}, variance {var.shape}")
        self.name = name
        self.shape = mu.shape
        self.size = mu.size
        self.mu: Array = mu
        self.var: Array = var
        self.G: Array | None = None
        self.L: Array | None = None
        self.trainable = True

    def assign(self, mu: Any, var: Any) -> None:
        """Set mean and variance, of any shape with the right number of elements.

        Raises:
            ValueError: wrong size, or a variance that is negative or NaN.
        """
        for what, new, old in (("mean", mu, self.mu), ("variance", var, self.var)):
            new = np.asarray(new)
            if new.size != self.size:
                raise ValueError(
                    f"{self.name}: {what} has {new.size} values, the layer needs "
                    f"{self.size} {self.shape}"
                )
            if what == "variance" and not (new >= 0).all():
                raise ValueError(f"{self.name}: a variance is negative or not a number")
            overwrite(old, new)


def drawn(found: Parameter | None, name: str, mu: Host, var: Host) -> Parameter:
    """A parameter with these values: `found`, which others may hold, or a new one if there is none.

    Raises:
        ValueError: the values do not fit `found`.
    """
    if found is None:
        return Parameter(name, mu, var)
    found.assign(mu, var)
    return found


class State:
    """A named array that prediction needs besides the parameters, such as running statistics."""

    def __init__(self, name: str, value: Host) -> None:
        self.name = name
        self.value: Array = value


class Parameters:
    """All parameters and states of one network, or of several that share them.

    Layers add their tensors while they are built; `allocate` then lays them out in the flat buffers
    `mu, var, G, L` of `size` elements, which the update rule steps through in one call, which are
    saved, and which data-parallel training sums over its ranks.

    Args:
        backend: where the arrays live.
        rows: number of rows of a batch whose recurrent states are carried from call to call.
    """

    def __init__(self, backend: Backend, rows: int = 1) -> None:
        self.backend = backend
        self.rows = rows
        self.tensors: dict[str, Parameter] = {}
        self.states: dict[str, State] = {}
        self._scope: list[str] = []
        self._allocated = 0
        self.mu = self.var = self.G = self.L = backend.zeros((0,))
        self.ends = self.floored = backend.zeros((0,), np.int32)

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Names added inside get the prefix `name.`."""
        self._scope.append(name)
        try:
            yield
        finally:
            self._scope.pop()

    def _full(self, name: str) -> str:
        full = ".".join([*self._scope, name])
        if full in self.tensors or full in self.states:
            raise ValueError(f"two tensors are called '{full}'")
        return full

    def add(self, name: str, mu: Host, var: Host) -> Parameter:
        """Register a tensor with its prior mean and variance."""
        parameter = Parameter(self._full(name), mu, var)
        self.tensors[parameter.name] = parameter
        return parameter

    def adopt(self, name: str, parameter: Parameter) -> None:
        """Register a tensor that a layer made before it was part of this network."""
        parameter.name = self._full(name)
        self.tensors[parameter.name] = parameter

    def add_state(self, name: str, value: Host, dtype: Any = None) -> State:
        """Register an array that belongs to the trained network but is no parameter.

        It is stored in the backend's precision, or as `dtype`.
        """
        state = State(self._full(name), self.backend.asarray(value, dtype))
        self.states[state.name] = state
        return state

    @property
    def size(self) -> int:
        """Number of parameters (each has a mean and a variance)."""
        return sum(tensor.size for tensor in self.tensors.values())

    def allocate(self) -> None:
        """Lay all tensors out in flat buffers, keeping their present values.

        Raises:
            UserError: there are more than kernels can count.
        """
        if self._allocated == len(self.tensors):
            return
        backend, tensors = self.backend, list(self.tensors.values())
        countable(self.size, "parameters of a network")
        # Tensor by tensor, and sums last: what was drawn is in double precision, and goes as it is
        # taken over, so that no more memory is needed than in training.
        self.mu = self._lay_out("mu", backend.empty((self.size,)))
        self.var = self._lay_out("var", backend.empty((self.size,)))
        self.G, self.L = backend.zeros((self.size,)), backend.zeros((self.size,))
        self._show_sums()
        ends = np.cumsum([t.size for t in tensors], dtype=np.int64)
        self.ends = backend.asarray(ends, np.int32)
        self.floored = backend.zeros((len(tensors),), np.int32)
        self._allocated = len(tensors)

    def _lay_out(self, moment: str, flat: Array) -> Array:
        """Move the tensors' means or variances into a flat buffer, of which they become views."""
        begin = 0
        for tensor in self.tensors.values():
            part = flat[begin : begin + tensor.size].reshape(tensor.shape)
            self.backend.write(part, getattr(tensor, moment))
            setattr(tensor, moment, part)
            begin += tensor.size
        return flat

    def join_sums(self, others: int = 0) -> Array:
        """Move `G` and `L` into one buffer, with room for `others` elements behind them.

        Plans made before are of no use afterwards.
        """
        sums = self.backend.zeros((2 * self.size + others,))
        self.G, self.L = sums[: self.size], sums[self.size : 2 * self.size]
        self._show_sums()
        return sums

    def _show_sums(self) -> None:
        """Make the tensors' `G` and `L` views of the flat buffers."""
        begin = 0
        for tensor in self.tensors.values():
            part = slice(begin, begin + tensor.size)
            tensor.G, tensor.L = (flat[part].reshape(tensor.shape) for flat in (self.G, self.L))
            begin += tensor.size

    def move(self, backend: Backend) -> None:
        """Keep all arrays on another backend from now on, with their present values.

        Plans and views made before are of no use afterwards.
        """
        old, self.backend = self.backend, backend
        for tensor in self.tensors.values():
            tensor.mu, tensor.var = old.to_host(tensor.mu), old.to_host(tensor.var)
        for state in self.states.values():
            kept = old.to_host(state.value)
            moments = kept.dtype == old.dtype
            state.value = backend.asarray(kept, None if moments else kept.dtype)
        floored = old.to_host(self.floored)
        self._allocated = -1
        self.allocate()
        backend.write(self.floored, floored)

    def state_dict(self) -> dict[str, Host]:
        """Host copies: `<tensor>.mu` and `<tensor>.var` of parameters, `<state>` of states."""
        host = self.backend.to_host
        result: dict[str, Host] = {}
        for name, tensor in self.tensors.items():
            result[f"{name}.mu"], result[f"{name}.var"] = host(tensor.mu), host(tensor.var)
        for name, state in self.states.items():
            result[name] = host(state.value)
        return result

    def load_state_dict(self, values: Mapping[str, Host]) -> None:
        """Take over what `state_dict` gave.

        Raises:
            ValueError: a name is missing or unknown, or a shape differs.
        """
        expected: dict[str, tuple[int, ...]] = {}
        for name, tensor in self.tensors.items():
            expected[f"{name}.mu"] = expected[f"{name}.var"] = tensor.shape
        for name, state in self.states.items():
            expected[name] = state.value.shape
        missing, unknown = expected.keys() - values.keys(), values.keys() - expected.keys()
        if missing or unknown:
            raise ValueError(
                f"parameters do not fit the network: missing {sorted(missing)}, "
                f"unknown {sorted(unknown)}"
            )
        for name, shape in expected.items():
            if np.shape(values[name]) != shape:
                raise ValueError(f"{name}: shape {np.shape(values[name])}, the network has {shape}")
        for name, tensor in self.tensors.items():
            tensor.assign(values[f"{name}.mu"], values[f"{name}.var"])
        for name, state in self.states.items():
            overwrite(state.value, values[name])


def flat_size(shape: Sequence[int]) -> int:
    """Number of elements of a shape."""
    return math.prod(shape)
