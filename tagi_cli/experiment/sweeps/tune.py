"""A search for the options with the lowest validation NLL: Optuna asks, jobs answer."""

from __future__ import annotations

import dataclasses
import json
import math
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagi_cli import atomic
from tagi_cli.errors import UserError, UserErrors
from tagi_cli.experiment.settings import Settings, dump_settings
from tagi_cli.experiment.sweeps.engines import Stop, require, threads_each, workers
from tagi_cli.experiment.sweeps.job import RUNNING, JobFiles, Process, write_jobs
from tagi_cli.experiment.sweeps.space import Choice, Dimension
from tagi_cli.experiment.sweeps.sweep import FAILURES, WAITING, Outcome, collect, write_table
from tagi_cli.experiment.sweeps.tune_options import TuneOptions
from tagi_cli.training.events import COMPLETED, FAILED, INTERRUPTED

CONFIG, STORAGE, BEST = "tune.yaml", "study.db", "best.yaml"
"""Files of a search's folder: its config, what Optuna keeps, the config of the best trial."""

PRUNED = "pruned"
_STUDY = "tagi"
_POLL = 0.05
_HOPELESS = 5


@dataclass
class _Running:
    """A trial whose job runs."""

    trial: Any
    outcome: Outcome
    process: Process
    read: int = 0
    pruned: bool = False


