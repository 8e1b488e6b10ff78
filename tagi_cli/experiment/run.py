"""The order of events of one run."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagi_cli import atomic, config, plugins
from tagi_cli.backend import threads
from tagi_cli.distributed import Communicator, connect, one_message, together
from tagi_cli.distributed.partition import rows_per_rank
from tagi_cli.errors import UserError
from tagi_cli.experiment import (
    failure,
    forecasting,
    laws,
    online,
    preamble,
    promise,
    provenance,
    resume,
    tasks,
)
from tagi_cli.experiment.folder import FORMAT, RunFolder
from tagi_cli.experiment.latent import findings as latent_findings
from tagi_cli.experiment.latent import networks as latent
from tagi_cli.experiment.latent import report as latent_report
from tagi_cli.experiment.latent import scores as latent_scores
from tagi_cli.experiment.laws import Law
from tagi_cli.experiment.members import MakeMember, make_backend, places_apart
from tagi_cli.experiment.places import Places
from tagi_cli.experiment.predictions import Predictions
from tagi_cli.experiment.ranks import check_alike, device_of, threads_of
from tagi_cli.experiment.records import LastEpoch, Log, MetricsTable
from tagi_cli.experiment.report import images as image_report
from tagi_cli.experiment.report import page as report
from tagi_cli.experiment.settings import Settings, registries
from tagi_cli.experiment.summary import Summary, summarise
from tagi_cli.experiment.trackers import options as trackers
from tagi_cli.experiment.trackers.tracker import TrackedRun, Tracker
from tagi_cli.experiment.updating import Parent
from tagi_cli.launcher import results_go_to
from tagi_cli.training import checkpoint as checkpoint_file
from tagi_cli.training.checkpoint_folder import CheckpointFolder
from tagi_cli.training.class_noise import WEIGHTS
from tagi_cli.training.events import COMPLETED, Observer
from tagi_cli.training.interface import MakeLearner, NumericalError, Prediction
from tagi_cli.training.progress import progress_observer
from tagi_cli.training.sampling import Sampler
from tagi_cli.training.seeds import Seeds
from tagi_cli.training.trainer import FitResult, Trainer

if TYPE_CHECKING:
    from rich.console import Console

OUTPUTS = "outputs"


def train(
    settings: Settings,
    command: str,
    parent: Path | None = None,
    *,
    console: Console | None = None,
    checkpoint: str = "last",
    announce: Callable[[Path], None] | None = None,
) -> Path:
    """Train as `settings` say, and leave a run folder behind.

    Ranks of one job all call this alike; the first of them writes and shows what happens.

    Args:
        settings: of the run; with `trainer.resume` an earlier run is continued instead, in its
            own folder.
        command: the command line, for the record.
        parent: folder to make the run folder in (of a sweep); default `outputs/<name>`.
        console: where to show what happens; None shows nothing.
        checkpoint: what an earlier run is continued from: `last`, or a copy of it, as a file or a
            CSV folder.
        announce: told the run folder before training starts, for those who watch from outside.

    Returns:
        the run folder. Its summary.json has the status: `completed` or `interrupted`.

    Raises:
        UserError: a mistake in the settings or data, or a file cannot be written. Once the folder
            is there, its summary says `failed`.
    """
    with one_message():
        ranks = connect(settings.distributed.backend, settings.distributed.timeout)
    with together(ranks):
        if settings.trainer.resume is not None:
            folder = RunFolder.open(settings.trainer.resume)
            with folder.locked() if ranks.leads else nullcontext():
                if announce is not None and ranks.leads:
                    announce(folder.path)
                run = _Run(resume.continued(settings, folder), command, console, ranks)
                return run.into(folder, folder.checkpoint(checkpoint))
        run = _Run(tasks.network_in_force(settings), command, console, ranks)
        ranks.barrier()  # no folder where some rank cannot even begin
        if not ranks.leads:
            return run.take_part(None)
        run.group = None if parent is None else parent.name
        folder = RunFolder.create(parent or Path(OUTPUTS) / run.name)
        with folder.locked():
            if announce is not None:
                announce(folder.path)
            return run.into(folder, None)


class _Run:
    """One run: everything that can fail by the user's mistake is made before its folder is."""

    def __init__(
        self, settings: Settings, command: str, console: Console | None, ranks: Communicator
    ) -> None:
        self.notices = settings.trainer.remarks()
        self.parent: Parent | None = None
        settings = online.in_force(settings)
        if settings.trainer.parent is not None:
            self.parent = Parent.open(settings.trainer.parent)
            settings = self.parent.in_force(settings)
        self.dataset = tasks.load_data(settings, self.notices)
        self.name = settings.name or _folder_name(self.dataset.name)
        self.apart = places_apart(settings, self.dataset.encoder)
        self.batch_size = online.batch_size(settings, self.dataset.train, self.apart)
        online.check_states(settings, self.dataset.train, self.batch_size, self.apart)
        settings = dataclasses.replace(
            settings,
            name=self.name,
            trainer=latent.trainer_in_force(settings, self.dataset, self.notices),
            data=dataclasses.replace(tasks.data_in_force(settings), batch_size=self.batch_size),
        )
        check_alike(ranks, settings, self.dataset.sha256)
        self.ranks = ranks
        self.rows_per_rank = rows_per_rank(len(self.dataset.train), self.batch_size, ranks.size)
        self.threads = threads_of(ranks, settings)
        self.settings = settings
        if ranks.leads:
            trackers.check(settings.tracker)
        self.command = command
        self.console = console
        self.group: str | None = None
        device = device_of(ranks, settings)
        self.backend = make_backend(dataclasses.replace(settings, device=device))
        self.network: Summary = summarise(settings, self.dataset.encoder, self.backend)
        self._summary: dict[str, Any] = {}

    def into(self, folder: RunFolder, last: Path | None) -> Path:
        """Train into `folder`, which is locked; on from the checkpoint `last` if there is one."""
        if not self.ranks.leads:
            return self.take_part(last)
        with threads.limited(self.threads):
            return self.ranks.share(self._into(RunFolder(self.ranks.share(folder.path)), last))

    def take_part(self, last: Path | None) -> Path:
        """Train with the rank that writes, whose folder is returned once it has written all."""
        folder: Path | None = None
        with threads.limited(self.threads):
            folder = self.ranks.share(folder)
            trainer = self._trainer(None, [])
            if last is not None:
                trainer.restore(*checkpoint_file.read(last, "training"))
            assert folder is not None
            results_go_to(folder)
            self._predictions(trainer, trainer.fit())
            return self.ranks.share(folder)

    def _into(self, folder: RunFolder, last: Path | None) -> Path:
        started = time.monotonic()
        log, ended, tracker = Log(folder), LastEpoch(), self._tracker(folder)
        trainer = self._trainer(folder, [MetricsTable(folder), log, ended, tracker])
        origin = self._origin()
        if last is not None:
            # Before anything is written: a mistake here leaves the earlier results as they are.
            origin = self._continued_origin(origin, folder)
            trainer.restore(*checkpoint_file.read(last, "training"))
        results_go_to(folder.path)
        try:
            atomic.write_text(folder.config, config.dump(self.settings, registries()))
            atomic.write_json(folder.environment, origin)
            log.write(f"{'started' if last is None else 'resumed'}: {self.command}")
            log.write("\n".join(f"note: {notice}" for notice in self.notices))
            if self.console is not None:
                preamble.opening(
                    self.console, self.settings, self.dataset, self.network, folder, self.notices,
                    self.ranks,
                )  # fmt: skip
            tracker.open(trainer.history)
            summary = self._train(trainer, folder, log, ended)
            tracker.finish(summary)
        except BaseException as error:
            tracker.fail()
            failure.record(folder, error, time.monotonic() - started, self._summary)
            raise
        if self.console is not None:
            preamble.closing(self.console, folder, summary, tracker.place)
        return folder.path

    def _tracker(self, folder: RunFolder) -> Tracker:
        kinds = registries()
        run = TrackedRun(
            folder,
            self.name,
            self.group,
            config.tree_of(self.settings, kinds),
            config.dump(self.settings, kinds),
        )
        return Tracker(self.settings.tracker, run)

    def _trainer(self, folder: RunFolder | None, observers: list[Observer]) -> Trainer:
        settings, encoder, ranks = self.settings, self.dataset.encoder, self.ranks
        if self.console is not None and ranks.leads:
            observers = [*observers, progress_observer(self.console)]
        weights = tasks.weights_of(settings.task, self.dataset)
        if self.parent is not None and weights is not None:
            weights = self.parent.members[0][WEIGHTS]
        make: MakeLearner = MakeMember(settings, encoder, self.backend, ranks, weights)
        sampler = Sampler(
            self.batch_size,
            settings.data.batch_sampling_mode if settings.data.in_order else "independent",
            settings.data.shuffle_train,
            self.apart,
        )
        if settings.trainer.online:
            sampler = dataclasses.replace(sampler, mode="independent")
        if self.parent is not None:
            make, sampler = self.parent.going_on(make, sampler, self.dataset.train, ranks)
        return Trainer(
            make,
            self.dataset,
            tasks.scoring(settings, weights),
            settings.trainer,
            Seeds(settings.seed),
            members=settings.ensemble.size,
            sampler=sampler,
            observers=observers,
            checkpoints=CheckpointFolder(
                None if folder is None else folder.checkpoints,
                settings.checkpoint,
                {"encoder": encoder.to_json()},
                ranks=ranks,
            ),
            ranks=ranks,
        )

    def _origin(self) -> dict[str, Any]:
        """The content of environment.json."""
        return {
            "format": FORMAT,
            "name": self.name,
            "command": self.command,
            **provenance.environment(),
            "plugins": plugins.loaded(),
            "device": self.network.backend,
            "threads": max(threads.counts(), default=1),
            "world_size": self.ranks.size,
            "rows_per_rank": self.rows_per_rank,
            "seed": self.settings.seed,
            "data_sha256": self.dataset.sha256,
            "data": self.dataset.summary,
            **({} if self.parent is None else {"parent": self.parent.record()}),
        }

    def _record_backend(self, folder: RunFolder) -> None:
        """Correct environment.json where kernels turned out not to compile."""
        origin = folder.read_environment()
        if origin["device"] != self.backend.describe():
            atomic.write_json(folder.environment, origin | {"device": self.backend.describe()})

    def _continued_origin(self, origin: dict[str, Any], folder: RunFolder) -> dict[str, Any]:
        """The same for a run that is continued; its beginning and commands are kept."""
        before = folder.read_environment()
        if before.get("data_sha256") != self.dataset.sha256:
            raise UserError(
                f"trainer.resume: {self.dataset.summary['source']} has changed since the run began "
                f"(its sha256 is not that in {folder.environment}); start a new run"
            )
        commands = [*before.get("earlier_commands", []), before["command"]]
        return {**origin, "started": before["started"], "earlier_commands": commands}

    def _train(
        self, trainer: Trainer, folder: RunFolder, log: Log, ended: LastEpoch
    ) -> dict[str, Any]:
        result = trainer.fit()
        self._record_backend(folder)
        found = self._predictions(trainer, result)
        scored = {split: self._metrics(trainer, found, split) for split in ("valid", "test")}
        summary: dict[str, Any] = {
            "status": result.status,
            "epochs": result.epochs,
            "seconds": round(result.seconds, 3),
            **scored,
        }
        if "test" in found and (said := promise.remarks(found["test"], scored["test"])):
            summary["remarks"] = said
        if self.settings.trainer.online:
            summary["prequential"] = online.prequential(result.history, len(self.dataset.train))
        atomic.write_json(folder.summary, summary)
        self._summary = summary
        log.write(f"summary: {json.dumps(summary)}")
        for split in self.settings.predictor.splits:
            if split in found:
                laws.write_csv(folder.predictions / f"{split}.csv", found[split])
        if result.status == COMPLETED:
            shown = "test" if "test" in found else "valid"
            numbers = {
                "format": FORMAT,
                "task": tasks.tasks.of(self.settings.task).name,
                "kept": result.best_epoch if len(self.dataset.valid) else None,
                "splits": {shown: laws.diagnose(found[shown])} if found else {},
                "network": self.network.rows(),
                "health": ended.health(),
            }
            if self.settings.trainer.online:
                numbers["prequential"] = ended.curve()
            if latent.is_latent(self.settings.arch):
                numbers["latent"] = latent_report.numbers(
                    self.settings.arch,
                    self.dataset.encoder,
                    trainer.learners[0],
                    scored[shown].get("subjects", {}),
                )
            if found:
                shown_images = image_report.numbers_of(found[shown], getattr(self.dataset, shown))
                numbers |= {"images": shown_images} if shown_images else {}
            atomic.write_json(folder.figures / report.NUMBERS, numbers)
            if self.settings.viz.enabled:
                report.write_report(folder)
        return summary

    def _metrics(self, trainer: Trainer, found: dict[str, Law], split: str) -> dict[str, Any]:
        """Metrics of a part; of subjects each, and of the test beside the truth if it is known."""
        if split not in found:
            return {}
        metrics = laws.metrics(found[split], self.settings.metrics)
        if not latent.is_latent(self.settings.arch):
            return metrics
        x = getattr(self.dataset, split).x
        metrics |= latent_scores.by_subject(trainer.learners[0], x, found[split])
        if split == "test":
            metrics |= latent_findings.against_truth(
                self.settings, self.dataset.encoder, trainer.learners
            )
        return metrics

    def _predictions(self, trainer: Trainer, result: FitResult) -> dict[str, Law]:
        """Predictions by part: of the validation part before the refit, else of the final state."""
        if result.status != COMPLETED:
            return {}
        dataset, found = self.dataset, {}
        wanted = {"valid": result.valid, "test": None}
        if "train" in self.settings.predictor.splits:
            wanted["train"] = None
        for split, members in wanted.items():
            part = getattr(dataset, split)
            if len(part):
                members = self._predict(trainer, split) if members is None else members
                law = laws.in_original_units(
                    dataset.encoder,
                    members,
                    Places.of(part),
                    part.target,
                    part.center,
                    part.scale,
                    part.lengths,
                )
                found[split] = self._compared(law, trainer, split)
        return found

    def _compared(self, law: Law, trainer: Trainer, split: str) -> Law:
        """A forecast beside the naive one; of the test part with all its steps."""
        settings, encoder, part = self.settings, self.dataset.encoder, getattr(self.dataset, split)
        if not tasks.forecasts(settings.task) or not isinstance(law, Predictions):
            return law
        if split != "test":
            return forecasting.compared(law, encoder, part)
        return forecasting.of_test_part(
            law, trainer.learners, encoder, part, settings.forecast, settings.seed
        )

    def _predict(self, trainer: Trainer, split: str) -> list[Prediction]:
        part = getattr(self.dataset, split)
        try:
            return trainer.predict(part, part.rows)
        except NumericalError as error:
            raise NumericalError(f"{split} part: {error}") from None


def _folder_name(name: str) -> str:
    """A data set's name as that of a folder."""
    return (
        "".join(mark if mark.isalnum() or mark in "-_." else "_" for mark in name).strip("._")
        or "run"
    )
