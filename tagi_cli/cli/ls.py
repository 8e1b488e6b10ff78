"""`tagi ls`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tagi_cli.cli.arguments import words
from tagi_cli.errors import UserError, listing, nearest

if TYPE_CHECKING:
    from tagi_cli.config import Catalogue

HELP = """
List presets, groups, kinds, and the options of each.

usage: tagi ls [config | <group> | <group>.<kind>]

examples:
  tagi ls                 presets, and the groups of options
  tagi ls arch            the kinds of network
  tagi ls arch.mlp        the options of one kind
  tagi ls trainer         the options of a group
  tagi ls layer           the layers that arch=sequential is made of
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
    elif kind and group in {**kinds, **nested}:
        registry = {**kinds, **nested}[group]
        _options(registry.find(kind, group).options, f"{group}." if group in kinds else "")
    elif kind:
        raise UserError(f"'{group}' has no kinds. Allowed: {listing({**kinds, **nested})}")
    elif group == "config" or group in kinds:
        _section("", _choices(catalogue, group))
    elif group in nested:
        _section("", ((one.name, one.summary) for one in nested[group].values()))
    elif group in plain:
        if group in catalogue.groups():
            _section(f"choices, {group}=<name>", _choices(catalogue, group))
        _options(plain[group], f"{group}.")
    else:
        known = ["config", *kinds, *plain, *nested]
        inside = [f"{one}.{group}" for one, of in {**kinds, **nested}.items() if group in of]
        hint = f" Did you mean '{inside[0]}'?" if inside else nearest(group, known)
        raise UserError(f"unknown group '{group}'.{hint} Allowed: {listing(known, 40)}")
    return 0


def summary_of(cls: type) -> str:
    """The first line of a class's docstring."""
    return (cls.__doc__ or "").strip().partition("\n")[0]


def _choices(catalogue: Catalogue, group: str) -> Iterable[tuple[str, str]]:
    return ((name, catalogue.summary(group, name)) for name in catalogue.options(group))


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
