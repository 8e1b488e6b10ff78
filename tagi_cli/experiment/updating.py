"""`tagi update`: a run that goes on from another with new rows, in a folder of its own."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data import Dataset, Encoder
from tagi_cli.data.appended import Past, load_appended
from tagi_cli.data.dataset import read_source
from tagi_cli.data.images.encoder import takes_images
from tagi_cli.data.options import DataOptions
from tagi_cli.data.ranges import LEAST_ROWS, beyond_notices
from tagi_cli.distributed import Communicator
from tagi_cli.errors import UserError, UserErrors
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.experiment.resume import WHERE, flattened
from tagi_cli.training import checkpoint, tracking
from tagi_cli.training.interface import Learner, MakeLearner, Rows, Tensors
from tagi_cli.training.learner import Learner as Network
from tagi_cli.training.noise import ConstantOptions, DecayOptions
from tagi_cli.training.resuming import split_members
from tagi_cli.training.sampling import Sampler

if TYPE_CHECKING:
    from tagi_cli.experiment.settings import Settings

_FREE = ("name", "device", "kernels", "data.path", "data.name", "data.batch_size", *WHERE)
_FREE_GROUPS = ("trainer.", "checkpoint.", "predictor.", "viz.", "tracker")
_NOISE = "noise.var_v"
# What one pass decides by itself, and the noise, which is compared as a whole.
_APART = ("data.shuffle_train", "data.batch_sampling_mode", "data.limit", "noise", "seed")


@dataclass(frozen=True, eq=False)
class Parent:
    """The run that another goes on from.

    Attributes:
        folder: its own.
        settings: its settings.
        encoder: columns and scalers of its data.
        members: the state of each of its networks.
        sha256: of the checkpoint that these come from.
    """

    folder: RunFolder
    settings: Settings
    encoder: Encoder
    members: list[Tensors]
    sha256: str

    @classmethod
    def open(cls, run: str) -> Parent:
        """The parent in a run folder.

        Raises:
            UserError: it is none, or has no networks yet.
        """
        try:
            folder = RunFolder.open(run)
            path = folder.checkpoint("best")
            tensors, metadata = checkpoint.read(path)
        except UserError as error:
            raise UserError(f"trainer.parent: {error}") from None
        encoder = Encoder.from_json(metadata["model"]["encoder"])
        if takes_images(encoder):
            raise UserError(
                "trainer.parent: this run learnt images, and new rows are taken from tables alone. "
                "Allowed: a run of a table or of series"
            )
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        return cls(folder, _settings(folder), encoder, split_members(tensors), sha256)

    def in_force(self, settings: Settings) -> Settings:
        """The settings of a run that goes on, with the noise where this one left it.

        A schedule of noise has ended with the parent.

        Raises:
            UserErrors: they describe other networks, other noise or other columns.
        """
        before, now = flattened(self.settings), flattened(settings)
        faults = [
            f"{path}: cannot differ from the run that is gone on from (found {now.get(path)}, that "
            f"has {before.get(path)})"
            for path in {**before, **now}
            if path not in _FREE
            and not path.startswith((*_FREE_GROUPS, *_APART))
            and before.get(path) != now.get(path)
        ]
        own, given = self.settings.noise, settings.noise
        decayed = isinstance(own, DecayOptions)
        if given != own and not (decayed and isinstance(given, ConstantOptions)):
            faults.append(
                "noise: cannot differ from the run that is gone on from, whose noise was learnt "
                "with its networks; leave it out"
            )
        if faults:
            raise UserErrors(faults)
        if not decayed:
            return settings
        left = float(np.sqrt(np.float64(self.members[0][_NOISE].flat[0])))
        return dataclasses.replace(settings, noise=ConstantOptions(left))

    def past(self, notices: list[str]) -> Past | None:
        """The last rows of its series, which windows of the next ones show."""
        windowing = self.encoder.windowing
        if windowing is None or windowing.chunks.are_segments:
            return None
        try:
            return self._past()
        except UserError as error:
            notices.append(f"the first windows show no row before this table: {error}")
            return None

    def _past(self) -> Past | None:
        own = self.settings
        table, _, sha256, _ = read_source(own.data, [])
        self.folder.check_data(sha256, table.source, "Its last rows are not known")
        before = None
        if own.trainer.parent is not None:
            before = Parent.open(own.trainer.parent)._past()
        return Past.of(self.encoder, table, before)

    def record(self) -> dict[str, Any]:
        """What environment.json says of it, with the facts of columns where scalers come from."""
        return {
            "run": str(self.folder.path),
            "checkpoint_sha256": self.sha256,
            "statistics": statistics_of(self.folder),
        }

    def left_at(self, index: NDArray[np.int64] | None, stride: int) -> NDArray[np.int64] | None:
        """Places `(m, 3)` of the rows from whose states rows at places `index (m, 3)` go on.

        Places below 0 where there is no such state; None where networks carry none at all.
        """
        state = self.members[0]
        places = state.get(tracking.PLACES)
        if index is None or places is None:
            return None
        known = {
            tuple(place)
            for place, held in zip(places.tolist(), state[tracking.HELD], strict=True)
            if held
        }
        before: NDArray[np.int64] = index - np.array([0, 0, stride])
        before[[tuple(place) not in known for place in before.tolist()]] = -1
        return before

    def going_on(
        self, make: MakeLearner, sampler: Sampler, rows: Rows, ranks: Communicator
    ) -> tuple[MakeLearner, Sampler]:
        """What makes learners that begin as the parent's ended, and the order that lets them.

        Args:
            make: makes a fresh learner.
            sampler: of the new rows.
            rows: what is learnt.
            ranks: who share each batch.

        Raises:
            UserError: states would go on in several ranks.
        """
        index = None if rows.index is None else rows.index[: sampler.batch_size]
        before = self.left_at(index, sampler.stride)
        if before is not None and ranks.size > 1 and (before[:, 2] >= 0).any():
            raise UserError(
                "trainer.parent: states that go on from another run are known to one process. "
                "Allowed: to start it without mpirun, or distributed.backend=none"
            )

        def make_on(member: int, rng: np.random.Generator) -> Learner:
            learner = make(member, rng)
            try:
                learner.load_state_dict(_fitted(self.members[member], learner.state_dict()))
            except (ValueError, KeyError) as error:
                raise UserError(
                    f"trainer.parent: its networks do not fit these settings ({error})"
                ) from None
            if before is not None and isinstance(learner, Network) and learner.tracking:
                learner.tracking.take_up(before)
            return learner

        return make_on, dataclasses.replace(sampler, before=before, few=True)


def statistics_of(folder: RunFolder) -> Sequence[Mapping[str, Any]]:
    """Facts of each column in the rows that the scalers of a run come from."""
    environment = folder.read_environment()
    parent = environment.get("parent")
    found = environment.get("data", {}) if parent is None else parent
    return list(found.get("statistics", ()))


def load_data(settings: Settings, notices: list[str]) -> Dataset:
    """The new rows, as the networks of the run that is gone on from see rows.

    Raises:
        UserError: they do not fit, or there is no such run.
    """
    from tagi_cli import arch

    assert settings.trainer.parent is not None
    parent = Parent.open(settings.trainer.parent)
    options: DataOptions = dataclasses.replace(settings.data, limit=None)
    dataset = load_appended(
        parent.encoder,
        options,
        notices,
        parent.past(notices),
        keeps_unobserved=arch.tracks(settings.arch),
    )
    facts = dataset.summary["statistics"] if len(dataset.train) >= LEAST_ROWS else ()
    means = {fact["name"]: float(fact["mean"]) for fact in facts if "mean" in fact}
    notices += beyond_notices(statistics_of(parent.folder), means)
    return dataset


def arguments(run: str, given: list[str]) -> list[str]:
    """The arguments that compose the settings of an update: the config of `run`, then `given`.

    Raises:
        UserError: `run` is no run folder.
    """
    folder = RunFolder.open(run)
    return [
        f"config={folder.config}",
        f"trainer.parent={_quoted(folder.path)}",
        "trainer.online=true",
        "trainer.resume=null",
        *given,
    ]


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def _settings(folder: RunFolder) -> Settings:
    from tagi_cli.experiment.own_settings import settings_of

    return settings_of(folder)


def _fitted(state: Mapping[str, Any], own: Mapping[str, Any]) -> Tensors:
    """A state for a learner with another batch size: the states of a batch's rows begin anew."""

    def begins_anew(name: str) -> bool:
        if name not in own or name.startswith(tracking.PREFIX) or name.endswith((".mu", ".var")):
            return False
        before, now = np.shape(state[name]), np.shape(own[name])
        return bool(before != now and before[1:] == now[1:])

    return {name: own[name] if begins_anew(name) else value for name, value in state.items()}
