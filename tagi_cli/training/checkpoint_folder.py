"""The folder that the trainer saves into: `best`, `last`, and `csv` where it is asked for."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tagi_cli.distributed import ALONE, Communicator
from tagi_cli.training import checkpoint
from tagi_cli.training.interface import Tensors
from tagi_cli.training.options import CheckpointOptions

BEST = "best.safetensors"
LAST = "last.safetensors"
CSV = "csv"

# Waiting for the disk costs milliseconds, an epoch of a small table less: then some epochs are
# passed over, so that saving takes a tenth of the time at most.
_SHARE = 0.1


class CheckpointFolder:
    """Where the checkpoints of one run go.

    Args:
        path: an existing folder; None where another rank writes.
        options: how often to save, and whether as CSV too.
        model: JSON-able facts that every checkpoint carries under `model`, so that it can predict
            by itself: the encoder of the data, the architecture.
        clock: seconds.
        ranks: the first of them writes what all have; they ask together whether to.
    """

    def __init__(
        self,
        path: Path | None,
        options: CheckpointOptions,
        model: Mapping[str, Any],
        clock: Callable[[], float] = time.monotonic,
        ranks: Communicator = ALONE,
    ) -> None:
        self._ranks = ranks
        self.path = path
        self.options = options
        self._model = dict(model)
        self._clock = clock
        self._next_save = -math.inf
        self._digests: dict[str, str] = {}

    def is_due(self, epoch: int) -> bool:
        """Whether to save after this epoch of a phase, from 1."""
        due = epoch % self.options.every == 0 and self._clock() >= self._next_save
        return self._ranks.share(due)

    def save(
        self,
        last: tuple[Tensors, Mapping[str, Any]],
        best: tuple[Tensors, Mapping[str, Any]] | None = None,
    ) -> None:
        """Replace `best`, if there is a new one, and `last`.

        Args:
            last: tensors of the members and what else the training needs, and its JSON-able state.
            best: tensors of the members, and JSON-able facts about how they came about.

        Raises:
            UserError: a file cannot be written; the one that was there stays as it was.
        """
        if self.path is None:
            return
        begun = self._clock()
        if best is not None:
            self._write(BEST, best[0], {"model": self._model, **best[1]}, "model")
        self._write(LAST, last[0], {"model": self._model, "training": last[1]}, "training")
        ended = self._clock()
        self._next_save = ended + (ended - begun) * (1 - _SHARE) / _SHARE

    def export_csv(self, tensors: Tensors, facts: Mapping[str, Any]) -> None:
        """Write the best networks as CSV files, if the options ask for them."""
        if self.path is not None and self.options.csv:
            checkpoint.export_csv(self.path / CSV, tensors, {"model": self._model, **facts})

    def _write(self, name: str, tensors: Tensors, metadata: dict[str, Any], kind: str) -> None:
        assert self.path is not None
        known = self._digests.get(name)
        replaces = None if known is None else [known]
        self._digests[name] = checkpoint.write(
            self.path / name, tensors, metadata, kind, replaces=replaces
        )
