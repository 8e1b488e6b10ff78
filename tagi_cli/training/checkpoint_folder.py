"""The folder that the trainer saves into: `best`, `last`, and `csv` where it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tagi_cli.training import checkpoint
from tagi_cli.training.interface import Tensors
from tagi_cli.training.options import CheckpointOptions

BEST = "best.safetensors"
LAST = "last.safetensors"
CSV = "csv"


class CheckpointFolder:
    """Where the checkpoints of one run go.

    Args:
        path: an existing folder.
        options: how often to save, and whether as CSV too.
        model: JSON-able facts that every checkpoint carries under `model`, so that it can predict
            by itself: the encoder of the data, the architecture.
    """

    def __init__(self, path: Path, options: CheckpointOptions, model: Mapping[str, Any]) -> None:
        self.path = path
        self.options = options
        self._model = dict(model)
        self._digests: dict[str, str] = {}

    def save_best(self, tensors: Tensors, facts: Mapping[str, Any]) -> None:
        """Replace `best`: the members' tensors, and JSON-able `facts` about how they came about."""
        self._write(BEST, tensors, {"model": self._model, **facts}, "model")

    def save_last(self, tensors: Tensors, training: Mapping[str, Any]) -> None:
        """Replace `last`: the members' tensors, and the state of the training."""
        self._write(LAST, tensors, {"model": self._model, "training": training}, "training")

    def export_csv(self, tensors: Tensors, facts: Mapping[str, Any]) -> None:
        """Write the best networks as CSV files, if the options ask for them."""
        if self.options.csv:
            checkpoint.export_csv(self.path / CSV, tensors, {"model": self._model, **facts})

    def _write(self, name: str, tensors: Tensors, metadata: dict[str, Any], kind: str) -> None:
        known = self._digests.get(name)
        replaces = None if known is None else [known]
        self._digests[name] = checkpoint.write(
            self.path / name, tensors, metadata, kind, replaces=replaces
        )
