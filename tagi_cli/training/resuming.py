"""The state of a training as the content of `last`, and what may change when it is resumed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from tagi_cli.errors import UserError, UserErrors
from tagi_cli.training import history
from tagi_cli.training.events import MAX_EPOCHS, MAX_SECONDS
from tagi_cli.training.history import REFIT, SEARCH, Row
from tagi_cli.training.interface import Tensors
from tagi_cli.training.options import TrainerOptions

DONE = "done"

MEMBER = "member."
"""What the names of the tensors of a network begin with, before its number in the ensemble."""

Members = list[Tensors]
"""The state of each member."""

PhaseState = tuple[dict[str, Any], Members]
"""What `Phase.state` and the members' `state_dict` gave."""


@dataclass(frozen=True)
class TrainingState:
    """All that the rest of a training depends on.

    Attributes:
        stage: `search`, `refit` or `done`.
        fingerprint: options and sizes that must be the same when it is resumed.
        max_seconds: the limit in force.
        seconds: of training so far.
        epochs: epochs of the search that are through.
        stopped_by: what ended the search; empty before.
        remark: as in `TrainingEnded`.
        refitted: as in `TrainingEnded`.
        stopping: state of the early stopping.
        history: one row per epoch.
        best: the members at the best epoch of the search; empty before there is one.
        search: the search, as long as it may go on.
        refit: the refit, once there is one.
    """

    stage: str
    fingerprint: dict[str, Any]
    max_seconds: float | None
    seconds: float
    epochs: int
    stopped_by: str
    remark: str
    refitted: bool
    stopping: dict[str, Any]
    history: Sequence[Row]
    best: Members
    search: PhaseState | None
    refit: PhaseState | None

    def goes_on(self, options: TrainerOptions) -> bool:
        """Whether the search ended at a limit that is higher in `options`."""
        if self.stage == SEARCH or self.search is None:
            return False
        if self.stopped_by == MAX_SECONDS and self.max_seconds is not None:
            return options.max_seconds is None or options.max_seconds > self.max_seconds
        return self.stopped_by == MAX_EPOCHS and options.max_epochs > self.epochs

    def check(self, fingerprint: Mapping[str, Any], options: TrainerOptions) -> None:
        """Make sure that it can be resumed by a trainer with this fingerprint and options.

        Raises:
            UserError: something else than `max_epochs` and `max_seconds` changed, or `max_epochs`
                is less than has been trained.
        """
        faults = [
            f"{name}: {value} here, {self.fingerprint.get(name)} in the run to resume; only "
            "trainer.max_epochs and trainer.max_seconds may change"
            for name, value in fingerprint.items()
            if self.fingerprint.get(name) != value
        ]
        if options.max_epochs < self.epochs:
            faults.append(
                f"trainer.max_epochs: {options.max_epochs}, but the run to resume has trained "
                f"{self.epochs} epochs; it can only be raised"
            )
        if faults:
            raise UserErrors(faults)


def fingerprint(options: TrainerOptions) -> dict[str, Any]:
    """The options that must not change when a training is resumed, by config path."""
    tree = dataclasses.asdict(options)
    # What is learnt in one pass, and from where, shows in the other options and in the networks.
    for name in ("max_epochs", "max_seconds", "resume", "online", "parent"):
        del tree[name]
    stopping = tree.pop("early_stopping")
    tree |= {f"early_stopping.{name}": value for name, value in stopping.items()}
    return {f"trainer.{name}": value for name, value in tree.items()}


def pack(state: TrainingState) -> tuple[Tensors, dict[str, Any]]:
    """Arrays and JSON-able metadata of the state.

    `member.<i>.*` are the networks in training now, or at the end: the refit's if there is one,
    else the search's. The others have a prefix; equal ones are not stored twice.
    """
    columns, rows = history.to_array(state.history)
    tensors: Tensors = {"history": rows}
    current = state.refit or state.search
    tensors |= join_members(current[1] if current is not None else state.best)
    if state.refit is not None and state.search is not None:
        tensors |= join_members(state.search[1], "search.")
    own_best = state.search is None or state.best is not state.search[1]
    if own_best:
        tensors |= join_members(state.best, "best.")
    names = ("stage", "fingerprint", "max_seconds", "seconds", "epochs", "stopped_by")
    metadata = {name: getattr(state, name) for name in (*names, "remark", "refitted", "stopping")}
    metadata |= {
        "history": columns,
        "best_is_search": not own_best,
        SEARCH: None if state.search is None else state.search[0],
        REFIT: None if state.refit is None else state.refit[0],
    }
    return tensors, metadata


def unpack(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> TrainingState:
    """The state that `pack` was given.

    Args:
        tensors: arrays of the checkpoint.
        metadata: what `pack` gave.

    Raises:
        UserError: something is missing; the checkpoint was put together by other means.
    """
    try:
        fields = dict(metadata)
        columns, best_is_search = fields.pop("history"), fields.pop("best_is_search")
        search, refit = fields.pop(SEARCH), fields.pop(REFIT)
        if fields["stage"] == SEARCH and search is None:
            raise KeyError(SEARCH)
        in_search = split_members(tensors, "" if refit is None else "search.")
        return TrainingState(
            **fields,
            history=history.from_array(columns, tensors["history"]),
            best=in_search if best_is_search else split_members(tensors, "best."),
            search=None if search is None else (search, in_search),
            refit=None if refit is None else (refit, split_members(tensors)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"the checkpoint lacks a part of the training's state ({error})") from error


def join_members(members: Sequence[Tensors], prefix: str = "") -> Tensors:
    """The members' tensors under the names `<prefix>member.<i>.<name>`."""
    return {
        f"{prefix}{MEMBER}{i}.{name}": tensor
        for i, member in enumerate(members)
        for name, tensor in member.items()
    }


def split_members(tensors: Mapping[str, NDArray[Any]], prefix: str = "") -> Members:
    """The inverse of `join_members`; tensors under other names are left out."""
    members: dict[int, Tensors] = {}
    for name, tensor in tensors.items():
        head, found, rest = name.partition(MEMBER)
        if found and head == prefix:
            number, _, own = rest.partition(".")
            members.setdefault(int(number), {})[own] = tensor
    return [members[i] for i in range(len(members))]
