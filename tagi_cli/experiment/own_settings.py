"""The settings that a run was trained with, from its folder."""

from __future__ import annotations

from importlib import metadata

from tagi_cli import config
from tagi_cli.errors import UserError
from tagi_cli.experiment.folder import RunFolder, from_here
from tagi_cli.experiment.settings import Settings, registries


def settings_of(folder: RunFolder) -> Settings:
    """The settings of a run folder.

    Raises:
        UserError: they cannot be read; names the packages of plugins that are no longer installed.
    """
    try:
        return config.load(Settings, registries(), folder.config)
    except UserError as error:
        lost = _lost_packages(folder)
        if not lost:
            raise
        raise UserError(
            f"run {from_here(folder.path)}: was trained with {' and '.join(lost)}, not installed "
            f"here; install that. Without it: {error}"
        ) from None


def _lost_packages(folder: RunFolder) -> list[str]:
    """Packages that brought plugins to the run, with their versions, and are not there now."""
    recorded = folder.read_environment().get("plugins", [])
    named = dict.fromkeys((one["package"], one["version"]) for one in recorded)
    return [f"{package} {version}" for package, version in named if not _is_there(package)]


def _is_there(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True
