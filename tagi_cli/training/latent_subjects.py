"""Latent regressions of several subjects as one member of an ensemble."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tagi_cli.arch.latent.layout import Layout
from tagi_cli.training.health import LayerHealth
from tagi_cli.training.interface import Indices, Prediction, Scores, Tensors, Values
from tagi_cli.training.latent_learner import SCORES, LatentLearner
from tagi_cli.training.restarts import Restarts
from tagi_cli.training.stateless import Stateless

Host = np.ndarray[Any, Any]
SharedMap = Mapping[str, tuple[Host, ...]]
"""Values of the tensors of a shared map, by name."""
Member = LatentLearner | Restarts[LatentLearner]


class Subjects(Stateless):
    """One latent regression for each subject; they may have a part of their map in common.

    Batches hold rows of one subject: the order of an epoch is divided among the subjects, and a
    batch is learnt once all of its rows have come. So subjects take turns at random.

    Each network has a shared map of its own, and the one that learnt last holds the values that
    count; others take them over before they are used.

    Args:
        members: for each subject a learner, or several that differ by their initial values.
        layout: which columns make up groups and tell subjects apart.
        batch_size: rows learnt at a time.
        shared: whether they have `shared_m` in common.
        start: gives the values of a shared map to begin with, once there are rows; None keeps
            those that were drawn.
    """

    def __init__(
        self,
        members: Sequence[Member],
        layout: Layout,
        *,
        batch_size: int,
        shared: bool,
        start: Callable[[], SharedMap] | None = None,
    ) -> None:
        self.layout = layout
        self.members = list(members)
        self._batch_size = batch_size
        self._shared = shared
        self._start = start
        self._holder = 0
        self._who: Indices = np.zeros(0, np.int64)
        self._place: Indices = np.zeros(0, np.int64)
        self._order: Indices | None = None
        self._turns: list[_Turn] = []

    def network(self, subject: int) -> LatentLearner:
        """The network of a subject, with the shared map as it is now."""
        own = _best(self.members[subject])
        if self._shared and subject != self._holder:
            own.take_shared_map(_best(self.members[self._holder]))
        return own

    @property
    def networks(self) -> int:
        """Number of networks, those that do not count among them."""
        return sum(len(_all(member)) for member in self.members)

    @property
    def is_bound(self) -> bool:
        """Whether there are rows to train on."""
        return len(self._who) > 0

    def bind(self, x: Values, y: Values, index: Indices | None = None) -> None:
        """See `tagi_cli.training.interface.Learner.bind`."""
        self._who = self.layout.subject_of(x)
        self._place = np.zeros(len(self._who), np.int64)
        for s, member in enumerate(self.members):
            rows = np.flatnonzero(self._who == s)
            self._place[rows] = np.arange(len(rows))
            member.bind(x[rows], y[rows])
        if self._start is not None:
            values = self._start()
            for learner in (one for member in self.members for one in _all(member)):
                learner.begin_shared_map(values)

    def start_epoch(self, epoch: int, scores: Scores | None = None) -> None:
        """See `tagi_cli.training.interface.Learner.start_epoch`."""
        # Only the sums over all subjects are ever asked for.
        for s, member in enumerate(self.members):
            none = None if scores is None else {name: 0 * v for name, v in scores.items()}
            member.start_epoch(epoch, none if s else scores)

    def train(self, order: Indices, begin: int, end: int, follows: Host | None = None) -> None:
        """See `tagi_cli.training.interface.Learner.train`."""
        for turn in self._due(order, begin, end):
            self.network(turn.subject)
            self._holder = turn.subject
            self.members[turn.subject].train(turn.order, turn.begin, turn.end)

    def _due(self, order: Indices, begin: int, end: int) -> Iterator[_Turn]:
        """The batches whose last row stands in `order[begin:end]`, in the order of these rows."""
        if self._order is not order:
            self._order, self._turns = order, []
            who = self._who[order]
            for s in range(len(self.members)):
                places = np.flatnonzero(who == s)
                own = self._place[order[places]]
                for first in range(0, len(own), self._batch_size):
                    last = min(first + self._batch_size, len(own))
                    self._turns.append(_Turn(int(places[last - 1]), s, own, first, last))
            self._turns.sort(key=lambda turn: turn.due)
        return (turn for turn in self._turns if begin <= turn.due < end)

    def scores(self) -> Scores:
        """Sums over all subjects."""
        found = [member.scores() for member in self.members]
        return {name: np.sum([one[name] for one in found], axis=0) for name in SCORES}

    def predict(self, x: Values, var_x: Values | None = None) -> Prediction:
        """What the network of each row's subject predicts."""
        who = self.layout.subject_of(x)
        shape = len(who), len(np.concatenate(self.layout.outputs))
        found = Prediction(*(np.empty(shape) for _ in Prediction._fields))
        for s in np.unique(who).tolist():
            rows = np.flatnonzero(who == s)
            part = self.network(s).predict(x[rows], None if var_x is None else var_x[rows])
            for moments, own in zip(found, part, strict=True):
                moments[rows] = own
        return found

    def state_dict(self) -> Tensors:
        """Of all of them, with the number of the subject whose shared map counts."""
        found: Tensors = {"subjects.holder": np.array(self._holder)}
        for s, member in enumerate(self.members):
            found |= {f"subjects.{s}.{name}": a for name, a in member.state_dict().items()}
        return found

    def load_state_dict(self, state: Mapping[str, Host]) -> None:
        """See `tagi_cli.training.interface.Learner.load_state_dict`."""
        for s, member in enumerate(self.members):
            prefix = f"subjects.{s}."
            own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            member.load_state_dict(own)
        self._holder = int(state["subjects.holder"])

    def health(self) -> dict[str, LayerHealth]:
        """Of all of them, by subject."""
        return {
            f"{name}.{layer}": health
            for name, member in zip(self.layout.subjects, self.members, strict=True)
            for layer, health in member.health().items()
        }

    def check_finite(self, epoch: int) -> None:
        """See `tagi_cli.training.interface.Learner.check_finite`."""
        for member in self.members:
            member.check_finite(epoch)


