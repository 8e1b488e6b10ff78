"""How long training has lasted, and whether it must come to an end."""

from __future__ import annotations

from collections.abc import Callable


class Stopwatch:
    """Seconds of training, over all resumptions, against a limit.

    Args:
        clock: seconds from any origin.
        limit: `trainer.max_seconds`.
        before: seconds of training before this process.
    """

    def __init__(self, clock: Callable[[], float], limit: float | None, before: float = 0) -> None:
        self._clock = clock
        self._limit = limit
        self._origin = clock() - before

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self._clock() - self._origin

    def is_up(self, reserve: float) -> bool:
        """Whether less than `reserve` seconds are left."""
        return self._limit is not None and self.seconds + reserve >= self._limit
