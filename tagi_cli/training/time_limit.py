"""How long training has lasted, and whether it must come to an end."""

from __future__ import annotations

from collections.abc import Callable

from tagi_cli.distributed import ALONE, Communicator


class Stopwatch:
    """Seconds of training, over all resumptions, against a limit.

    Args:
        clock: seconds from any origin.
        limit: `trainer.max_seconds`.
        before: seconds of training before this process.
        ranks: the limit is reached for all once it is for one; they ask together.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        limit: float | None,
        before: float = 0,
        ranks: Communicator = ALONE,
    ) -> None:
        self._ranks = ranks
        self._clock = clock
        self._limit = limit
        self._origin = clock() - before

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self._clock() - self._origin

    def is_up(self, reserve: float) -> bool:
        """Whether less than `reserve` seconds are left."""
        if self._limit is None:
            return False
        return self._ranks.any(self.seconds + reserve >= self._limit)
