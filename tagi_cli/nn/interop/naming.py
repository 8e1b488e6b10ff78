"""The names that pytagi gives to the layers of a network, and its state dictionary.

A layer is called by its class and its position, `Linear.0`, counting activations; inside a block at
position 2 the position goes on, `Conv2d.2.0`; inside a residual block the branch comes in between,
`Conv2d.main.2.0` and `BatchNorm2d.shortcut.2.1`; so it does for what attention ends in,
`Linear.output.3`, which pytagi does not have, and the layers of one `LSTM`, `LSTM.forward_1.0`.
Parameters are flat, row-major.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from tagi_cli.backend import host_copy, overwrite
from tagi_cli.nn.graph import Graph
from tagi_cli.nn.layer import Layer
from tagi_cli.nn.layers.recurrent import Recurrence
from tagi_cli.nn.parameters import Host, Parameter, State
from tagi_cli.nn.sequential import Sequential

Four: TypeAlias = tuple[Host, Host, Host, Host]


class Entry(Four):
    """`mu_w, var_w, mu_b, var_b` of one layer, flat; empty where it has no such parameters.

    Attributes:
        states: what else prediction needs, by name, such as running statistics. It travels with
            the entry, which otherwise is the plain tuple that pytagi gives.
    """

    states: Mapping[str, Host]

    def __new__(cls, arrays: Sequence[Host], states: Mapping[str, Host]) -> Entry:
        """Make an entry of four arrays."""
        made = super().__new__(cls, arrays)
        made.states = dict(states)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles keep the states."""
        return type(self), (tuple(self), self.states)


class Leaf(NamedTuple):
    """A layer without layers inside, and its pytagi name."""

    name: str
    layer: Layer

    @property
    def weight(self) -> Parameter | None:
        """The layer's weights, once they are drawn."""
        return getattr(self.layer, "weight", None)

    @property
    def bias(self) -> Parameter | None:
        """The layer's biases, once they are drawn."""
        return getattr(self.layer, "bias", None)

    @property
    def states(self) -> dict[str, State]:
        """What else prediction needs, by name; states of recurrent layers belong to a series."""
        if isinstance(self.layer, Recurrence):
            return {}
        held = [value for value in vars(self.layer).values() if isinstance(value, State)]
        return {state.name.rpartition(".")[2]: state for state in held}

    def entry(self) -> Entry:
        """Copies of the layer's parameters and states."""
        states = {name: host_copy(state.value) for name, state in self.states.items()}
        return Entry((*_flat(self.weight), *_flat(self.bias)), states)

    def check(self, values: Sequence[Any]) -> None:
        """Make sure that `assign` takes these arrays.

        Raises:
            ValueError: no four arrays, a wrong size, or a variance that is negative or NaN.
        """
        if len(values) != 4:
            raise ValueError(
                f"{self.name}: {len(values)} arrays; needed are mu_w, var_w, mu_b and var_b"
            )
        pairs = (("weights", self.weight, values[:2]), ("biases", self.bias, values[2:]))
        for what, parameter, (mu, var) in pairs:
            sizes = np.size(mu), np.size(var)
            need = 0 if parameter is None else parameter.size
            if sizes != (need, need):
                raise ValueError(
                    f"{self.name}: {sizes[0]} means and {sizes[1]} variances of {what}, the layer "
                    f"has {need}"
                )
            if not (np.asarray(var) >= 0).all():
                raise ValueError(f"{self.name}: a variance of {what} is negative or not a number")
        if isinstance(values, Entry):
            shapes = {name: np.shape(value) for name, value in values.states.items()}
            own = {name: state.value.shape for name, state in self.states.items()}
            if shapes != own:
                raise ValueError(f"{self.name}: states {shapes}, the layer has {own}")

    def assign(self, values: Sequence[Any]) -> None:
        """Set the layer's parameters, and its states where an `Entry` brings them.

        Raises:
            ValueError: see `check`.
        """
        self.check(values)
        for parameter, pair in ((self.weight, values[:2]), (self.bias, values[2:])):
            if parameter is not None:
                parameter.assign(*pair)
        if isinstance(values, Entry):
            for name, state in self.states.items():
                overwrite(state.value, values.states[name])


def _flat(parameter: Parameter | None) -> tuple[Host, Host]:
    if parameter is None:
        return np.empty(0, np.float32), np.empty(0, np.float32)
    return host_copy(parameter.mu).ravel(), host_copy(parameter.var).ravel()


def leaves(layer: Layer, branches: Sequence[str] = (), place: Sequence[int] = ()) -> Iterator[Leaf]:
    """All layers with parameters of their own or none, from input to output, with their names.

    Args:
        layer: usually a `Sequential`.
        branches: names of the branches that lead to it.
        place: its positions from the outside in.
    """
    if isinstance(layer, Sequential):
        for i, inner in enumerate(layer):
            yield from leaves(inner, branches, (*place, i))
    elif isinstance(layer, Graph):
        for node in layer.nodes:
            yield from leaves(node.layer, (*branches, node.name), place)
    else:
        name = "LSTM" if isinstance(layer, Recurrence) else layer.name
        yield Leaf(".".join([name, *branches, *map(str, place)]), layer)
        for name, inner in layer.children():
            yield from leaves(inner, (*branches, name), place)


def parameterised(layer: Layer) -> dict[str, Leaf]:
    """The leaves that have parameters, by name, from input to output."""
    return {leaf.name: leaf for leaf in leaves(layer) if leaf.weight is not None}


def state_dict(layer: Layer) -> dict[str, Entry]:
    """Copies of the parameters of all layers that have some, by name, from input to output."""
    return {name: leaf.entry() for name, leaf in parameterised(layer).items()}


def load_state_dict(layer: Layer, values: Mapping[str, Sequence[Any]]) -> None:
    """Set the parameters of all layers, or of none.

    Raises:
        ValueError: a layer is missing or unknown, or an array does not fit.
    """
    own = parameterised(layer)
    if own.keys() != values.keys():
        raise ValueError(
            f"parameters do not fit the network: missing {sorted(own.keys() - values.keys())}, "
            f"unknown {sorted(values.keys() - own.keys())}"
        )
    for name, leaf in own.items():
        leaf.check(values[name])
    for name, leaf in own.items():
        leaf.assign(values[name])
