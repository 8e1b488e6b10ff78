"""Turning a value as YAML or the command line gives it into the type that an option declares."""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping
from typing import Any, Literal

from tagi_cli.config.schema import arms
from tagi_cli.errors import nearest

NULL_WORDS = ("none", "null", "None")
"""Words that are null where null is allowed; YAML knows only `null` and `~`."""


class MismatchError(Exception):
    """The value is not of the wanted type; the text is a hint to add, or empty."""


def shown(value: Any) -> str:
    """A value as it reads in YAML, short enough for a message."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        text = f"'{value}'"
    elif isinstance(value, Mapping):
        text = "{" + ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) + "}"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(shown(item) for item in value) + "]"
    else:
        text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def convert(annotation: Any, value: Any) -> Any:
    """`value` as the type `annotation`; lists become tuples where the type says so.

    A whole number is a number, a number is text where text is wanted (`name: 2024`), one item is a
    list of one, and `none` is null where null is allowed.

    Raises:
        MismatchError: the value does not fit.
    """
    members = arms(annotation)
    hint = ""
    if type(None) in members and value in NULL_WORDS:
        return None
    for exact in (True, False):
        for member in members:
            try:
                return _single(member, value, exact)
            except MismatchError as error:
                hint = str(error) or hint
    raise MismatchError(hint)


def _single(annotation: Any, value: Any, exact: bool) -> Any:
    origin = typing.get_origin(annotation)
    if annotation in (Any, object):
        return value
    if annotation is type(None):
        if value is None:
            return None
        raise MismatchError
    if origin is Literal:
        if any(
            value == known and type(value) is type(known) for known in typing.get_args(annotation)
        ):
            return value
        words = [known for known in typing.get_args(annotation) if isinstance(known, str)]
        hint = nearest(value, words) if isinstance(value, str) else ""
        raise MismatchError(hint.strip())
    if origin in (list, tuple) or annotation in (list, tuple):
        return _sequence(annotation, value, exact)
    if origin is dict or annotation is dict:
        return _mapping(annotation, value)
    return _scalar(annotation, value, exact)


def _scalar(annotation: Any, value: Any, exact: bool) -> Any:
    if type(value) is annotation:
        if annotation is float and not math.isfinite(value):
            raise MismatchError("It must be a finite number.")
        return value
    if not exact:
        if annotation is float and type(value) is int:
            return float(value)
        if annotation is str and type(value) is int:
            return str(value)
    if annotation is str and isinstance(value, bool | float):
        raise MismatchError("Put quotes round it if the text is meant.")
    if annotation in (int, float) and isinstance(value, str) and _is_number(value):
        raise MismatchError("Take the quotes off.")
    raise MismatchError


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _sequence(annotation: Any, value: Any, exact: bool) -> Any:
    make = typing.get_origin(annotation) or annotation
    arguments = typing.get_args(annotation)
    fixed = make is tuple and arguments and arguments[-1] is not Ellipsis
    if not isinstance(value, list | tuple):
        # One name needs no brackets; null and mappings are never meant as a list of one.
        if exact or value is None or isinstance(value, Mapping) or (fixed and len(arguments) != 1):
            raise MismatchError
        value = [value]
    if fixed:
        if len(arguments) != len(value):
            raise MismatchError(f"It has {len(value)} items.")
        return tuple(convert(item, part) for item, part in zip(arguments, value, strict=True))
    item = arguments[0] if arguments else Any
    return make(convert(item, part) for part in value)


def _mapping(annotation: Any, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise MismatchError
    arguments = typing.get_args(annotation)
    item = arguments[1] if arguments else Any
    return {str(key): convert(item, part) for key, part in value.items()}
