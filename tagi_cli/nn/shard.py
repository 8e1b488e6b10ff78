"""A batch that several processes (ranks) share: the part of one of them, and what they sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tagi_cli.backend import Array
from tagi_cli.nn.parameters import Parameters, flat_size


class Ranks(Protocol):
    """The processes that share batches, as one of them sees them. All call the same, in order."""

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""

    @property
    def size(self) -> int:
        """Number of processes."""

    def all_reduce(self, array: Array) -> None:
        """Replace a contiguous array by its sum over ranks."""

    def all_gather(self, array: Array) -> None:
        """Fill `array (size, ...)`, of which each rank has set the row of its number."""

    def broadcast(self, array: Array) -> None:
        """Replace a contiguous array by that of rank 0."""


@dataclass(frozen=True)
class Shard:
    """One rank's part of the batches of a plan.

    Attributes:
        ranks: all of them.
        first: number of its first row in the whole batch.
        synced: whether statistics of a batch are those of all ranks' rows.
    """

    ranks: Ranks
    first: int = 0
    synced: bool = True


class Sums:
    """What ranks sum in each step, in one flat buffer: `G`, `L`, and some arrays more.

    Args:
        ranks: the ranks.
        parameters: their store; its `G, L` move into the buffer, so make this before any plan.
        others: arrays that take part.
        averaged: arrays that become the mean over ranks.
        average: whether `G` and `L`, too, become means over ranks, as pytagi has it.
    """

    def __init__(
        self,
        ranks: Ranks,
        parameters: Parameters,
        others: Sequence[Array] = (),
        averaged: Sequence[Array] = (),
        *,
        average: bool = False,
    ) -> None:
        self._ranks = ranks
        arrays = [*others, *averaged]
        self._buffer = parameters.join_sums(sum(flat_size(array.shape) for array in arrays))
        self._moments = self._buffer[: 2 * parameters.size] if average else None
        self._parts: list[tuple[Array, Array, bool]] = []
        begin = 2 * parameters.size
        for number, array in enumerate(arrays):
            end = begin + flat_size(array.shape)
            part = self._buffer[begin:end].reshape(array.shape)
            self._parts.append((array, part, number >= len(others)))
            begin = end

    @property
    def nbytes(self) -> int:
        """Bytes that are summed in a step."""
        return int(self._buffer.nbytes)

    def reduce(self) -> None:
        """Sum over ranks; all of them call this at the same place of their step."""
        for array, part, _ in self._parts:
            part[...] = array
        self._ranks.all_reduce(self._buffer)
        if self._moments is not None:
            self._moments /= self._ranks.size
        for array, part, mean in self._parts:
            if mean:
                part /= self._ranks.size
            array[...] = part
