"""`tagi check`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tagi_cli.cli.arguments import flags
from tagi_cli.cli.train import SWEEP
from tagi_cli.errors import UserError, UserErrors, listing

if TYPE_CHECKING:
    from tagi_cli.data import Dataset
    from tagi_cli.data.options import DataOptions
    from tagi_cli.experiment.forecast_options import ForecastOptions
    from tagi_cli.experiment.settings import Settings

HELP = """
Check a config and its data; list every fault; write nothing.

usage: tagi check config=<preset|file.yaml> [key=value ...] [-m | --multirun]

Reads the data, resolves its columns and splits, fits the network's layers together, and shows all
rows to the first one; of a sweep, for each job. The space of a search is checked too. Exit code 0
if `tagi train`, or `tagi tune`, with the same arguments would start, else 2.

examples:
  tagi check config=my.yaml
  tagi check data.path=houses.csv data.out_components=price
"""


def run(arguments: list[str]) -> int:
    """Report all faults, or what was found."""
    given, rest = flags(arguments, SWEEP)
    from tagi_cli import config
    from tagi_cli.cli.configuration import jobs_from, launcher_from
    from tagi_cli.cli.tune import look_through
    from tagi_cli.experiment.settings import registries

    tree, rest = config.tune_section(registries(), rest)
    jobs, check = jobs_from(rest, bool(given)), _Check()
    faults, search = look_through(tree, rest if jobs is None else jobs[0].arguments)
    found: list[str] = []
    if jobs is None:
        try:
            found = check(rest)
        except UserError as error:
            faults = [*_messages(error), *faults]
    else:
        launcher_from(rest)
        for job in jobs:
            words = " ".join(f"{key}={value}" for key, value in job.overrides.items())
            try:
                check(job.arguments)
            except UserError as error:
                faults += [f"{words}: {fault}" for fault in _messages(error)]
        found = [f"{len(jobs)} jobs"]
    if faults:
        raise UserErrors(faults)
    for line in found + search:
        print(line)
    print("no fault found")
    return 0


class _Check:
    """Checks command lines; data that several of them share are read once."""

    def __init__(self) -> None:
        self._read: dict[tuple[Any, ...], tuple[Dataset, list[str]]] = {}

    def __call__(self, arguments: Sequence[str]) -> list[str]:
        """Lines that say what was found.

        Raises:
            UserError: a fault, or all of them.
        """
        from tagi_cli.cli.configuration import settings_from, take_checkpoint
        from tagi_cli.experiment.tasks import network_in_force

        arguments, checkpoint = take_checkpoint(arguments)
        try:
            settings = settings_from(arguments)
        except UserErrors as error:
            raise UserErrors([*error.faults, *self._data_faults(arguments)]) from None
        if settings.trainer.resume is not None:
            from tagi_cli.experiment import resume

            resume.check(settings, settings.trainer.resume, checkpoint)
            return self._whole(settings)
        return self._whole(network_in_force(settings))

    def _whole(self, settings: Settings) -> list[str]:
        from tagi_cli.experiment.inputs import check_inputs
        from tagi_cli.experiment.latent import networks as latent
        from tagi_cli.experiment.members import make_backend, places_apart
        from tagi_cli.experiment.summary import summarise
        from tagi_cli.experiment.trackers import options as trackers

        trackers.check(settings.tracker)
        notices: list[str] = []
        if settings.trainer.online:
            from tagi_cli.experiment import online, tasks

            if settings.trainer.parent is not None:
                from tagi_cli.experiment.updating import Parent

                settings = Parent.open(settings.trainer.parent).in_force(settings)
            dataset = tasks.load_data(settings, notices)
            apart = places_apart(settings, dataset.encoder)
            size = online.batch_size(settings, dataset.train, apart)
            online.check_states(settings, dataset.train, size, apart)
        else:
            dataset, found = self._load(
                settings.data, settings.task, settings.forecast, latent.has_subjects(settings.arch)
            )
            notices += found
        encoder, backend = dataset.encoder, make_backend(settings)
        latent.trainer_in_force(settings, dataset, notices)
        network = summarise(settings, encoder, backend)
        check_inputs(settings, dataset, backend)
        parts = [f"{len(getattr(dataset, part))} {part}" for part in ("train", "valid", "test")]
        return [
            *(f"note: {notice}" for notice in (*settings.trainer.remarks(), *notices)),
            f"data: {dataset.name}, {', '.join(parts)} rows; "
            f"{listing(encoder.inputs or encoder.features)} -> {listing(encoder.outputs)}",
            f"network: {network.members} x {network.parameters:,} parameters on {network.backend}",
        ]

    def _load(
        self, options: DataOptions, task: Any, forecast: ForecastOptions, subjects: bool = False
    ) -> tuple[Dataset, list[str]]:
        from tagi_cli.experiment.tasks import load

        key = options, task, forecast, subjects
        if key not in self._read:
            notices: list[str] = []
            dataset = load(options, task, forecast, "float32", notices, instance_as_input=subjects)
            self._read[key] = dataset, notices
        return self._read[key]

    def _data_faults(self, arguments: Sequence[str]) -> list[str]:
        """What reading the data brings to light, where their own options are in order."""
        from tagi_cli import config
        from tagi_cli.data.options import DataOptions
        from tagi_cli.experiment.forecast_options import ForecastOptions
        from tagi_cli.experiment.settings import Settings, registries
        from tagi_cli.experiment.tasks import tasks

        tree: Any = config.compose(Settings, registries(), arguments).tree
        kind = dict(tree.get("task") or {})
        try:
            options = config.check(DataOptions, {}, tree.get("data") or {}, where="data")
            task = tasks.find(kind.pop("kind", "regression"), "task")
            chosen = config.check(task.options, {}, kind, where="task")
            forecast = config.check(
                ForecastOptions, {}, tree.get("forecast") or {}, where="forecast"
            )
        except UserError:
            return []
        try:
            self._load(options, chosen, forecast)
        except UserError as error:
            return _messages(error)
        return []


def _messages(error: UserError) -> list[str]:
    return error.faults if isinstance(error, UserErrors) else [str(error)]
