"""Which rows of a batch each rank has.

Rank r of R has lanes `B r // R` to `B (r + 1) // R - 1` of every batch of B rows, also of a short
one: lane j belongs to the same rank in all batches, so that what a row leaves to the same row of
the next batch stays where it is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagi_cli.errors import UserError


class Lanes(NamedTuple):
    """Rows `first` to `last - 1` of each batch."""

    first: int
    last: int

    def rows(self, batch: int) -> int:
        """How many rows of a batch of `batch` rows these are."""
        return min(self.last, batch) - min(self.first, batch)

    def take(self, entries: NDArray[Any], batch_size: int) -> NDArray[Any]:
        """Those entries of an order, which begins with a batch, that are in these lanes."""
        lane = np.arange(len(entries)) % batch_size
        return entries[(lane >= self.first) & (lane < self.last)]


def lanes(batch_size: int, rank: int, size: int) -> Lanes:
    """The lanes of a rank.

    Raises:
        UserError: a batch has fewer rows than there are ranks.
    """
    if batch_size < size:
        raise UserError(
            f"data.batch_size: found {batch_size}, fewer rows than the {size} ranks that share a "
            f"batch. Allowed: at least {size}"
        )
    return Lanes(batch_size * rank // size, batch_size * (rank + 1) // size)


def rows_per_rank(rows: int, batch_size: int, size: int) -> list[int]:
    """How many of `rows` rows each rank learns in an epoch."""
    full, rest = divmod(rows, batch_size)
    each = [lanes(batch_size, rank, size) for rank in range(size)]
    return [full * own.rows(batch_size) + own.rows(rest) for own in each]
