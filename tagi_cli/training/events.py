"""What the trainer tells its observers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tagi_cli.training.history import Row


@dataclass(frozen=True)
class TrainingStarted:
    """Before the first batch.

    Attributes:
        members: networks trained together.
        train_rows, valid_rows: sizes of the parts.
        max_epochs: epochs of the search, at most.
        refit: whether a refit on all these rows follows.
        history: the epochs that a resumed run already has; empty for a new one.
    """

    members: int
    train_rows: int
    valid_rows: int
    max_epochs: int
    refit: bool
    history: Sequence[Row]


@dataclass(frozen=True)
class Progress:
    """Between two slices of an epoch, several times a second.

    Attributes:
        phase: `search` or `refit`.
        epoch: the one in training, from 1, of `epochs` at most.
        done: share of it, over all members.
        seconds: of training so far.
    """

    phase: str
    epoch: int
    epochs: int
    done: float
    seconds: float


@dataclass(frozen=True)
class EpochEnded:
    """After an epoch and its validation.

    Attributes:
        phase, epoch, epochs, seconds: as in `Progress`.
        epoch_seconds: duration of this epoch with its validation.
        train: prequential metrics, in original units (each batch scored before it is learnt).
        valid: metrics of the validation rows, in original units; empty without such rows, and in
            the refit.
        improved: whether this epoch is the best so far.
        best_epoch: the best epoch so far.
        health: per member, what its learner reports on each layer.
        curve: the epoch along its rows, see `Phase.curve`.
    """

    phase: str
    epoch: int
    epochs: int
    seconds: float
    epoch_seconds: float
    train: Mapping[str, float]
    valid: Mapping[str, float]
    improved: bool
    best_epoch: int
    health: Sequence[Mapping[str, Any]]
    curve: Sequence[Mapping[str, float]] = ()

    @property
    def row(self) -> Row:
        """The epoch as one flat row for tables: phase, epoch, seconds, train_*, valid_*."""
        return {
            "phase": self.phase,
            "epoch": self.epoch,
            "seconds": self.seconds,
            **{f"train_{name}": value for name, value in self.train.items()},
            **{f"valid_{name}": value for name, value in self.valid.items()},
        }


COMPLETED, INTERRUPTED, FAILED = "completed", "interrupted", "failed"

EARLY_STOPPING, MAX_EPOCHS, MAX_SECONDS = "early_stopping", "max_epochs", "max_seconds"
DIVERGENCE, INTERRUPTION = "divergence", "interruption"


@dataclass(frozen=True)
class TrainingEnded:
    """When training is over, in whatever way.

    Attributes:
        status: `completed`, `interrupted`, or `failed` (an exception is on its way).
        stopped_by: what ended the search: `early_stopping`, `max_epochs`, `max_seconds`,
            `divergence`; or `interruption`; empty when `failed`.
        epochs: epochs of the search that are through.
        best_epoch: the chosen one, from 1; 0 before the first was through.
        refitted: whether the networks of `best` were trained on training and validation rows.
        seconds: of training, those before a resumption included.
        remark: what a user should know besides; may be empty.
    """

    status: str
    stopped_by: str
    epochs: int
    best_epoch: int
    refitted: bool
    seconds: float
    remark: str


Event = TrainingStarted | Progress | EpochEnded | TrainingEnded


class Observer(Protocol):
    """Someone who wants to know how training goes."""

    def notify(self, event: Event) -> None:
        """Take in an event."""
