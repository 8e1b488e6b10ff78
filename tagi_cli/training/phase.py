"""One phase of training: the members go through the same rows, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.errors import UserError
from tagi_cli.training.interface import Learner, NumericalError, Rows, Scores, Tensors
from tagi_cli.training.pace import Pace
from tagi_cli.training.sampling import Order, Sampler
from tagi_cli.training.task import Task

MARKS = 40
"""Points of the curve of a first epoch in the order of the rows."""


@dataclass(frozen=True)
class _Drawn:
    """The order of rows of the member in training, and its Generator's state before the draw."""

    member: int
    order: Order
    before: Mapping[str, Any]


class Phase:
    """The members' learners and how far each has come.

    In an epoch the members take their turns one after the other, each in an order of rows of its
    own. An epoch can be left after any slice and be taken up again, also from `state`.

    Attributes:
        name: `search` or `refit`.
        rows: what they learn.
        epoch: epochs that are done, validation included.
        seconds: time spent, kept by the trainer.
    """

    def __init__(
        self,
        name: str,
        learners: Sequence[Learner],
        rows: Rows,
        generators: Sequence[np.random.Generator],
        sampler: Sampler,
    ) -> None:
        self.name = name
        self.learners = list(learners)
        self.rows = rows
        self.epoch = 0
        self.seconds = 0.0
        self._generators = list(generators)
        self._sampler = sampler
        self._cursors = [0] * len(self.learners)
        # How many rows each member learns in this epoch, as far as its order is drawn.
        self._sizes = [len(rows)] * len(self.learners)
        self._drawn: _Drawn | None = None
        # Each member's prequential sums, by the rows that it had learnt.
        self._traces: list[dict[int, Scores]] = [{} for _ in self.learners]
        if any(learner.tracks for learner in self.learners):
            sampler.check_states(rows)
        for learner in self.learners:
            learner.bind(rows.x, rows.y, rows.index)

    @property
    def done(self) -> float:
        """Share of the present epoch that is trained."""
        return sum(self._cursors) / sum(self._sizes)

    def train(self, pace: Pace, clock: Callable[[], float], pause: Callable[[], bool]) -> bool:
        """Train what is left of the present epoch.

        Args:
            pace: chooses the slices.
            clock: seconds, to measure them.
            pause: asked after each slice; True leaves the epoch as it is.

        Returns:
            Whether the epoch is through.

        Raises:
            NumericalError: a member's moments are out of range.
        """
        for member, learner in enumerate(self.learners):
            while self._cursors[member] < self._sizes[member]:
                if self._cursors[member] == 0:
                    learner.start_epoch(self.epoch)
                order = self._order(member)
                begin = self._cursors[member]
                mark = self._next_mark(member)
                end = min(pace.end(begin, len(order.rows)), mark or len(order.rows))
                started = clock()
                learner.train(order.rows, begin, end, order.follows)
                self._check(member)
                pace.measured(end - begin, clock() - started)
                self._cursors[member] = end
                if end == mark:
                    self._traces[member][mark] = learner.scores()
                if end == len(order.rows):
                    self._drawn = None
                if pause():
                    return False
        return True

    def finish_epoch(self) -> None:
        """Go on to the next epoch, once this one is trained and validated."""
        self.epoch += 1
        self._cursors = [0] * len(self.learners)
        self._sizes = [len(self.rows)] * len(self.learners)

    def scores(self) -> list[Scores]:
        """Each member's prequential sums of the present epoch."""
        return [learner.scores() for learner in self.learners]

    def curve(self, task: Task) -> list[dict[str, float]]:
        """The first epoch along its rows: `rows` learnt, and the metrics of those since the point
        before, each scored before it is learnt. Empty where rows are shuffled.
        """
        found: list[dict[str, float]] = []
        before: list[Scores] | None = None
        for mark in self._traces[0]:
            if not all(mark in trace for trace in self._traces):
                continue  # of orders that a resumption has cut differently
            now = [trace[mark] for trace in self._traces]
            since = (
                now if before is None else [_less(*pair) for pair in zip(now, before, strict=True)]
            )
            found.append({"rows": float(mark)} | task.train_metrics(since, self.rows))
            before = now
        return found

    def _next_mark(self, member: int) -> int:
        """The number of rows at which a member's sums are kept; 0 for never."""
        if self._sampler.shuffle or self.epoch:
            return 0
        size, batch = self._sizes[member], self._sampler.batch_size
        step = -(-size // (MARKS * batch)) * batch
        return min(size, (self._cursors[member] // step + 1) * step)

    def tensors(self) -> list[Tensors]:
        """Each member's state."""
        return [learner.state_dict() for learner in self.learners]

    def state(self) -> dict[str, Any]:
        """JSON-able: all that the next slice depends on besides `tensors`."""
        return {
            "epoch": self.epoch,
            "seconds": self.seconds,
            "cursors": list(self._cursors),
            "sizes": list(self._sizes),
            "scores": [
                _to_lists(learner.scores()) if cursor else None
                for learner, cursor in zip(self.learners, self._cursors, strict=True)
            ],
            "traces": [
                [[rows, _to_lists(sums)] for rows, sums in trace.items()] for trace in self._traces
            ],
            "generators": [self._generator_state(member) for member in range(len(self.learners))],
        }

    def restore(self, state: Mapping[str, Any], tensors: Sequence[Tensors]) -> None:
        """Continue from what `state` and `tensors` gave.

        Raises:
            UserError: the tensors are those of another network.
        """
        load(self.learners, tensors)
        self.epoch = int(state["epoch"])
        self.seconds = float(state["seconds"])
        self._cursors = [int(cursor) for cursor in state["cursors"]]
        if "traces" in state:  # not in checkpoints of earlier versions
            self._traces = [{n: _to_arrays(sums) for n, sums in trace} for trace in state["traces"]]
        self._sizes = [int(size) for size in state["sizes"]]
        for member, learner in enumerate(self.learners):
            self._generators[member].bit_generator.state = state["generators"][member]
            if self._cursors[member]:
                learner.start_epoch(self.epoch, _to_arrays(state["scores"][member]))

    def _order(self, member: int) -> Order:
        if self._drawn is None or self._drawn.member != member:
            generator = self._generators[member]
            before = generator.bit_generator.state
            follows = self.learners[member].tracks
            order = self._sampler.order(self.rows, generator, follows=follows)
            self._drawn = _Drawn(member, order, before)
            self._sizes[member] = len(order.rows)
        return self._drawn.order

    def _generator_state(self, member: int) -> Mapping[str, Any]:
        """The state to draw the present order again, or the next one if that is used up."""
        if self._drawn is not None and self._drawn.member == member:
            return self._drawn.before
        return self._generators[member].bit_generator.state

    def _check(self, member: int) -> None:
        try:
            self.learners[member].check_finite(self.epoch + 1)
        except NumericalError as error:
            if len(self.learners) == 1:
                raise
            raise NumericalError(f"network {member} of the ensemble: {error}") from None


def load(learners: Sequence[Learner], tensors: Sequence[Tensors]) -> None:
    """Give each learner its state.

    Raises:
        UserError: the tensors are those of another network.
    """
    for learner, state in zip(learners, tensors, strict=True):
        try:
            learner.load_state_dict(state)
        except (ValueError, KeyError) as error:
            raise UserError(f"the checkpoint does not fit the network: {error}") from error


def _less(scores: Scores, before: Scores) -> Scores:
    return {name: values - before[name] for name, values in scores.items()}


def _to_lists(scores: Scores) -> dict[str, list[float]]:
    return {name: values.tolist() for name, values in scores.items()}


def _to_arrays(scores: Mapping[str, list[float]]) -> dict[str, NDArray[np.float64]]:
    return {name: np.asarray(values, np.float64) for name, values in scores.items()}
