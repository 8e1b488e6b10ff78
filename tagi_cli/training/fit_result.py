"""What a training leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tagi_cli.training import events
from tagi_cli.training.history import Row
from tagi_cli.training.interface import Prediction


@dataclass(frozen=True)
class FitResult(events.TrainingEnded):
    """How training went.

    Attributes:
        valid: what each member of the best epoch, before the refit, predicts for the validation
            rows; empty when interrupted.
        history: one row per epoch, of the refit too.
    """

    valid: Sequence[Prediction]
    history: Sequence[Row]
