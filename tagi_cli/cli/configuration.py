"""From the arguments of a command line to settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tagi_cli.errors import UserError

if TYPE_CHECKING:
    from tagi_cli.config import Composed
    from tagi_cli.experiment.settings import Settings

RESUME = "trainer.resume"
"""The option that continues a run with that run's own config."""


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
        return path.stem if path.suffix in (".yaml", ".yml") else name.replace("/", "-")
    stem = Path(settings.data.path or "").name.split(".")[0]
    return settings.data.name or stem or "run"


def _resumed(arguments: Sequence[str]) -> list[str]:
    """The arguments; those that resume a run are laid over the config of that run.

    Raises:
        UserError: `trainer.resume` names no run that can be continued, or comes with a config.
    """
    from tagi_cli.experiment import resume

    given = [argument.lstrip("+").partition("=") for argument in arguments]
    run = next((value for key, _, value in reversed(given) if key == RESUME), "")
    if run in ("", "null"):
        return list(arguments)
    if any(key == "config" for key, _, _ in given):
        raise UserError(
            f"{RESUME}: takes the config of the run that it continues; leave out config="
        )
    return resume.arguments(run, list(arguments))
