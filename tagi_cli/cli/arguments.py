"""Arguments of the verbs that compose no config: plain `key=value`, and plain words."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence

from tagi_cli.errors import UserError, UserErrors, listing, nearest
from tagi_cli.paths import TABLES, user_path

_READ = ("input", "data.path")
"""What verbs call the file of rows that they read."""


def keyed(
    arguments: Sequence[str], required: Collection[str], optional: Collection[str] = ()
) -> dict[str, str]:
    """The values of `key=value` arguments.

    Raises:
        UserErrors: a key is unknown, missing or given twice, or an argument is not `key=value`.
    """
    known = [*required, *optional]
    found: dict[str, str] = {}
    faults = []
    plain = [argument for argument in arguments if "=" not in argument]
    meant = guessed(arguments, known)
    if plain:
        faults.append(
            f"{' '.join(plain)}: not understood.{did_you_mean(meant)} Allowed: {_forms(known)}"
        )
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals:
            continue
        if key not in known:
            hint = nearest(key, known) or _other_word(key, known)
            faults.append(f"{key}: unknown.{hint} Allowed: {_forms(known)}")
        elif key in found:
            faults.append(f"{key}: given twice, {found[key]} and {value}")
        elif not value:
            faults.append(f"{key}: found nothing after =")
        else:
            found[key] = value
    told = {*meant, *(argument.partition("=")[0] for argument in arguments if "=" in argument)}
    absent = [key for key in required if key not in told]
    if absent:
        forms = " ".join(f"{key}=..." for key in absent)
        faults.append(f"{', '.join(absent)}: must be given, as {forms}")
    if faults:
        raise UserErrors(faults)
    return found


def guessed(arguments: Sequence[str], known: Collection[str]) -> dict[str, str]:
    """What the plain words among the arguments would be, by key: a run folder, and files."""
    free = [key for key in known if not any(word.startswith(f"{key}=") for word in arguments)]
    files = [key for key in (*_READ, "output") if key in free]
    meant: dict[str, str] = {}
    for word in arguments:
        if "=" in word:
            continue
        path = user_path(word)
        if path.is_dir() and "run" in free and "run" not in meant:
            meant["run"] = word
        elif (path.is_file() or path.suffix.lower() in TABLES) and files:
            meant[files.pop(0)] = word
    return meant


def did_you_mean(meant: Mapping[str, str]) -> str:
    """`" Did you mean run=a input=b.csv?"`, or an empty string."""
    forms = " ".join(shlex.quote(f"{key}={word}") for key, word in meant.items())
    return f" Did you mean {forms}?" if forms else ""


def words(arguments: Sequence[str], names: Sequence[str], least: int | None = None) -> list[str]:
    """Plain words, one for each of `names`; the last `len(names) - least` may be left out.

    Raises:
        UserError: too few or too many of them, or an option that does not exist.
    """
    least = len(names) if least is None else least
    for argument in arguments:
        if argument.startswith("-"):
            raise UserError(f"{argument}: unknown option. Allowed: {listing(names)}, --help")
    if not least <= len(arguments) <= len(names):
        form = " ".join(f"<{name}>" if i < least else f"[{name}]" for i, name in enumerate(names))
        count = len(arguments)
        raise UserError(f"found {count} word{'s' * (count != 1)}. Allowed: {form or 'none'}")
    return list(arguments)


def flags(arguments: Sequence[str], known: Collection[str]) -> tuple[set[str], list[str]]:
    """Options with a dash, and the rest.

    Raises:
        UserError: an option that does not exist.
    """
    found, rest = set(), []
    for argument in arguments:
        if not argument.startswith("-"):
            rest.append(argument)
        elif argument in known:
            found.add(argument)
        else:
            hint = nearest(argument, known)
            if not hint and "=" in argument:
                hint = f" Did you mean {argument.lstrip('-')}?"
            hint = hint or " Settings are written key=value, without dashes."
            raise UserError(
                f"{argument}: unknown option.{hint} Allowed: {listing([*known, '--help'])}"
            )
    return found, rest


def _other_word(key: str, known: Collection[str]) -> str:
    """The hint for what another verb calls otherwise: the file that is read."""
    read = next((one for one in _READ if one in known), None)
    return f" Did you mean '{read}'?" if read and key in (*_READ, "data", "path", "file") else ""


def _forms(keys: Sequence[str]) -> str:
    return listing([f"{key}=..." for key in keys])