class _Turn(NamedTuple):
    """A batch: rows `order[begin:end]` of a subject, due at a place of the epoch's order."""

    due: int
    subject: int
    order: Indices
    begin: int
    end: int


class Link(NamedTuple):
    """Epochs `first` to `end`, the latter excluded, in which a chain learns one subject.

    Attributes:
        place: of the subject in the chain.
        first: first epoch, from 0.
        end: the one after the last.
        own: the first epoch in which the subject learns.
        aligns: whether the shared map stays as it is.
        restarts: whether all of its learners learn, of which the best one counts.
    """

    place: int
    first: int
    end: int
    own: int
    aligns: bool
    restarts: bool


def links(subjects: int, passes: int, release: int | None, *, known: bool = False) -> list[Link]:
    """The links of a chain.

    Args:
        subjects: their number.
        passes: epochs of each.
        release: epochs of each but the first in which the shared map learns, too, behind those in
            which it does not; None lets it learn in all.
        known: whether there is a map that the first subject is aligned with, too.
    """
    found = [] if known else [Link(0, 0, passes, 0, aligns=False, restarts=True)]
    for s in range(len(found), subjects):
        first = found[-1].end if found else 0
        aligns = release is not None
        found.append(Link(s, first, first + passes, first, aligns=aligns, restarts=aligns))
        if release:
            begin = first + passes
            found.append(Link(s, begin, begin + release, first, aligns=False, restarts=False))
    return found


class Chain(Subjects):
    """Subjects that learn one after the other, each from the shared map that the last one left.

    Those of most rows come first. An epoch goes through the rows of one subject, and leaves out all
    others.

    Args:
        members: for each subject a learner, or several that differ by their initial values.
        layout: which columns make up groups and tell subjects apart.
        batch_size: rows learnt at a time.
        plan: which subject learns in which epoch.
        start: see `Subjects`.
    """

    def __init__(
        self,
        members: Sequence[Member],
        layout: Layout,
        *,
        batch_size: int,
        plan: Sequence[Link],
        start: Callable[[], SharedMap] | None = None,
    ) -> None:
        super().__init__(members, layout, batch_size=batch_size, shared=True, start=start)
        self._plan = list(plan)
        self._link: Link | None = None
        self._learning: Member = self.members[0]
        self._sequence = list(range(len(self.members)))

    def bind(self, x: Values, y: Values, index: Indices | None = None) -> None:
        """See `tagi_cli.training.interface.Learner.bind`."""
        super().bind(x, y, index)
        rows = np.bincount(self._who, minlength=len(self.members))
        self._sequence = np.argsort(-rows, kind="stable").tolist()
        self._holder = self._sequence[0]

    def start_epoch(self, epoch: int, scores: Scores | None = None) -> None:
        """See `tagi_cli.training.interface.Learner.start_epoch`."""
        link = next(link for link in self._plan if link.first <= epoch < link.end)
        if link is not self._link:
            self._link = link
            self._enter(link)
        self._learning.start_epoch(epoch - link.own, scores)

    def _enter(self, link: Link) -> None:
        """Make ready what learns in a link of the chain."""
        s = self._sequence[link.place]
        member = self.members[s]
        self._learning = member if link.restarts else _best(member)
        for learner in _all(self._learning):
            if s != self._holder:
                learner.take_shared_map(_best(self.members[self._holder]))
            learner.learn_shared_map(not link.aligns)
        if not link.aligns:
            self._holder = s

    def train(self, order: Indices, begin: int, end: int, follows: Host | None = None) -> None:
        """See `tagi_cli.training.interface.Learner.train`."""
        assert self._link is not None
        subject = self._sequence[self._link.place]
        for turn in self._due(order, begin, end):
            if turn.subject == subject:
                self._learning.train(turn.order, turn.begin, turn.end)

    def scores(self) -> Scores:
        """Of the subject that learns."""
        return self._learning.scores()


def _best(member: Member) -> LatentLearner:
    return member.best if isinstance(member, Restarts) else member


def _all(member: Member) -> list[LatentLearner]:
    return member.learners if isinstance(member, Restarts) else [member]
