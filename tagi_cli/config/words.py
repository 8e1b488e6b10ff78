"""All arguments of a command line, and words that a shell has cut apart at spaces."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Sequence

from tagi_cli.config.arguments import Argument, meant_key, parse
from tagi_cli.errors import UserError

_PATH = re.compile(r"[a-z]\w*([./]\w+)+|config", re.ASCII)
"""The name of an option, as far as it can be told from a file's or a word."""


def read(
    arguments: Sequence[str], presets: Collection[str] = ()
) -> tuple[list[Argument], list[str]]:
    """The arguments that can be read, and a fault for each of the others.

    Args:
        arguments: as given, `key=value` each if nothing is wrong.
        presets: names of presets, to know one by.
    """
    found: list[Argument] = []
    faults: list[str] = []
    rest = list(arguments)
    while rest:
        text = rest.pop(0)
        key, equals, value = text.partition("=")
        own = key if value and not meant_key(value) else ""
        taken = 0
        while taken < len(rest) and _belongs(rest[taken], own, presets):
            taken += 1
        if equals and value and taken:
            cut, rest = rest[:taken], rest[taken:]
            whole = shlex.quote(" ".join([text, *cut]))
            faults.append(
                f"{' '.join(cut)}: not understood. Allowed: key=value; a value with spaces needs "
                f"quotes: {whole}"
            )
            continue
        after = _value_after(text, rest)
        if after is not None:
            count, value = after
            told = " ".join([text, *rest[:count]])
            rest = rest[count:]
            meant = shlex.quote(f"{key}={value}")
            faults.append(
                f"{told}: not understood. Did you mean {meant}? Allowed: key=value, without spaces"
            )
            continue
        if text in presets:
            faults.append(f"{text}: not understood. Did you mean config={text}? Allowed: key=value")
            continue
        try:
            found.append(parse(text))
        except UserError as error:
            faults.append(str(error))
    return found, faults


def _is_plain(text: str) -> bool:
    return "=" not in text and not text.startswith("~")


def _belongs(text: str, key: str, presets: Collection[str]) -> bool:
    """Whether a word may be the rest of the value of `key`, and nothing of its own."""
    if not key or not _is_plain(text):
        return False
    other = meant_key(text) or text in presets or text == "help" or _PATH.fullmatch(text)
    return meant_key(text) == key or not other


def _value_after(text: str, rest: Sequence[str]) -> tuple[int, str] | None:
    """How many of the next words are the `=` and the value of an option cut apart, and its value.

    `a.b c`, `a.b = c`, `a.b =c` and `a.b= c`; None for anything else.
    """
    name = text.removesuffix("=")
    if not _PATH.fullmatch(name) or meant_key(name) or not rest:
        return None
    if rest[0] == "=" and text == name:
        return (2, rest[1]) if len(rest) > 1 and _is_plain(rest[1]) else None
    if rest[0].startswith("=") and text == name:
        return 1, rest[0][1:]
    is_value = _is_plain(rest[0]) and (meant_key(rest[0]) or not _PATH.fullmatch(rest[0]))
    return (1, rest[0]) if is_value else None
