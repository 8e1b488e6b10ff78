"""The section `tune` of files and command lines: it describes a search and not a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tagi_cli.config.arguments import Argument, parse
from tagi_cli.config.catalogue import Catalogue
from tagi_cli.config.compose import assign, merge
from tagi_cli.config.convert import shown
from tagi_cli.config.schema import Registries
from tagi_cli.config.source import TUNE
from tagi_cli.config.sweep import sources
from tagi_cli.errors import UserError, UserErrors


def tune_section(
    registries: Registries, arguments: Sequence[str], directory: Path | None = None
) -> tuple[dict[str, Any], list[str]]:
    """What the files of `config=` hold under `tune`, and what arguments `tune.<key>=` lay over it.

    Returns:
        the section as a nested mapping, and the other arguments.

    Raises:
        UserErrors: an argument cannot be read, has several values, or a section is no mapping.
    """
    catalogue = Catalogue(registries, directory) if directory else Catalogue.shipped(registries)
    rest, own, faults = [], [], []
    others: list[Argument] = []
    for text in arguments:
        is_own = text.lstrip("+~").partition("=")[0].split(".")[0] == TUNE
        if not is_own:
            rest.append(text)
        try:
            argument = parse(text)
        except UserError as error:
            # Composing reports those that are not of the section.
            faults += [str(error)] if is_own else []
            continue
        if is_own and argument.sweep is not None:
            raw = argument.text.partition("=")[2]
            faults.append(f"{argument.key}: found several values, {raw}. Write a list: [{raw}]")
        elif is_own:
            own.append(argument)
        else:
            others.append(argument)
    tree: dict[str, Any] = {}
    for source in sources(catalogue, others):
        if source.tune is None:
            continue
        if isinstance(source.tune, dict):
            merge(tree, source.tune)
        else:
            faults.append(f"{TUNE}: found {shown(source.tune)}. Allowed: a mapping of options")
    whole = {TUNE: tree}
    for argument in own:
        try:
            assign(whole, argument)
        except UserError as error:
            faults.append(str(error))
    if faults:
        raise UserErrors(faults)
    return whole[TUNE], rest
