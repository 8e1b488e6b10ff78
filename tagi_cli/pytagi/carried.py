"""The states that recurrent layers go on from in the next call, in pytagi's form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.backend import host_copy
from tagi_cli.nn import interop
from tagi_cli.nn.layers.recurrent import continuation

Host = np.ndarray[Any, Any]
Four = tuple[Host, Host, Host, Host]


class Carried:
    """States `mu_h, var_h, mu_c, var_c` of a network's recurrent layers, by the layer's position.

    They belong to the rows of a call: one with another number of rows than the one before starts
    anew, from zeros.

    Args:
        network: the network.

    Attributes:
        layers: the layers that go on from a state, by position, `(i, j)` inside a block.
        rows: number of rows of the latest call, or of the states that were set since.
    """

    def __init__(self, network: nn.Network) -> None:
        self._network = network
        self.layers = {
            _position(leaf): each
            for leaf in interop.leaves(network.layer)
            if isinstance(leaf.layer, nn.LSTM)
            for each in leaf.layer.recurrences
            if each.carried is not None
        }
        self.rows = network.parameters.rows
        self._given = False

    def enter(self, rows: int) -> None:
        """Be ready for a call.

        Raises:
            ValueError: states were set for another number of rows.
        """
        if rows != self.rows:
            if self._given:
                raise ValueError(
                    f"states were set for {self.rows} rows, the call has {rows}: set them for "
                    f"{rows}, or call reset_lstm_states()"
                )
            self.reset(rows)
        self._given = False

    def reset(self, rows: int | None = None) -> None:
        """Start anew, from zeros, with as many rows; by default as many as before."""
        self._given = False
        self.rows = self.rows if rows is None else rows
        if self.layers:
            hold(self._network, self.rows)
            self._states().reset()

    def loaded(self) -> None:
        """The states were loaded: they are of as many rows as there is one for."""
        self._given = False
        last = 0
        for each in self.layers.values():
            assert each.held is not None
            last = max(last, *np.flatnonzero(host_copy(each.held.value)), 0)
        self.rows = int(last) + 1

    def get(self) -> dict[Any, Four]:
        """Copies of all states, flat, `rows * H` values each."""
        result = {}
        for key, each in self.layers.items():
            assert each.carried is not None
            states = host_copy(each.carried.value)[: self.rows]
            mu_h, var_h, mu_c, var_c = (states[:, k].ravel() for k in range(4))
            result[key] = mu_h, var_h, mu_c, var_c
        return result

    def set(self, states: Mapping[Any, Sequence[Any]]) -> None:
        """Set the states of some layers, or of none.

        Those of the others stay, where the number of rows does.

        Raises:
            ValueError: an unknown layer, no four arrays of the same whole number of rows, a state
                that is not finite, or a negative variance.
        """
        given = {key: self._rows_of(key, value) for key, value in states.items()}
        if not given:
            return
        counts = {key: value.shape[1] for key, value in given.items()}
        if len(set(counts.values())) > 1:
            raise ValueError(f"states of different numbers of rows, by layer: {counts}")
        rows = next(iter(counts.values()))
        if rows != self.rows:
            self.reset(rows)
        everything = []
        for key, each in self.layers.items():
            assert each.carried is not None
            value = host_copy(each.carried.value).swapaxes(0, 1)
            value[:, :rows] = given.get(key, value[:, :rows])
            value[:, rows:] = np.nan
            everything.append(nn.CellState(*value))
        self._states().set(everything)
        self._given = any(value.any() for value in given.values())

    def _rows_of(self, key: Any, value: Sequence[Any]) -> Host:
        """The states given for one layer, `(4, rows, H)`."""
        if key not in self.layers:
            raise ValueError(f"layer {key}: states are carried for layers {list(self.layers)}")
        H = self.layers[key].cell.units
        sizes = [np.size(part) for part in value]
        if len(sizes) != 4 or len(set(sizes)) > 1 or not sizes[0] or sizes[0] % H:
            raise ValueError(
                f"layer {key}: states of sizes {sizes}; needed are mu_h, var_h, mu_c and var_c of "
                f"{H} values for each row"
            )
        parts = np.stack([np.reshape(part, (-1, H)) for part in value]).astype(np.float32)
        if not (np.isfinite(parts).all() and (parts[1::2] >= 0).all()):
            raise ValueError(f"layer {key}: a state is not finite, or a variance is negative")
        return parts

    def _states(self) -> nn.RecurrentStates:
        return nn.RecurrentStates(self._network.layer, self._network.parameters)


def _position(leaf: interop.Leaf) -> Any:
    """Position of a layer in its network; of one in a block, its positions from the outside in."""
    place = [int(part) for part in leaf.name.split(".") if part.isdecimal()]
    return place[0] if len(place) == 1 else tuple(place)


def hold(network: nn.Network, rows: int) -> None:
    """Have room for the states of as many rows."""
    if rows > network.parameters.rows:
        _resize(network, rows)


def load(network: nn.Network, values: Mapping[str, Host]) -> None:
    """Set parameters and states, whatever number of rows they are for, or none.

    Raises:
        ValueError: a name is missing or unknown, or a shape differs.
    """
    store = network.parameters
    before = store.rows, [(state, state.value) for state in store.states.values()]
    if "continues" in store.states and "continues" in values:
        _resize(network, values["continues"].size)
    try:
        network.load_state_dict(values)
    except ValueError:
        store.rows = before[0]
        for state, value in before[1]:
            state.value = value
        raise


def _resize(network: nn.Network, rows: int) -> None:
    """Carry the states of as many rows: those that there are, zeros for others."""
    store, backend = network.parameters, network.backend
    both = min(rows, store.rows)
    store.rows = rows
    for each in nn.recurrences(network.layer):
        for state in (each.carried, each.held):
            if state is not None:
                old = state.value
                state.value = backend.zeros((rows, *old.shape[1:]))
                state.value[:both] = old[:both]
    continuation(store).value = backend.asarray(np.arange(rows), np.int32)
    network.forget()
