"""Arguments of the verbs that compose no config: plain `key=value`, and plain words."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tagi_cli.errors import UserError, UserErrors, listing, nearest
from tagi_cli.paths import user_path


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
    if plain:
        run = next((word for word in plain if "run" in known and user_path(word).is_dir()), None)
        hint = f" Did you mean run={run}?" if run else ""
        faults.append(f"{' '.join(plain)}: not understood.{hint} Allowed: {_forms(known)}")
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals:
            continue
        if key not in known:
            faults.append(f"{key}: unknown.{nearest(key, known)} Allowed: {_forms(known)}")
        elif key in found:
            faults.append(f"{key}: given twice, {found[key]} and {value}")
        elif not value:
            faults.append(f"{key}: found nothing after =")
        else:
            found[key] = value
    absent = [
        key for key in required if not any(argument.startswith(f"{key}=") for argument in arguments)
    ]
    if absent:
        forms = " ".join(f"{key}=..." for key in absent)
        faults.append(f"{', '.join(absent)}: must be given, as {forms}")
    if faults:
        raise UserErrors(faults)
    return found


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


def _forms(keys: Sequence[str]) -> str:
    return listing([f"{key}=..." for key in keys])
