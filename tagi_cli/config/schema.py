"""The schema: what options a dataclass declares, of what type, and how that reads in words."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union

from tagi_cli.errors import listing
from tagi_cli.options import Limits, Registry

Registries = Mapping[str, Registry]

_WORDS: dict[Any, str] = {
    int: "whole number",
    float: "number",
    bool: "true or false",
    str: "text",
    Any: "anything",
    object: "anything",
    type(None): "null",
    dict: "mapping",
}


@dataclass(frozen=True)
class Option:
    """One option of an options class: its name, resolved type, limits and default."""

    name: str
    type: Any
    limits: Limits
    default: Any

    @property
    def required(self) -> bool:
        """Whether the user must set it."""
        return self.default is dataclasses.MISSING


def options_of(cls: type[Any]) -> tuple[Option, ...]:
    """The options that the dataclass `cls` declares, in order."""
    hints = typing.get_type_hints(cls)
    found = []
    for field in dataclasses.fields(cls):
        default = field.default
        if default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        limits = field.metadata.get("limits", Limits(""))
        found.append(Option(field.name, hints[field.name], limits, default))
    return tuple(found)


def is_group(annotation: Any) -> bool:
    """Whether a type is an options class, so that its value is a mapping of options."""
    return isinstance(annotation, type) and dataclasses.is_dataclass(annotation)


def named_group(annotation: Any) -> type | None:
    """The options class of the values where a type is a mapping of names to groups, else None."""
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is dict and is_group(arguments[1]):
        return typing.cast(type, arguments[1])
    return None


def arms(annotation: Any) -> tuple[Any, ...]:
    """The members of a union; any other type is its own single member."""
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def type_words(annotation: Any) -> str:
    """A type in words, e.g. `list of text` or `number or null`."""
    members = arms(annotation)
    if len(members) > 1:
        return " or ".join(type_words(member) for member in members)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return " or ".join(_literal_words(value) for value in arguments)
    if origin in (list, tuple):
        if not arguments or arguments[-1] is Ellipsis or origin is list:
            item = _plural(arguments[0]) if arguments else "anything"
            return "list" if item == "anything" else f"list of {item}"
        if len(set(arguments)) == 1:
            return f"list of {len(arguments)} {_plural(arguments[0])}"
        return "list of (" + ", ".join(type_words(argument) for argument in arguments) + ")"
    if origin in (dict, Mapping, types.MappingProxyType) or is_group(annotation):
        return "mapping"
    return _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _plural(annotation: Any) -> str:
    words = type_words(annotation)
    if words.startswith("list of "):
        return words.replace("list", "lists", 1)
    return f"{words}s" if words.endswith("number") else words


def _literal_words(value: Any) -> str:
    return "null" if value is None else str(value).lower() if value is True else str(value)


def allowed_words(option: Option) -> str:
    """All that an option accepts, in words: its type and its range."""
    limits = option.limits
    if limits.kinds is not None:
        kind = f"{limits.kinds.group} kind"
        listed = any(typing.get_origin(arm) in (list, tuple) for arm in arms(option.type))
        return f"{f'list of {kind}s' if listed else kind} ({listing(sorted(limits.kinds), 60)})"
    if limits.choices is not None:
        words = limits.describe()
        null = type(None) in arms(option.type) and None not in limits.choices
        return f"{words}, or null" if null else words
    words = type_words(option.type)
    if limits.path:
        words = words.replace("text", "path")
    return f"{words}, {limits.describe()}" if limits.describe() else words


def walk(
    root: type, registries: Registries, kinds: Mapping[str, str] | None = None
) -> Iterator[tuple[str, Option]]:
    """Every option with its dotted path, groups before their members.

    Args:
        root: the root options class.
        registries: by root group, its registry of kinds.
        kinds: by root group, the kind whose options are meant; without it, those of every kind.
    """
    for option in options_of(root):
        yield option.name, option
        if option.name in registries:
            registry = registries[option.name]
            chosen = kinds.get(option.name) if kinds is not None else None
            names = list(registry) if kinds is None else [chosen] if chosen in registry else []
            for name in names:
                if name is not None:
                    yield from _below(option.name, registry[name].options)
        else:
            yield from _nested(option.name, option)


def _below(path: str, cls: type) -> Iterator[tuple[str, Option]]:
    for option in options_of(cls):
        yield f"{path}.{option.name}", option
        yield from _nested(f"{path}.{option.name}", option)


def _nested(path: str, option: Option) -> Iterator[tuple[str, Option]]:
    for arm in arms(option.type):
        if is_group(arm):
            yield from _below(path, arm)
        named = named_group(arm)
        if named is not None:
            yield from _below(f"{path}.<name>", named)


def nested_registries(root: type, registries: Registries) -> dict[str, Registry]:
    """The registries that options refer to (`Limits.kinds`), by their group name, however deep."""
    found: dict[str, Registry] = {}
    pending = [option for _, option in walk(root, registries)]
    while pending:
        kinds = pending.pop().limits.kinds
        if kinds is not None and kinds.group not in found:
            found[kinds.group] = kinds
            for kind in kinds.values():
                pending += [option for _, option in _below("", kind.options)]
    return found


def flat_options(cls: type) -> list[tuple[str, Option]]:
    """The options of a class; a group gives way to its members, by their dotted names."""
    rows = []
    for option in options_of(cls):
        inner = next((arm for arm in arms(option.type) if is_group(arm)), None)
        if inner is None:
            rows.append((option.name, option))
        else:
            rows += [(f"{option.name}.{name}", below) for name, below in flat_options(inner)]
    return rows
