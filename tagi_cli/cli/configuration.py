"""From the arguments of a command line to settings."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagi_cli.errors import UserError
from tagi_cli.paths import CONFIGS

if TYPE_CHECKING:
    from tagi_cli.config import Composed, Job
    from tagi_cli.experiment.settings import Settings

RESUME = "trainer.resume"
"""The option that continues a run with that run's own config."""


@contextmanager
def _no_collections() -> Iterator[None]:
    """Imports and schemas make objects that all stay: looking for garbage there takes 5 %."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@_no_collections()
def settings_from(arguments: Sequence[str]) -> Settings:
    """Compose and check; the run gets a name if the user gave none.

    Raises:
        UserErrors: anything is wrong; lists every fault.
    """
    from tagi_cli import config
    from tagi_cli.experiment.settings import Settings, registries

    kinds = registries()
    composed = config.compose(Settings, kinds, _resumed(arguments))
    settings = config.check(Settings, kinds, composed.tree, composed.faults)
    if settings.name is not None:
        return settings
    return dataclasses.replace(settings, name=_name(composed, settings))


def _name(composed: Composed, settings: Settings) -> str:
    """The preset's name or the stem of the config file, else of the data."""
    if composed.presets:
        name = composed.presets[-1]
        path = Path(name)
        return path.stem if path.suffix in CONFIGS else name.replace("/", "-")
    stem = Path(settings.data.path or "").name.split(".")[0]
    return settings.data.name or stem or "run"


@_no_collections()
def jobs_from(arguments: Sequence[str], multirun: bool) -> list[Job] | None:
    """The jobs of a sweep; None where no sweep was asked for. See `config.jobs`.

    Raises:
        UserError: the sweep is mistaken, or would continue a run.
    """
    from tagi_cli import config
    from tagi_cli.experiment.settings import registries

    jobs = config.jobs(registries(), arguments, multirun)
    if any(_run_to_resume(job.arguments) for job in jobs or []):
        raise UserError(f"{RESUME}: a sweep begins new runs; continue its runs one by one")
    return jobs


def launcher_from(arguments: Sequence[str]) -> Any:
    """The options of what runs the jobs of a sweep.

    Raises:
        UserError: there is no such launcher, or it does not take an option.
    """
    from tagi_cli import config
    from tagi_cli.experiment.settings import registries
    from tagi_cli.experiment.sweeps.launchers import launchers

    return config.launcher(registries(), launchers, arguments)


def take_checkpoint(arguments: Sequence[str]) -> tuple[list[str], str]:
    """Where a run is resumed, `checkpoint=` names what from: the other arguments, and that name.

    Elsewhere `checkpoint` is the group of options.
    """
    if not _run_to_resume(arguments):
        return list(arguments), "last"
    rest, name = [], "last"
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key == "checkpoint" and not value.startswith("{"):
            name = value
        else:
            rest.append(argument)
    return rest, name


def _run_to_resume(arguments: Sequence[str]) -> str:
    """The run folder that `trainer.resume` names last; empty if none."""
    given = (argument.lstrip("+").partition("=") for argument in reversed(arguments))
    run = next((value for key, _, value in given if key == RESUME), "")
    return "" if run == "null" else run


def _resumed(arguments: Sequence[str]) -> list[str]:
    """The arguments; those that resume a run are laid over the config of that run.

    Raises:
        UserError: `trainer.resume` names no run that can be continued, or comes with a config.
    """
    from tagi_cli.experiment import resume

    run = _run_to_resume(arguments)
    if not run:
        return list(arguments)
    if any(argument.lstrip("+").partition("=")[0] == "config" for argument in arguments):
        raise UserError(
            f"{RESUME}: takes the config of the run that it continues; leave out config="
        )
    return resume.arguments(run, list(arguments))
