"""`tagi ls`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tagi_cli.cli.arguments import words
from tagi_cli.errors import UserError, listing, nearest

if TYPE_CHECKING:
    from tagi_cli.config import Catalogue
    from tagi_cli.options import Registry
    from tagi_cli.plugins import Plugin

HELP = """
List presets, groups, kinds, the options of each, and plugins.

usage: tagi ls [config | plugins | <group> | <group>.<kind>]

examples:
  tagi ls                 presets, and the groups of options
  tagi ls arch            the kinds of network
  tagi ls arch.mlp        the options of one kind
  tagi ls trainer         the options of a group
  tagi ls layer           the layers that arch=sequential is made of
  tagi ls plugins         what installed packages add, and with which of them something is wrong
"""

_INDENT = " " * 6


def run(arguments: list[str]) -> int:
    """Print what there is, with one line about each."""
    wanted = "".join(words(arguments, ["group"], least=0))
    from tagi_cli import config
    from tagi_cli.config import schema
    from tagi_cli.experiment.settings import Settings, registries

    kinds = registries()
    catalogue = config.Catalogue.shipped(kinds)
    nested = schema.nested_registries(Settings, kinds)
    brought = {} if "." in wanted else _plugins({**kinds, **nested})
    root = {option.name: option for option in schema.options_of(Settings)}
    plain = {name: option.type for name, option in root.items() if schema.is_group(option.type)}
    group, _, kind = wanted.partition(".")
    if not wanted:
        _section("presets, config=<name>", _choices(catalogue, "config"))
        _section("groups of kinds, <group>=<kind>", ((n, ", ".join(kinds[n])) for n in kinds))
        _section("groups of options", ((n, summary_of(cls)) for n, cls in plain.items()))
        single = [name for name in root if name not in kinds and name not in plain]
        _section("options", ((name, root[name].limits.doc) for name in single))
        _section("kinds inside lists", ((n, ", ".join(nested[n])) for n in nested))
        _section("plugins of installed packages", _labelled(brought))
    elif wanted == "plugins":
        if not brought:
            print("No installed package brings plugins.")
        _section("", _labelled(brought))
    elif kind and group in {**kinds, **nested}:
        registry = {**kinds, **nested}[group]
        _options(registry.find(kind, group).options, f"{group}." if group in kinds else "")
    elif kind:
        raise UserError(f"'{group}' has no kinds. Allowed: {listing({**kinds, **nested})}")
    elif group == "config" or group in kinds:
        _section("", _choices(catalogue, group))
        _section("", _of_group(brought, kinds.get(group)))
    elif group in nested:
        registry = nested[group]
        _section("", ((name, registry[name].summary) for name in registry.own))
        _section("", _of_group(brought, registry))
    elif group in plain:
        if group in catalogue.groups():
            _section(f"choices, {group}=<name>", _choices(catalogue, group))
        _options(plain[group], f"{group}.")
    else:
        known = ["config", *kinds, *plain, *nested, "plugins"]
        inside = [f"{one}.{group}" for one, of in {**kinds, **nested}.items() if group in of]
        hint = f" Did you mean '{inside[0]}'?" if inside else nearest(group, known)
        raise UserError(f"unknown group '{group}'.{hint} Allowed: {listing(known, 40)}")
    return 0


def summary_of(cls: object) -> str:
    """The first line of the docstring of a class or function."""
    return (cls.__doc__ or "").strip().partition("\n")[0]


def _choices(catalogue: Catalogue, group: str) -> Iterable[tuple[str, str]]:
    registry = catalogue.registries.get(group)
    return (
        (name, catalogue.summary(group, name))
        for name in catalogue.options(group)
        if registry is None or name not in registry or registry[name].plugin is None
    )


def _plugins(registries: Mapping[str, Registry]) -> dict[Plugin, str]:
    """A line about each plugin that is installed: where it is from, and its summary or its fault.

    All of them are imported, so that it shows which ones cannot be used.
    """
    from tagi_cli import plugins
    from tagi_cli.data.sources import OWN
    from tagi_cli.experiment import extra_metrics

    of_group = {one.plugins: one for one in registries.values() if one.plugins}
    taken: dict[str, Iterable[str]] = {
        **{group: one.own for group, one in of_group.items()},
        plugins.DATA_SOURCES: [ending.removeprefix(".") for ending in OWN],
        plugins.METRICS: extra_metrics.own_names(),
    }
    lines = {}
    for plugin in (one for group in plugins.GROUPS for one in plugins.installed(group)):
        line = plugins.clash(plugin, taken[plugin.group])
        try:
            if line:
                pass
            elif plugin.group in of_group:
                line = of_group[plugin.group].find(plugin.name, plugin.name).summary
            elif plugin.group == plugins.METRICS:
                line = plugin.make(plugin.name, _metric_summary)
            else:
                line = plugin.make(plugin.name, _source_summary)
        except UserError as error:
            line = str(error)
        lines[plugin] = f"({plugin.source}) {line}"
    return lines


def _metric_summary(name: str, metric: Any) -> str:
    from tagi_cli.experiment import extra_metrics

    extra_metrics.arguments_of(metric)
    return summary_of(metric)


def _source_summary(name: str, source: Any) -> str:
    if not callable(source):
        raise TypeError(f"{source!r} is no function of a path")
    return summary_of(source)


def _labelled(brought: Mapping[Plugin, str]) -> Iterable[tuple[str, str]]:
    from tagi_cli.plugins import GROUPS

    return ((f"{GROUPS[plugin.group]} {plugin.name}", line) for plugin, line in brought.items())


def _of_group(
    brought: Mapping[Plugin, str], registry: Registry | None
) -> Iterable[tuple[str, str]]:
    """Those whose kinds join a registry, or the one that it extends."""
    group = None if registry is None else registry.plugins
    return ((plugin.name, line) for plugin, line in brought.items() if plugin.group == group)


def _section(title: str, entries: Iterable[tuple[str, str]]) -> None:
    rows = list(entries)
    if title and rows:
        print(f"{title}:")
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        head = f"  {name:<{width}}  "
        print(textwrap.fill(head + text, 96, subsequent_indent=" " * len(head)).rstrip())
    if title and rows:
        print()


def _options(cls: type, prefix: str) -> None:
    """Each option of a class: name, type, range, default, then what it means."""
    from tagi_cli.config.convert import shown
    from tagi_cli.config.schema import allowed_words, flat_options

    for name, option in flat_options(cls):
        default = "required" if option.required else f"default {shown(option.default)}"
        print(f"  {prefix}{name}: {allowed_words(option)}; {default}")
        print(
            textwrap.fill(option.limits.doc, 96, initial_indent=_INDENT, subsequent_indent=_INDENT)
        )
    if not list(flat_options(cls)):
        print("  no options")
