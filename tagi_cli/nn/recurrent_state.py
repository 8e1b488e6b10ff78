"""The states that recurrent layers carry from one call to the next, row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tagi_cli.backend import overwrite
from tagi_cli.nn.layer import Layer
from tagi_cli.nn.layers.lstm import LSTM
from tagi_cli.nn.layers.recurrent import CONTINUES, Recurrence, continuation
from tagi_cli.nn.parameters import Host, Parameters


class CellState(NamedTuple):
    """Means and variances of hidden and cell states, `(R, H)` each; NaN where none is held."""

    mu_h: Host
    var_h: Host
    mu_c: Host
    var_c: Host


def recurrences(layer: Layer) -> Iterator[Recurrence]:
    """All recurrent layers in a layer, from the input up."""
    if isinstance(layer, LSTM):
        yield from layer.recurrences
    else:
        for _, inner in layer.children():
            yield from recurrences(inner)


def row_states(layer: Layer, parameters: Parameters) -> list[str]:
    """Names of the states of the store that belong to rows of the batch, one for each of them."""
    own = {id(s) for each in recurrences(layer) for s in (each.carried, each.held) if s is not None}
    names = [name for name, state in parameters.states.items() if id(state) in own]
    return [*names, CONTINUES] if names else []


class RecurrentStates:
    """The carried states of a network: which rows go on, what they go on from.

    A network carries the states of `R = parameters.rows` rows. Row `b` of a batch goes on from the
    state that row `b` of the batch before left, unless told otherwise. They are saved with the
    network.

    ```python
    states = RecurrentStates(net.layer, net.parameters)
    states.continue_from([0, -1, 2])      # row 1 of the next batches starts anew
    states.reset()                        # so do all rows of the next batch
    ```

    Args:
        layer: the built layer of a network.
        parameters: the network's store.

    Raises:
        ValueError: no layer in it tracks its states or has them given.
    """

    def __init__(self, layer: Layer, parameters: Parameters) -> None:
        self._all = [each for each in recurrences(layer) if each.carried is not None]
        self._parameters = parameters
        if not self._all:
            raise ValueError(
                f"{layer.describe()} carries no states: make an LSTM with tracking=True or "
                "internal_state='given'"
            )

    @property
    def rows(self) -> int:
        """Number of rows `R` that states are kept for."""
        return self._parameters.rows

    def get(self) -> list[CellState]:
        """Copies of the states of each recurrent layer, from the input up."""
        host = self._parameters.backend.to_host
        found = []
        for each in self._all:
            assert each.carried is not None
            assert each.held is not None
            value = host(each.carried.value)
            value[host(each.held.value) == 0] = np.nan
            found.append(CellState(*np.moveaxis(value, 1, 0)))
        return found

    def set(self, states: Sequence[Sequence[Any]]) -> None:
        """Set the states of all recurrent layers, or of none.

        Args:
            states: for each layer `mu_h, var_h, mu_c, var_c`, `(R, H)` or the same for all rows
                `(H,)`; rows with a NaN start anew.

        Raises:
            ValueError: other sizes, or a negative variance.
        """
        if len(states) != len(self._all):
            raise ValueError(f"{len(states)} states for {len(self._all)} recurrent layers")
        values = []
        for k, (each, state) in enumerate(zip(self._all, states, strict=True)):
            shape, H = (self.rows, each.cell.units), each.cell.units
            sizes = [np.size(part) for part in state]
            if len(sizes) != 4 or any(size not in (H, self.rows * H) for size in sizes):
                raise ValueError(
                    f"layer {k}: states of sizes {sizes}; needed are mu_h, var_h, mu_c and var_c "
                    f"of {shape}"
                )
            parts = [np.broadcast_to(np.reshape(part, (-1, H)), shape) for part in state]
            value = np.stack(parts, axis=1)
            if (value[:, 1::2] < 0).any():
                raise ValueError(f"layer {k}: a variance is negative")
            values.append(value)
        for each, value in zip(self._all, values, strict=True):
            assert each.carried is not None
            assert each.held is not None
            held = ~np.isnan(value).any(axis=(1, 2))
            overwrite(each.held.value, held)
            overwrite(each.carried.value, np.where(held[:, None, None], value, 0))

    def reset(self, rows: Sequence[int] | None = None) -> None:
        """Forget the states of some rows, by default of all: they start anew.

        Raises:
            ValueError: a row outside `0 ... R - 1`.
        """
        which = np.arange(self.rows) if rows is None else np.asarray(rows, int)
        if which.size and not (which.min() >= 0 and which.max() < self.rows):
            raise ValueError(f"rows {which.tolist()}: states are kept for 0 to {self.rows - 1}")
        for each in self._all:
            assert each.carried is not None
            assert each.held is not None
            for state in (each.carried, each.held):
                state.value[which] = 0

    def continue_from(self, rows: Sequence[int] | Host) -> None:
        """For each row of the batches to come, the row whose state it goes on from.

        Args:
            rows: at most `R` numbers, negative for a row that starts anew; rows beyond go on from
                themselves.

        Raises:
            ValueError: too many rows, or one outside.
        """
        given = np.asarray(rows, np.int32)
        if given.ndim != 1 or given.size > self.rows or (given >= self.rows).any():
            raise ValueError(f"rows {given.tolist()}: states are kept for 0 to {self.rows - 1}")
        source = np.arange(self.rows, dtype=np.int32)
        source[: given.size] = given
        overwrite(continuation(self._parameters).value, source)
