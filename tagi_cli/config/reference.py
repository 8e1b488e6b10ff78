"""The configuration reference: Markdown of every option, from the schema itself."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tagi_cli.config.compose import compose
from tagi_cli.config.convert import shown
from tagi_cli.config.dump import tree_of
from tagi_cli.config.schema import (
    Option,
    Registries,
    allowed_words,
    arms,
    is_group,
    named_group,
    nested_registries,
    options_of,
    type_words,
)
from tagi_cli.options import Extension, Kind, Registry

_HEAD = """# Configuration

Every option. Generated from the schema by `make docs`: edit the options' docstrings instead.

An option is set on the command line as `key=value` or, nested, in a YAML file that `config=<file>`
names. A group with kinds is chosen by `group=kind` or, with options, by `group: {kind: ..., ...}`;
only the options of the kind in use are accepted. Lists are replaced as a whole; one item needs no
brackets. `${other.option}` refers to another option. Paths count from the working directory."""


def reference(root: type, registries: Registries, directory: Path | None = None) -> str:
    """The tables of all options: name, type, default, range, meaning.

    Args:
        root: the root options class.
        registries: by root group, its registry of kinds.
        directory: where the configs lie that set the default kinds; the shipped ones by default.
    """
    chosen = compose(root, registries, [], directory).tree
    nested = nested_registries(root, registries)
    parts = [_HEAD, "## Root options", *_table("", _single(root, registries))]
    for option in options_of(root):
        if option.name in registries:
            default = chosen.get(option.name, {}).get("kind")
            parts += _kinds(option, registries[option.name], default)
        elif is_group(option.type):
            parts += [f"## `{option.name}`", _summary(option.type)]
            parts += _table(option.name, _rows(option.type))
    for group, registry in nested.items():
        parts += [f"## {group.capitalize()} kinds"]
        if isinstance(registry, Extension):
            parts += [f"The {registry.base.group} kinds, each with more options:"]
            parts += _table("", _rows(registry.extra))
            continue
        for kind in registry.values():
            parts += _kind("", kind)
    for name, cls in _optional_groups([*registries.values(), *nested.values()]).items():
        parts += [f"## `{name}`", _summary(cls), *_table("", _rows(cls))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _kinds(option: Option, registry: Registry, default: str | None) -> Iterable[str]:
    yield f"## `{option.name}`"
    yield option.limits.doc
    yield f"Default: `{option.name}: {default}`." if default else ""
    for kind in registry.values():
        yield from _kind(option.name, kind)


def _kind(group: str, kind: Kind) -> list[str]:
    title = f"### `{group}: {kind.name}`" if group else f"### `kind: {kind.name}`"
    return [title, _summary(kind.options), *_table(group, _rows(kind.options))]


def _summary(cls: type) -> str:
    return (cls.__doc__ or "").strip().splitlines()[0] if cls.__doc__ else ""


def _rows(cls: type) -> list[tuple[str, Option]]:
    """The options of a class; a group gives way to its members, unless it may be null."""
    rows = []
    for option in options_of(cls):
        if is_group(option.type):
            rows += [(f"{option.name}.{name}", below) for name, below in _rows(option.type)]
        else:
            rows.append((option.name, option))
        named = named_group(option.type)
        if named is not None:
            rows += [(f"{option.name}.<name>.{name}", below) for name, below in _rows(named)]
    return rows


def _optional_groups(registries: Iterable[Registry]) -> dict[str, type]:
    """Groups of options that may be null, by the name of their option: told once for all kinds."""
    options = (o for one in registries for kind in one.values() for _, o in _rows(kind.options))
    return {o.name: arm for o in options for arm in arms(o.type) if is_group(arm)}


def _single(root: type, registries: Registries) -> list[tuple[str, Option]]:
    """The root's options that are no groups."""
    return [
        (option.name, option)
        for option in options_of(root)
        if option.name not in registries and not is_group(option.type)
    ]


def _table(group: str, rows: list[tuple[str, Option]]) -> list[str]:
    if not rows:
        return ["No options."]
    lines = ["| Option | Type | Default | Range | Meaning |", "| --- | --- | --- | --- | --- |"]
    for name, option in rows:
        cells = (
            f"`{group}.{name}`" if group else f"`{name}`",
            _type(option),
            "required" if option.required else f"`{_default(option)}`",
            option.limits.describe(),
            option.limits.doc + _see(option),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return ["\n".join(lines)]


def _see(option: Option) -> str:
    group = any(is_group(arm) for arm in arms(option.type))
    return f" Options: [`{option.name}`](#{option.name})." if group else ""


def _type(option: Option) -> str:
    if option.limits.kinds is not None:
        return allowed_words(option).partition(" (")[0]
    words = type_words(option.type)
    return words.replace("text", "path") if option.limits.path else words


def _default(option: Option) -> str:
    kinds = option.limits.kinds

    def plain(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        if kinds is not None and is_group(type(value)):
            return {"kind": kinds.of(value).name, **tree_of(value, {})}
        return value

    return shown(plain(option.default)).replace("'", "")
