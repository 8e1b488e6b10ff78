"""Plugins: layers, architectures, data sources and metrics that other packages bring.

A package names them as entry points of the groups in `GROUPS`. What is installed is looked up only
where a config names something that is not the program's own, and only what it names is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from tagi_cli.errors import UserError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

LAYERS = "tagi_cli.layers"
ARCHITECTURES = "tagi_cli.architectures"
DATA_SOURCES = "tagi_cli.data_sources"
METRICS = "tagi_cli.metrics"

GROUPS: Mapping[str, str] = MappingProxyType(
    {LAYERS: "layer", ARCHITECTURES: "arch", DATA_SOURCES: "data source", METRICS: "metric"}
)
"""The groups of entry points, and the word for what is in them."""

Made = TypeVar("Made")


@dataclass(frozen=True)
class Plugin:
    """One entry point of an installed package.

    Attributes:
        group: one of `GROUPS`.
        name: what configs call it.
        package: the package that brings it.
        version: the version of the package.
        entry: where it is to be imported from.
    """

    group: str
    name: str
    package: str
    version: str
    entry: EntryPoint

    @property
    def source(self) -> str:
        """Package and version."""
        return f"{self.package} {self.version}"

    def make(self, where: str, adopt: Callable[[str, Any], Made]) -> Made:
        """Import it, and give what `adopt` makes of its name and what was imported.

        Args:
            where: the config path named in the error.
            adopt: raises where it is not what the group asks for.

        Raises:
            UserError: the import or `adopt` failed, in whichever way.
        """
        try:
            made = adopt(self.name, self.entry.load())
        except Exception as error:
            raise UserError(
                f"{where}: the {GROUPS[self.group]} '{self.name}' of the package {self.source} "
                f"(entry point {self.group}: {self.name} = {self.entry.value}) cannot be used: "
                f"{type(error).__name__}: {error}"
            ) from error
        _loaded[self.group, self.name] = self
        return made


_loaded: dict[tuple[str, str], Plugin] = {}


def loaded() -> list[dict[str, str]]:
    """The plugins that this process has loaded, as environment.json records them."""
    return [
        {"group": one.group, "name": one.name, "package": one.package, "version": one.version}
        for _, one in sorted(_loaded.items())
    ]


@cache
def installed(group: str) -> tuple[Plugin, ...]:
    """The plugins of a group, by name; nothing is imported."""
    from importlib.metadata import entry_points

    found = [
        Plugin(group, entry.name, entry.dist.name, entry.dist.version, entry)
        for entry in entry_points(group=group)
        if entry.dist is not None
    ]
    return tuple(sorted(found, key=lambda plugin: (plugin.name, plugin.package)))


def find(group: str, name: str, where: str) -> Plugin | None:
    """The plugin of that name, or None.

    Raises:
        UserError: several packages bring one; `where` is the config path named.
    """
    found = [plugin for plugin in installed(group) if plugin.name == name]
    if len(found) > 1:
        raise UserError(f"{where}: {_shared(found[0])}")
    return found[0] if found else None


def clash(plugin: Plugin, own: Iterable[str]) -> str:
    """Why the name of a plugin is refused, or an empty text.

    Args:
        plugin: the plugin.
        own: the names that the program itself has in the plugin's group.
    """
    if plugin.name in own:
        return f"refused: tagi has a {GROUPS[plugin.group]} '{plugin.name}' of its own"
    if sum(other.name == plugin.name for other in installed(plugin.group)) > 1:
        return f"refused: {_shared(plugin)}"
    return ""


def _shared(plugin: Plugin) -> str:
    packages = [one.source for one in installed(plugin.group) if one.name == plugin.name]
    return (
        f"several packages bring a {GROUPS[plugin.group]} '{plugin.name}': {', '.join(packages)}. "
        "Uninstall all but one"
    )
