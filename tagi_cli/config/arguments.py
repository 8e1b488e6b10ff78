"""Arguments `key=value` in Hydra's override grammar, one by one, with messages that help."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagi_cli.errors import UserError
from tagi_cli.paths import CONFIGS, TABLES

MOST_JOBS = 100_000
"""Of one sweep; far more than anyone waits for, few enough to be listed."""

_KEY = re.compile(r"[+~]*[A-Za-z_]\w*([./]\w+)*", re.ASCII)
_STRUCTURE = set("[]{}(),='\"$\\")


@dataclass(frozen=True)
class Argument:
    """One argument.

    Attributes:
        key: dotted path, or name of a group.
        value: what it is set to; None for a deletion too.
        delete: whether it was `~key`: back to the default.
        sweep: the texts of the values, where there are several (`a=1,2`, `range(0,3)`).
        text: the argument as Hydra reads it.
    """

    key: str
    value: Any
    delete: bool
    sweep: tuple[str, ...] | None
    text: str


def parse(text: str) -> Argument:
    """Read one argument.

    `+key` and `++key` mean the same as `key`: the schema decides what exists, not the sign. A value
    that names an existing file is that file, whatever characters it holds.

    Raises:
        UserError: it is not `key=value`, or the value cannot be read.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    key, equals, raw = text.partition("=")
    if not equals and not text.startswith("~"):
        key = meant_key(text)
        hint = f" Did you mean {shlex.quote(f'{key}={text}')}?" if key else ""
        hint = " Did you mean --help?" if text == "help" else hint
        raise UserError(f"{text}: not understood.{hint} Allowed: key=value")
    if not key:
        raise UserError(f"{text}: no name before the =. Allowed: key=value, without spaces")
    if raw and _names_file(raw):
        text = f"{key}={_quoted(raw)}"
    try:
        override = OverridesParser.create().parse_override(text)
    except (HydraException, ValueError) as error:  # of a number with thousands of digits
        value = _as_text(raw)
        if value is None:
            raise UserError(_unreadable(key, raw, error)) from None
        text = f"{key}={value}"
        try:
            override = OverridesParser.create().parse_override(text)
        except (HydraException, ValueError) as again:
            raise UserError(_unreadable(key, raw, again)) from None
    if override.package is not None:
        raise UserError(f"{text}: packages (@) are not taken. Allowed: key=value")
    name = override.key_or_group
    if override.is_delete():
        return Argument(name, None, True, None, text)
    if not override.is_sweep_override():
        return Argument(name, override.value(), False, None, text)
    if override.is_interval_sweep():
        raise UserError(f"{name}: interval() has no end. Allowed: a,b,c, range() and choice()")
    return Argument(name, override.value(), False, _texts(override), text)


def meant_key(text: str) -> str:
    """The option whose value a plain word is, to judge by its ending; empty if none."""
    suffix = Path(text.removesuffix(".gz")).suffix.lower()
    return "config" if suffix in CONFIGS else "data.path" if suffix in TABLES else ""


def _texts(override: Any) -> tuple[str, ...]:
    from hydra.core.override_parser.types import Glob, RangeSweep

    name, value = override.key_or_group, override.value()
    if isinstance(value, Glob):
        raise UserError(f"{name}: glob() is not taken. Allowed: a,b,c or choice()")
    if isinstance(value, RangeSweep):
        _check_range(name, value)
    return tuple(override.sweep_string_iterator())


def _check_range(name: str, found: Any) -> None:
    """Make sure that a range has values, and not more than a sweep can have."""
    start, stop, step = found.start, found.stop, found.step
    text = f"range({start},{stop}{'' if step == 1 else f',{step}'})"
    if step == 0:
        raise UserError(f"{name}: found {text}, whose step is 0. Allowed: any other")
    count = (stop - start) / step
    if not count > 0:
        raise UserError(
            f"{name}: found {text}, which is empty, as the end is left out. Allowed: an end "
            f"{'above' if step > 0 else 'below'} {start}"
        )
    if count > MOST_JOBS:
        raise UserError(f"{name}: found {text}. Allowed: at most {MOST_JOBS} values")


def _names_file(raw: str) -> bool:
    """Whether a value with signs that mean something to Hydra is the name of a file."""
    if not _STRUCTURE & set(raw) and "~" not in raw:
        return False
    try:
        return Path(raw).expanduser().is_file()
    except (OSError, RuntimeError, ValueError):
        return False


def _as_text(raw: str) -> str | None:
    """A value that Hydra cannot read, as the text or list of texts that it must be; None if unsure.

    Letters and signs outside Hydra's alphabet are text all the same, and so are parentheses, which
    often hold a unit: `Speed (m/s)`.
    """
    is_list = raw.startswith("[") and raw.endswith("]")
    items = [item.strip() for item in raw[1:-1].split(",")] if is_list else [raw]
    for item in items:
        closed = item.count("(") == item.count(")")
        if not item or not closed or (_STRUCTURE - set("()")) & set(item):
            return None
    return _listed(items, is_list)


def _listed(items: list[str], is_list: bool) -> str:
    quoted = [item if _is_plain(item) else _quoted(item) for item in items]
    return f"[{','.join(quoted)}]" if is_list else quoted[0]


def _is_plain(item: str) -> bool:
    """Whether Hydra reads this item of a list without quotes."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        OverridesParser.create().parse_override(f"x={item}")
    except (HydraException, ValueError):
        return False
    return not _STRUCTURE & set(item)


def _quoted(raw: str) -> str:
    escaped = raw.replace("\\", "\\\\") if raw.endswith("\\") else raw
    return "'" + escaped.replace("'", "\\'") + "'"


def _unreadable(key: str, raw: str, error: Exception) -> str:
    if not _KEY.fullmatch(key):
        return f"{key}={raw}: '{key}' is not the name of an option. Allowed: key=value"
    if raw.count("[") != raw.count("]") or raw.count("{") != raw.count("}"):
        return f"{key}: found {raw}, where a bracket is not closed"
    return (
        f"{key}: found {raw}, which cannot be read. Text with one of , = ( ) [ ] {{ }} : needs "
        f"quotes inside quotes: {_in_shell(key, raw)}"
    )


def _in_shell(key: str, raw: str) -> str:
    """The argument for text as it is typed in a shell."""
    is_list = raw.startswith("[") and raw.endswith("]")
    value = _listed(raw[1:-1].split(","), True) if is_list else _quoted(raw)
    text = f"{key}={value}"
    return shlex.quote(text) if set("'\"$`\\") & set(raw) else f'"{text}"'
