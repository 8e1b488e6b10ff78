"""Ranks that are threads of this process, to test what ranks do without starting processes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

import numpy as np

from tagi_cli.distributed import Communicator

T = TypeVar("T")
_SECONDS = 60


class _Meeting:
    """Where threads put what they give to each other."""

    def __init__(self, size: int, in_turns: bool) -> None:
        self.barrier = threading.Barrier(size)
        self.values: list[Any] = [None] * size
        self.turn: threading.Lock | None = threading.Lock() if in_turns else None

    def wait(self) -> None:
        """Until all are here; meanwhile another may work."""
        if self.turn is None:
            self.barrier.wait(_SECONDS)
            return
        self.turn.release()
        try:
            self.barrier.wait(_SECONDS)
        finally:
            self.turn.acquire()


class ThreadRanks(Communicator):
    """One of several threads. Unlike MPI, it notices where ranks do not make the same calls."""

    backend = "threads"

    def __init__(self, meeting: _Meeting, rank: int) -> None:
        self._meeting = meeting
        self.rank = self.local_rank = rank
        self.size = self.local_size = len(meeting.values)
        self.collectives = 0

    def _meet(self, call: str, value: T) -> list[T]:
        """What all give; every rank must have come for the same."""
        self._meeting.values[self.rank] = call, value
        self._meeting.wait()
        found = list(self._meeting.values)
        self._meeting.wait()
        calls = [each for each, _ in found]
        assert set(calls) == {call}, f"ranks wait for each other in different calls: {calls}"
        return [given for _, given in found]

    def _arrays(self, call: str, array: Any) -> list[Any]:
        return self._meet(f"{call} {array.dtype} {array.shape}", np.array(array))

    def exchange(self, value: T) -> list[T]:
        return self._meet("exchange", value)

    def all_reduce(self, array: Any) -> None:
        self.collectives += 1
        # Always in the order of ranks, so that all get the same bits.
        array[...] = sum(self._arrays("all_reduce", array))

    def all_gather(self, array: Any) -> None:
        self.collectives += 1
        found = self._arrays("all_gather", array)
        array[...] = np.stack([each[rank] for rank, each in enumerate(found)])

    def broadcast(self, array: Any) -> None:
        array[...] = self._arrays("broadcast", array)[0]

    def share(self, value: T) -> T:
        return self._meet("share", value)[0]

    def barrier(self) -> None:
        self._meet("barrier", None)


def on_ranks(size: int, work: Callable[[ThreadRanks], T], *, in_turns: bool = False) -> list[T]:
    """What `work` returns on each of `size` ranks; the first error of any of them is raised.

    With `in_turns`, one of them works at a time, until it waits for the others.
    """
    meeting = _Meeting(size, in_turns)
    results: list[Any] = [None] * size
    errors: list[BaseException] = []

    def run(rank: int) -> None:
        try:
            with meeting.turn or nullcontext():
                results[rank] = work(ThreadRanks(meeting, rank))
        except BaseException as error:
            errors.append(error)
            meeting.barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        broken = threading.BrokenBarrierError
        raise next((error for error in errors if not isinstance(error, broken)), errors[0])
    return results
