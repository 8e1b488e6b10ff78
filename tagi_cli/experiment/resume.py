"""Continuing a run: its own config, with the few options that may change on the way."""

from __future__ import annotations

import dataclasses
from typing import Any

from tagi_cli.errors import UserErrors
from tagi_cli.experiment import tasks
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.experiment.own_settings import settings_of
from tagi_cli.experiment.settings import Settings
from tagi_cli.training import checkpoint

CHANGEABLE = ("trainer.max_epochs", "trainer.max_seconds")
"""Options that may differ from those of the run that is continued; `tracker` may, too."""

WHERE = ("distributed.backend", "distributed.timeout")
"""So may these, as any number of ranks goes on from where any other stopped."""


def arguments(run: str, given: list[str]) -> list[str]:
    """The arguments that compose the settings of a resumed run: its config, then what was given.

    Raises:
        UserError: `run` is no run folder, or has nothing to continue from.
    """
    folder = RunFolder.open(run)
    folder.checkpoint("last")
    return [f"config={folder.config}", *given]


def continued(settings: Settings, folder: RunFolder) -> Settings:
    """The settings to continue `folder` with: its own, and what `settings` may change of them.

    Raises:
        UserErrors: `settings` differ from those of the run in any other option.
    """
    own = settings_of(folder)
    if (settings.arch, settings.noise) != (own.arch, own.noise):
        settings = tasks.network_in_force(settings)
    before, now = flattened(own), flattened(settings)
    faults = [
        f"{path}: cannot change while a run is continued (found {now.get(path)}, the run has "
        f"{before.get(path)}). Allowed: {', '.join((*CHANGEABLE, 'tracker'))}"
        for path in {**before, **now}
        if path not in (*CHANGEABLE, *WHERE, "trainer.resume")
        and path.partition(".")[0] != "tracker"
        and before.get(path) != now.get(path)
    ]
    if faults:
        raise UserErrors(faults)
    limits = {path.rpartition(".")[2]: now[path] for path in CHANGEABLE}
    ranks = {path.rpartition(".")[2]: now[path] for path in WHERE}
    return dataclasses.replace(
        own,
        trainer=dataclasses.replace(own.trainer, **limits),
        distributed=dataclasses.replace(own.distributed, **ranks),
        tracker=settings.tracker,
    )


def check(settings: Settings, run: str, which: str = "last") -> None:
    """Make sure that `run` can be continued with these settings, without reading its data.

    Raises:
        UserError: other options differ, or the checkpoint `which` cannot be continued from.
    """
    folder = RunFolder.open(run)
    continued(settings, folder)
    checkpoint.read(folder.checkpoint(which), "training")


def flattened(options: Any, prefix: str = "") -> dict[str, Any]:
    """Values of an options object by dotted path, the kind of a group among them."""
    flat: dict[str, Any] = {}
    for field in dataclasses.fields(options):
        value, path = getattr(options, field.name), f"{prefix}{field.name}"
        if dataclasses.is_dataclass(value):
            flat[path] = type(value).__name__
            flat |= flattened(value, f"{path}.")
        else:
            flat[path] = value
    return flat
