"""Which epoch is best so far, and whether it is worth going on."""

from __future__ import annotations

from typing import Any

from tagi_cli.training.options import EarlyStoppingOptions


class EarlyStopping:
    """Follows the validation score (smaller is better) from epoch to epoch.

    Attributes:
        best_epoch: the last epoch, from 1, that improved the score by more than `min_delta`; 0
            before the first.
        best_score: its score; None without validation rows.
    """

    def __init__(self, options: EarlyStoppingOptions) -> None:
        self.options = options
        self.best_epoch = 0
        self.best_score: float | None = None
        self._waited = 0

    def update(self, epoch: int, score: float | None) -> bool:
        """Take in an epoch; returns whether it is the best so far.

        Without validation rows (`score` None) each epoch is, and training never stops early.
        """
        improved = (
            score is None
            or self.best_score is None
            or score < self.best_score - self.options.min_delta
        )
        if improved:
            self.best_epoch, self.best_score, self._waited = epoch, score, 0
        else:
            self._waited += 1
        return improved

    @property
    def exhausted(self) -> bool:
        """Whether `patience` epochs in a row brought no improvement."""
        return self.options.enabled and self._waited >= self.options.patience

    def state(self) -> dict[str, Any]:
        """JSON-able state, taken back by `restore`."""
        score = self.best_score
        return {
            "best_epoch": self.best_epoch,
            "best_score": None if score is None else score.hex(),
            "waited": self._waited,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` gave."""
        self.best_epoch = int(state["best_epoch"])
        score = state["best_score"]
        self.best_score = None if score is None else float.fromhex(score)
        self._waited = int(state["waited"])
