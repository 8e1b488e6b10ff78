"""Batch normalisation with the statistics of the rows of all ranks."""

from __future__ import annotations

from typing import Any

from tagi_cli.objax.nn.batch_norm import BatchNorm, BatchNorm0D, BatchNorm1D, BatchNorm2D


class SyncedBatchNorm(BatchNorm):
    """`BatchNorm` over the rows of all ranks of a `Trainer` that has any.

    Ranks may have different numbers of rows: counts, means and sums of squares are merged exactly.
    Without ranks it is `BatchNorm`.
    """

    def __call__(self, x: Any, training: bool, batch_norm_update: bool = True) -> Any:
        """Moments of the normalised input.

        Args:
            x: the input.
            training: whether statistics are those of the batch.
            batch_norm_update: whether a call in training changes the running statistics.
        """
        return self._normalised(x, training, synced=True, updates=bool(batch_norm_update))


class SyncedBatchNorm0D(BatchNorm0D, SyncedBatchNorm):
    """`BatchNorm0D` over the rows of all ranks, see `SyncedBatchNorm`."""


class SyncedBatchNorm1D(BatchNorm1D, SyncedBatchNorm):
    """`BatchNorm1D` over the rows of all ranks, see `SyncedBatchNorm`."""


class SyncedBatchNorm2D(BatchNorm2D, SyncedBatchNorm):
    """`BatchNorm2D` over the rows of all ranks, see `SyncedBatchNorm`."""
