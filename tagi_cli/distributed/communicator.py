"""What ranks can do together, and a rank that is alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeVar

T = TypeVar("T")


class Communicator(ABC):
    """The ranks of a job, as one of them sees them.

    All ranks call the same methods in the same order: each waits for the others. Arrays are
    contiguous, of NumPy or CuPy, and are changed in place.

    Attributes:
        backend: `none`, `mpi` or `nccl`.
        rank: number of this process, from 0.
        size: number of processes.
        local_rank: number of this process among those of the same machine.
        local_size: number of processes on this machine.
    """

    backend: str
    rank: int
    size: int
    local_rank: int
    local_size: int

    @abstractmethod
    def all_reduce(self, array: Any) -> None:
        """Replace an array by its sum over ranks; all get the same bits."""

    @abstractmethod
    def all_gather(self, array: Any) -> None:
        """Fill `array (size, ...)`, of which each rank has set the row of its number."""

    @abstractmethod
    def broadcast(self, array: Any) -> None:
        """Replace an array by that of rank 0."""

    @abstractmethod
    def exchange(self, value: T) -> list[T]:
        """The values, any Python objects, that all ranks gave, by rank."""

    @abstractmethod
    def share(self, value: T) -> T:
        """The value, any Python object, that rank 0 gave."""

    @abstractmethod
    def barrier(self) -> None:
        """Return once all ranks are here, and their devices have done what they were asked to."""

    def meet_failed(self, message: str, seconds: float) -> list[str] | None:
        """What all ranks say, if all of them come here within `seconds`; else None."""
        return [message] if self.size == 1 else None

    def abort(self, code: int) -> None:
        """End all processes of the job with this exit code."""
        raise SystemExit(code)

    def any(self, flag: bool) -> bool:
        """Whether any rank says so."""
        return any(self.exchange(flag)) if self.size > 1 else flag

    @property
    def leads(self) -> bool:
        """Whether this is the rank that writes, prints and decides: number 0."""
        return self.rank == 0


class Alone(Communicator):
    """One process that shares with no other."""

    backend = "none"
    rank = local_rank = 0
    size = local_size = 1

    def all_reduce(self, array: Any) -> None:
        """The sum over one rank is there already."""

    def all_gather(self, array: Any) -> None:
        """So is its row."""

    def broadcast(self, array: Any) -> None:
        """And so is what it has."""

    def exchange(self, value: T) -> list[T]:
        """Its own value."""
        return [value]

    def share(self, value: T) -> T:
        """Its own value."""
        return value

    def barrier(self) -> None:
        """Nobody to wait for."""


ALONE = Alone()
