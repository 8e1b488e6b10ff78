"""Fits from different initial values, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from tagi_cli.training.interface import (
    Indices,
    Learner,
    Prediction,
    Scores,
    Tensors,
    Values,
)
from tagi_cli.training.latent_learner import SCORES
from tagi_cli.training.stateless import Stateless

Host = np.ndarray[Any, Any]

_SUMS = "scores"


class Restartable(Learner, Protocol):
    """A learner that tells whether it has rows."""

    @property
    def is_bound(self) -> bool:
        """Whether there are rows to train on."""


L = TypeVar("L", bound=Restartable)


class Restarts(Stateless, Generic[L]):
    """Learners of the same rows, of which the best one counts.

    All of them learn; the one with the lowest predictive negative log density over the last whole
    epoch predicts and is told of.

    Attributes:
        learners: all of them.

    Args:
        learners: they differ by their initial values.
    """

    def __init__(self, learners: Sequence[L]) -> None:
        self.learners = list(learners)
        self._chosen = 0
        self._sums: list[Scores] | None = None

    @property
    def is_bound(self) -> bool:
        """Whether there are rows to train on."""
        return self.best.is_bound

    @property
    def best(self) -> L:
        """The one that counts."""
        return self.learners[self._chosen]

    def bind(self, x: Values, y: Values, index: Indices | None = None) -> None:
        """See `tagi_cli.training.interface.Learner.bind`."""
        for learner in self.learners:
            learner.bind(x, y, index)

    def start_epoch(self, epoch: int, scores: Scores | None = None) -> None:
        """See `tagi_cli.training.interface.Learner.start_epoch`."""
        # What each of them had in an epoch taken up again is in the state.
        sums = self._sums if scores is not None and self._sums is not None else None
        for i, learner in enumerate(self.learners):
            learner.start_epoch(epoch, None if sums is None else sums[i])
        self._sums = None

    def train(self, order: Indices, begin: int, end: int, follows: Host | None = None) -> None:
        """See `tagi_cli.training.interface.Learner.train`."""
        for learner in self.learners:
            learner.train(order, begin, end, follows)
        if end == len(order):
            nll = [float(learner.scores()["nll_sum"].sum()) for learner in self.learners]
            finite = [value if np.isfinite(value) else np.inf for value in nll]
            self._chosen = int(np.argmin(finite))

    def scores(self) -> Scores:
        """Of the one that counts."""
        return self.best.scores()

    def predict(self, x: Values, var_x: Values | None = None) -> Prediction:
        """What the one that counts predicts."""
        return self.best.predict(x, var_x)

    def state_dict(self) -> Tensors:
        """Of all of them, with which one counts and what each has scored in this epoch."""
        found: Tensors = {"restarts.chosen": np.array(self._chosen)}
        for i, learner in enumerate(self.learners):
            found |= {f"restarts.{i}.{name}": array for name, array in learner.state_dict().items()}
            if learner.is_bound:
                sums = learner.scores()
                found[f"restarts.{i}.{_SUMS}"] = np.stack([sums[name] for name in SCORES])
        return found

    def load_state_dict(self, state: Mapping[str, Host]) -> None:
        """See `tagi_cli.training.interface.Learner.load_state_dict`."""
        sums = []
        for i, learner in enumerate(self.learners):
            prefix = f"restarts.{i}."
            own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            if _SUMS in own:
                sums.append(dict(zip(SCORES, own.pop(_SUMS), strict=True)))
            learner.load_state_dict(own)
        self._sums = sums if len(sums) == len(self.learners) else None
        self._chosen = int(state["restarts.chosen"])

    def health(self) -> Mapping[str, Any]:
        """Of the one that counts."""
        return self.best.health()

    def check_finite(self, epoch: int) -> None:
        """Make sure that the one that counts is finite; others that are not never count."""
        self.best.check_finite(epoch)