class Search:
    """A search in a folder; everything that it knows of earlier trials is there.

    Args:
        folder: of the search, absolute; like that of a sweep, with a run folder per trial.
        options: of the search.
        space: what varies.
        compose: settings from command-line arguments.
        command: the command line, for the record.

    Raises:
        UserError: Optuna is not installed, or its study is damaged or of another space.
    """

    def __init__(
        self,
        folder: Path,
        options: TuneOptions,
        space: Sequence[Dimension],
        compose: Callable[[Sequence[str]], Settings],
        command: str,
    ) -> None:
        self.folder = folder
        self._optuna: Any = require("optuna")
        self._optuna.logging.set_verbosity(self._optuna.logging.ERROR)
        self._options, self._space, self._compose = options, space, compose
        write_jobs(folder, command, {})
        self._study = self._open()
        self._distributions = {one.path: self._distribution(one) for one in space}
        self._try_again()
        self.outcomes = [self._earlier(trial) for trial in self._study.trials]

    def run(self, stop: Stop, ended: Callable[[int], None]) -> None:
        """Run trials until there are enough, or the user wants to stop.

        Args:
            stop: whether the user wants to.
            ended: told the number of a trial that ended.

        Raises:
            UserErrors: the first trials have all failed.
            UserError: a file cannot be written.
        """
        at_a_time = workers(self._options.workers, self._options.trials)
        threads = threads_each(at_a_time)
        running: list[_Running] = []
        try:
            while True:
                while len(running) < min(at_a_time, self._missing()) and not stop():
                    started = self._start(threads)
                    if started is None:
                        ended(len(self.outcomes) - 1)
                    else:
                        running.append(started)
                    self._give_up_if_hopeless()
                if not running:
                    return
                for one in running:
                    if stop():
                        one.process.stop()
                    self._watch(one)
                for one in [one for one in running if one.process.ended()]:
                    running.remove(one)
                    self._finish(one, stop())
                    ended(one.trial.number)
                time.sleep(_POLL)
        finally:
            for one in running:
                one.process.stop()
            while not all(one.process.ended() for one in running):
                time.sleep(_POLL)

    def done(self) -> int:
        """Trials that count: completed, pruned, or failed for a reason of their own."""
        return sum(one.status in (COMPLETED, PRUNED, *FAILURES) for one in self.outcomes)

    def _missing(self) -> int:
        """Trials that have not ended yet, whether or not they run."""
        return self._options.trials - self.done()

    def best(self) -> tuple[int, float] | None:
        """Number and validation NLL of the best trial; None before the first was completed."""
        values = {i: one.metrics["valid_nll"] for i, one in enumerate(self.outcomes) if _good(one)}
        if not values:
            return None
        number = min(values, key=lambda i: values[i])
        return number, values[number]

    def write_best(self) -> Path | None:
        """Write the config of the best trial, with what trials leave out; None if there is none."""
        best = self.best()
        if best is None:
            return None
        number, value = best
        head = (
            f"# The best of {self.done()} trials by validation NLL: trial {number}, {value:.6g}.\n"
            f"# tagi train config={shlex.quote(str(self.folder / BEST))}\n"
        )
        settings = self._compose(self._arguments(self.outcomes[number]))
        atomic.write_text(self.folder / BEST, head + dump_settings(settings))
        return self.folder / BEST

    def _open(self) -> Any:
        optuna, options = self._optuna, self._options
        # Waits this long while another thread or process writes.
        path = self.folder / STORAGE
        try:
            storage = optuna.storages.RDBStorage(
                f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 60}}
            )
            study = optuna.create_study(
                study_name=_STUDY, storage=storage, direction="minimize", load_if_exists=True
            )
        except Exception as error:
            # Optuna lets those of the database and of SQLAlchemy through.
            line = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(f"{path}: is no study that Optuna can read ({line})") from None
        space = [repr(one) for one in self._space]
        if study.user_attrs.get("space", space) != space:
            raise UserError(
                f"{path}: is the study of another space than that in {CONFIG}, which cannot change "
                "while a search is continued. For another space begin a new search"
            )
        study.set_user_attr("space", space)
        # Another seed after a resumption, or the same trials would be proposed again.
        seed = options.seed + len(study.trials)
        study.sampler = (
            optuna.samplers.RandomSampler(seed=seed)
            if options.sampler == "random"
            else optuna.samplers.TPESampler(
                seed=seed,
                n_startup_trials=options.startup_trials,
                constant_liar=options.workers > 1,
            )
        )
        study.pruner = {
            "none": optuna.pruners.NopPruner,
            "median": lambda: optuna.pruners.MedianPruner(
                n_startup_trials=options.startup_trials, n_warmup_steps=options.warmup_epochs
            ),
            "hyperband": lambda: optuna.pruners.HyperbandPruner(
                min_resource=max(1, options.warmup_epochs)
            ),
        }[options.pruner]()
        return study

    def _distribution(self, one: Dimension) -> Any:
        made = self._optuna.distributions
        if isinstance(one, Choice):
            return made.CategoricalDistribution(one.texts)
        if one.whole:
            return made.IntDistribution(
                int(one.low), int(one.high), log=one.log, step=int(one.step or 1)
            )
        return made.FloatDistribution(float(one.low), float(one.high), log=one.log, step=one.step)

    def _try_again(self) -> None:
        """Have trials that were interrupted tried again, before others."""
        states = self._optuna.trial.TrialState
        again = {trial.user_attrs.get("again") for trial in self._study.trials}
        for trial in self._study.trials:
            if trial.state == states.RUNNING:
                # Nobody runs it any more: the folder is ours alone.
                self._study.tell(trial.number, state=states.FAIL)
            elif trial.state != states.FAIL or trial.user_attrs.get("status") is not None:
                continue
            if trial.number not in again:
                self._study.enqueue_trial(trial.params, user_attrs={"again": trial.number})

    def _earlier(self, trial: Any) -> Outcome:
        facts = trial.user_attrs
        overrides = {
            one.path: one.text(trial.params[one.path])
            for one in self._space
            if one.path in trial.params
        }
        waits = trial.state == self._optuna.trial.TrialState.WAITING
        status = WAITING if waits else facts.get("status", INTERRUPTED)
        # A search that was killed has not told the study where its trials are.
        run = facts.get("run") or JobFiles(self.folder, trial.number).read().get("run", "")
        outcome = Outcome(overrides, status, run, facts.get("message", ""))
        outcome.read_metrics(self.folder)
        if status == COMPLETED:
            # The run may have been deleted since; its result still counts.
            outcome.metrics["valid_nll"] = trial.value
        return outcome

    def _arguments(self, outcome: Outcome) -> list[str]:
        own = [f"{key}={value}" for key, value in outcome.overrides.items()]
        return [f"config={self.folder / CONFIG}", *own]

    def _start(self, threads: int) -> _Running | None:
        """Ask for a trial and start its job; None where its options do not go together."""
        trial = self._study.ask(self._distributions)
        overrides = {one.path: one.text(trial.params[one.path]) for one in self._space}
        outcome = Outcome(overrides, RUNNING)
        # One that waited to be tried again has a place already.
        self.outcomes[trial.number : trial.number + 1] = [outcome]
        try:
            settings = self._compose(self._arguments(outcome))
        except UserError as error:
            outcome.status, outcome.message = FAILED, str(error)
            self._tell(trial, outcome, None)
            return None
        files = JobFiles(self.folder, trial.number)
        atomic.write_text(files.config, dump_settings(_of_trial(settings)))
        write_table(self.folder, self.outcomes)
        return _Running(trial, outcome, Process(files, threads))

    def _watch(self, one: _Running) -> None:
        """Report the epochs that a trial has behind it, and prune it."""
        run = one.process.files.read().get("run")
        path = self.folder / str(run) / "metrics.jsonl"
        if one.pruned or run is None or not path.is_file():
            return
        with path.open("rb") as file:
            file.seek(one.read)
            whole = file.read().rpartition(b"\n")[0]
        one.read += len(whole) + bool(whole)
        for line in whole.splitlines():
            row = json.loads(line)
            value = row.get("valid_nll")
            if value is None or not math.isfinite(value):
                continue
            one.trial.report(value, row["epoch"])
            if one.trial.should_prune():
                one.pruned = True
                one.process.stop()
                return

    def _finish(self, one: _Running, stopped: bool) -> None:
        number, outcome = one.trial.number, one.outcome
        self._watch(one)
        collect(self.folder, number, outcome, "", stopped or one.pruned)
        value = outcome.metrics.get("valid_nll")
        if outcome.status == INTERRUPTED and value is not None:
            # It was told to stop when it had the result.
            outcome.status = COMPLETED
        if outcome.status == INTERRUPTED and one.pruned:
            outcome.status = PRUNED
        elif outcome.status == COMPLETED and not _good(outcome):
            outcome.status = FAILED
            outcome.message = f"its validation NLL is {'missing' if value is None else value}"
        elif outcome.status == RUNNING:
            outcome.status = INTERRUPTED
        self._tell(one.trial, outcome, value)

    def _tell(self, trial: Any, outcome: Outcome, value: float | None) -> None:
        """Keep what became of a trial, in the storage and in the table."""
        states = self._optuna.trial.TrialState
        facts = {"run": outcome.run, "message": outcome.message}
        if outcome.status != INTERRUPTED:
            facts["status"] = outcome.status
        for key, fact in facts.items():
            trial.set_user_attr(key, fact)
        if outcome.status == COMPLETED:
            self._study.tell(trial, value)
        else:
            state = states.PRUNED if outcome.status == PRUNED else states.FAIL
            self._study.tell(trial, state=state)
        write_table(self.folder, self.outcomes)
        if outcome.status == COMPLETED and (self.best() or (None,))[0] == trial.number:
            self.write_best()

    def _give_up_if_hopeless(self) -> None:
        failed = [one for one in self.outcomes if one.status in FAILURES]
        if len(failed) >= _HOPELESS and len(failed) == self.done():
            messages = dict.fromkeys(one.message for one in failed)
            raise UserErrors(f"the first {len(failed)} trials failed: {text}" for text in messages)


def _good(outcome: Outcome) -> bool:
    value = outcome.metrics.get("valid_nll")
    return outcome.status == COMPLETED and value is not None and math.isfinite(value)


def _of_trial(settings: Settings) -> Settings:
    """The settings of a trial: without what its validation NLL does not depend on."""
    return dataclasses.replace(
        settings,
        trainer=dataclasses.replace(settings.trainer, refit=False),
        viz=dataclasses.replace(settings.viz, enabled=False),
    )
