"""How many rows to learn before looking up: at signals, the clock, the progress display."""

from __future__ import annotations

from tagi_cli.distributed import ALONE, Communicator


class Pace:
    """Chooses slices of whole batches that take about `seconds`, from the speed seen so far.

    Args:
        batch_size: rows of a batch.
        seconds: of a slice. Half of the 0.1 s that may pass between two looks, as speed varies.
        ranks: they choose together, by what the first of them has seen.
    """

    def __init__(self, batch_size: int, seconds: float = 0.05, ranks: Communicator = ALONE) -> None:
        self._ranks = ranks
        self.batch_size = batch_size
        self.seconds = seconds
        self._batches = 1

    def end(self, begin: int, rows: int) -> int:
        """Where the slice that starts at row `begin` of `rows` ends."""
        return min(begin + self._ranks.share(self._batches) * self.batch_size, rows)

    def measured(self, rows: int, seconds: float) -> None:
        """Take in how long a slice took. Slices grow at most eightfold from one to the next."""
        batches = rows / self.batch_size
        fitting = batches * self.seconds / seconds if seconds > 0 else 8 * batches
        self._batches = max(1, int(min(fitting, 8 * batches)))
