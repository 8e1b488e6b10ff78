"""Recurrent states of the rows of a batch, of which each rank has those of its own rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.backend import Array
from tagi_cli.distributed import Communicator
from tagi_cli.distributed.partition import Lanes

Host = np.ndarray[Any, Any]


class CarriedRows:
    """Between the states of one rank's rows and those of all rows, which are saved.

    So a training goes on with another number of ranks from what it saved.

    Args:
        layer: the built network.
        parameters: its store.
        ranks: who shares each batch.
        lanes: this rank's rows of it.
        batch_size: rows of a whole batch.
    """

    def __init__(
        self,
        layer: nn.Layer,
        parameters: nn.Parameters,
        ranks: Communicator,
        lanes: Lanes,
        batch_size: int,
    ) -> None:
        self._store = parameters
        self._ranks = ranks
        self._lanes = lanes
        self._batch = batch_size
        self._names = [] if ranks.size == 1 else nn.row_states(layer, parameters)

    def common(self) -> list[Array]:
        """The states that are the same on all ranks."""
        return [s.value for name, s in self._store.states.items() if name not in self._names]

    def gather(self, values: dict[str, Host]) -> dict[str, Host]:
        """State of the whole batch, from the rank's own."""
        count = self._lanes.last - self._lanes.first
        for name in self._names:
            value = values[name]
            rows, beyond = value[:count], value[count:]
            if name == nn.CONTINUES:
                rows, beyond = (
                    self._renumbered(part, count, self._batch, 1) for part in (rows, beyond)
                )
            values[name] = np.concatenate([*self._ranks.exchange(rows), beyond])
        return values

    def take(self, values: Mapping[str, Host]) -> dict[str, Host]:
        """The rank's own state, from that of the whole batch."""
        found, (first, last) = dict(values), self._lanes
        for name in self._names:
            value = values[name]
            value = np.concatenate([value[first:last], value[self._batch :]])
            if name == nn.CONTINUES:
                value = self._renumbered(value, self._batch, last - first, -1)
            found[name] = value
        return found

    def _renumbered(self, rows: Host, beyond: int, becomes: int, sign: int) -> Host:
        """Numbers of rows in the other count; that of the row beyond the batch is `beyond`."""
        moved = np.where(rows >= 0, rows + sign * self._lanes.first, rows)
        return np.where(rows == beyond, becomes, moved).astype(rows.dtype)
