"""Training of an ensemble: the search of the best epoch, the refit, saving and resuming."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from tagi_cli.backend import threads
from tagi_cli.distributed import ALONE, Communicator
from tagi_cli.training import events, resuming
from tagi_cli.training.calibration import calibrated, calibrated_alike, uncalibrated
from tagi_cli.training.checkpoint_folder import CheckpointFolder
from tagi_cli.training.early_stopping import EarlyStopping
from tagi_cli.training.ensemble import Ensemble
from tagi_cli.training.fit_result import FitResult as FitResult
from tagi_cli.training.history import REFIT, SEARCH, Row
from tagi_cli.training.interface import (
    Dataset,
    Indices,
    Learner,
    MakeLearner,
    NumericalError,
    Prediction,
    Rows,
)
from tagi_cli.training.options import TrainerOptions
from tagi_cli.training.pace import Pace
from tagi_cli.training.phase import Phase, load
from tagi_cli.training.prediction import predict_part
from tagi_cli.training.resuming import DONE, Members, PhaseState, TrainingState, join_members
from tagi_cli.training.sampling import Sampler
from tagi_cli.training.seeds import Seeds
from tagi_cli.training.signals import Interruption
from tagi_cli.training.task import Task, Validation
from tagi_cli.training.time_limit import Stopwatch


class Trainer:
    """Trains the members of an ensemble together and keeps the best epoch.

    In the search the members learn the training rows; after each epoch their mixture is scored on
    the validation rows. The refit then trains fresh networks, with the same initial values, on
    both parts for as many epochs as the best one had. Without validation rows all `max_epochs` are
    trained, the last is the best, and there is nothing to refit. `history` has the epochs so far.

    Args:
        make_learner: builds a fresh member.
        dataset: the rows, in scaled units.
        task: how they are scored.
        options: the group `trainer`.
        seeds: of the run.
        members: networks in the ensemble.
        sampler: draws the order of rows for each epoch and member, and cuts it into batches.
        observers: told of every event.
        checkpoints: where to save; None saves nothing.
        clock: seconds.
        ranks: who train together; all of them have a trainer with the same arguments.

    Raises:
        UserError: the training rows are fewer than a batch.
    """

    def __init__(
        self,
        make_learner: MakeLearner,
        dataset: Dataset,
        task: Task,
        options: TrainerOptions,
        seeds: Seeds,
        *,
        members: int,
        sampler: Sampler,
        observers: Sequence[events.Observer] = (),
        checkpoints: CheckpointFolder | None = None,
        clock: Callable[[], float] = time.monotonic,
        ranks: Communicator = ALONE,
    ) -> None:
        sampler.check(dataset.train)
        self.options = options
        self._dataset, self._task = dataset, task
        self._ensemble = Ensemble(make_learner, seeds, members, sampler)
        self._observers = observers
        self._checkpoints = checkpoints
        self._clock = clock
        self._ranks = ranks
        self._stopwatch = Stopwatch(clock, options.max_seconds)
        self._interruption = Interruption()
        self._pace = Pace(sampler.batch_size, ranks=ranks)
        self._refits = options.refit and len(dataset.valid) > 0
        self._stage, self._stopped_by, self._remark = SEARCH, "", ""
        self._search: Phase | None = None
        self._search_end: PhaseState | None = None
        self._refit: Phase | None = None
        self._stopping = EarlyStopping(options.early_stopping)
        self._epochs, self._refitted, self._seconds_before = 0, False, 0.0
        self.history: list[Row] = []
        self._best: Members = []
        self._best_is_saved = True
        self._final: list[Learner] = []
        self._valid: list[Prediction] = []

    def restore(self, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> None:
        """Continue, with the next `fit`, from what `CheckpointFolder.save_last` was given.

        The outcome is, to the last bit, that of a run which had the present `max_epochs` and
        `max_seconds` from its start. So where a search ended at a limit that is higher now, it goes
        on from there, and a refit that came after it is done again.

        Raises:
            UserError: the checkpoint comes from other data, options or networks, or from more
                epochs than `max_epochs`.
        """
        state = resuming.unpack(tensors, metadata["training"])
        state.check(self._fingerprint(), self.options)
        self._stage, self._refitted, self._search_end = state.stage, state.refitted, state.search
        self._epochs, self._stopped_by, self._remark = state.epochs, state.stopped_by, state.remark
        self._stopping.restore(state.stopping)
        self.history, self._best = list(state.history), state.best
        self._seconds_before = state.seconds
        if state.search is not None and (self._stage == SEARCH or state.goes_on(self.options)):
            self._stage, self._refitted, self._search_end = SEARCH, False, None
            self._stopped_by = self._remark = ""
            self.history = [row for row in self.history if row["phase"] == SEARCH]
            self._best_is_saved = not self._best
            self._search = self._ensemble.phase(SEARCH, self._dataset)
            at, members = state.search
            self._search.restore(at, uncalibrated(members, self._dataset.valid))
        elif state.refit is not None:
            self._refit = self._ensemble.phase(REFIT, self._dataset)
            self._refit.restore(*state.refit)

    def fit(self) -> FitResult:
        """Train until it is done or interrupted.

        Ctrl-C and SIGTERM end it at the next slice, within about 0.1 s, after `last` is saved; a
        second one raises KeyboardInterrupt at once.

        Raises:
            NumericalError: moments are out of range, under `nan_policy=raise`; or under `stop`
                before any epoch was through.
            UserError: a checkpoint cannot be written.
        """
        limit, before = self.options.max_seconds, self._seconds_before
        self._stopwatch = Stopwatch(self._clock, limit, before, self._ranks)
        interruption = Interruption(self._ranks)
        status, cause = events.FAILED, ""
        try:
            with threads.limited(self.options.threads), interruption as self._interruption:
                self._notify(
                    events.TrainingStarted(
                        members=self._ensemble.members,
                        train_rows=len(self._dataset.train),
                        valid_rows=len(self._dataset.valid),
                        max_epochs=self.options.max_epochs,
                        refit=self._refits,
                        history=tuple(self.history),
                    )
                )
                if self._run():
                    status, cause = events.COMPLETED, self._stopped_by
                else:
                    status, cause = events.INTERRUPTED, events.INTERRUPTION
        finally:
            ended = self._ended(status, cause)
            self._notify(ended)
        return ended

    def predict(self, part: Rows, rows: Indices | None = None) -> list[Prediction]:
        """What each member of `best` predicts for a part of the data, once `fit` is completed.

        Raises:
            NumericalError: moments out of range; `rows (n,)` names the row.
        """
        predictions = predict_part(self._final, part, rows=rows, ranks=self._ranks)
        assert predictions is not None
        return predictions

    @property
    def learners(self) -> list[Learner]:
        """The members of `best`, after `fit`."""
        return self._final

    def _run(self) -> bool:
        """All that is left to do; False if interrupted."""
        searched = self._stage != SEARCH or self._run_search()
        if not (searched and self._recall_best()):
            return False
        if self._stage == REFIT:
            if not self._run_refit():
                return False
            self._save(DONE)
        if self._refit is not None:
            self._final = self._refit.learners
        return True

    def _run_search(self) -> bool:
        """The search; False if interrupted."""
        phase = self._search = self._search or self._ensemble.phase(SEARCH, self._dataset)
        while not (reason := self._limit(phase)):
            try:
                through = self._run_epoch(phase, self.options.max_epochs)
            except NumericalError as error:
                if self.options.nan_policy == "raise" or not self._stopping.best_epoch:
                    raise
                self._remark, reason = str(error), events.DIVERGENCE
                break
            if self._interruption.is_requested():
                self._save(SEARCH)
                return False
            if not through:
                reason = events.MAX_SECONDS
                break
        self._stopped_by = reason
        # Kept for `last` and for a later resumption with more epochs.
        if reason in (events.MAX_EPOCHS, events.MAX_SECONDS) or (
            not self._refits and reason != events.DIVERGENCE
        ):
            self._search_end = self._phase_state(phase)
        self._search = None
        self._final = phase.learners
        self._save(REFIT if self._refits else DONE)
        return True

    def _limit(self, phase: Phase) -> str:
        """What ends the search before its next epoch; empty if nothing does."""
        if self._stopping.exhausted:
            return events.EARLY_STOPPING
        if phase.epoch >= self.options.max_epochs:
            return events.MAX_EPOCHS
        return events.MAX_SECONDS if self._time_is_up(phase) else ""

    def _time_is_up(self, phase: Phase) -> bool:
        """Whether the search must end for the refit to be done within `max_seconds`."""
        if phase.name != SEARCH or phase.epoch == 0:
            return False
        rows = len(self._dataset.train) + len(self._dataset.valid) if self._refits else 0
        epochs = self._stopping.best_epoch * rows / len(self._dataset.train)
        return self._stopwatch.is_up(reserve=epochs * phase.seconds / phase.epoch)

    def _recall_best(self) -> bool:
        """Let the members of the best epoch predict the validation rows; False if interrupted."""
        self._final = self._final or self._ensemble.learners()
        load(self._final, self._best)
        if len(self._dataset.valid):
            pause = self._interruption.is_requested
            valid = predict_part(self._final, self._dataset.valid, pause, ranks=self._ranks)
            if valid is None:
                return False
            self._valid = valid
        return True

    def _run_refit(self) -> bool:
        """The refit; False if interrupted."""
        epochs = self._stopping.best_epoch
        self._final = []  # two networks in memory are one too many; `best` is kept as it is
        phase = self._refit = self._refit or self._ensemble.phase(REFIT, self._dataset)
        while phase.epoch < epochs:
            try:
                self._run_epoch(phase, epochs)
            except NumericalError as error:
                if self.options.nan_policy == "raise":
                    raise
                self._remark = f"the refit failed, so `best` is the network before it: {error}"
                self._refit = None
                self._final = self._ensemble.learners()
                load(self._final, self._best)
                return True
            if self._interruption.is_requested():
                self._save(REFIT)
                return False
        load(phase.learners, calibrated_alike(phase.tensors(), self._best))
        self._refitted = True
        return True

    def _run_epoch(self, phase: Phase, epochs: int) -> bool:
        """Train and validate what is left of an epoch; False if it was left before its end."""
        begun = self._clock()

        def pause() -> bool:
            at = phase.name, phase.epoch + 1, epochs, phase.done, self._stopwatch.seconds
            self._notify(events.Progress(*at))
            return self._interruption.is_requested() or self._time_is_up(phase)

        through = phase.train(self._pace, self._clock, pause)
        found: Validation | None = None
        if through and phase.name == SEARCH and len(self._dataset.valid):
            found = self._validate(phase)
            through = found is not None
        seconds = self._clock() - begun
        phase.seconds += seconds
        if through:
            train = self._task.train_metrics(phase.scores(), phase.rows)
            phase.finish_epoch()
            self._finish_epoch(phase, epochs, seconds, train, found)
        return through

    def _validate(self, phase: Phase) -> Validation | None:
        """Score the validation rows, to the last bit the same on all ranks; None if interrupted."""
        rows, pause = self._dataset.valid, self._interruption.is_requested
        try:
            predictions = predict_part(phase.learners, rows, pause, ranks=self._ranks)
            if predictions is None:
                return None
            return self._ranks.share(self._task.validate(rows, predictions))
        except NumericalError as error:
            raise NumericalError(f"epoch {phase.epoch + 1}, validation part: {error}") from None

    def _finish_epoch(
        self,
        phase: Phase,
        epochs: int,
        seconds: float,
        train: dict[str, float],
        valid: Validation | None,
    ) -> None:
        improved = False
        if phase.name == SEARCH:
            self._epochs = phase.epoch
            improved = self._stopping.update(phase.epoch, valid.score if valid else None)
            if improved:
                self._best = calibrated(phase.tensors(), valid.factors if valid else None)
                self._best_is_saved = False
        event = events.EpochEnded(
            phase=phase.name,
            epoch=phase.epoch,
            epochs=epochs,
            seconds=self._stopwatch.seconds,
            epoch_seconds=seconds,
            train=train,
            valid=valid.metrics if valid else {},
            improved=improved,
            best_epoch=self._stopping.best_epoch,
            health=tuple(learner.health() for learner in phase.learners),
            curve=phase.curve(self._task),
        )
        self.history.append(event.row)
        if self._checkpoints is not None and self._checkpoints.is_due(phase.epoch):
            self._save(phase.name)
        self._notify(event)

    def _save(self, stage: str) -> None:
        """Enter a stage, or stay in it, and save `best`, if it is new, and `last`."""
        self._stage = stage
        folder = self._checkpoints
        if folder is None:
            return
        facts = {"epoch": self._stopping.best_epoch, "refitted": self._refitted}
        state, members = self._state(), self._best
        if self._refitted and state.refit is not None:
            members, self._best_is_saved = state.refit[1], False
        best = join_members(members), facts
        if stage == DONE:
            folder.export_csv(*best)
        folder.save(resuming.pack(state), None if self._best_is_saved else best)
        self._best_is_saved = True

    def _state(self) -> TrainingState:
        search = self._search_end if self._search is None else self._phase_state(self._search)
        return TrainingState(
            stage=self._stage,
            fingerprint=self._fingerprint(),
            max_seconds=self.options.max_seconds,
            seconds=self._stopwatch.seconds,
            epochs=self._epochs,
            stopped_by=self._stopped_by,
            remark=self._remark,
            refitted=self._refitted,
            stopping=self._stopping.state(),
            history=self.history,
            best=self._best,
            search=search,
            refit=None if self._refit is None else self._phase_state(self._refit),
        )

    def _phase_state(self, phase: Phase) -> PhaseState:
        at_best = phase.name == SEARCH and phase.epoch == self._stopping.best_epoch > 0
        return phase.state(), self._best if at_best and phase.done == 0 else phase.tensors()

    def _fingerprint(self) -> dict[str, Any]:
        return resuming.fingerprint(self.options) | self._ensemble.fingerprint(self._dataset)

    def _ended(self, status: str, stopped_by: str) -> FitResult:
        return FitResult(
            status=status,
            stopped_by=stopped_by,
            epochs=self._epochs,
            best_epoch=self._stopping.best_epoch,
            refitted=self._refitted,
            seconds=self._stopwatch.seconds,
            remark=self._remark,
            valid=self._valid,
            history=tuple(self.history),
        )

    def _notify(self, event: events.Event) -> None:
        for observer in self._observers:
            observer.notify(event)
