"""Sweeps: one command line with several values becomes the command lines of its jobs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagi_cli.config.arguments import MOST_JOBS, Argument, parse
from tagi_cli.config.catalogue import PRESETS, Catalogue
from tagi_cli.config.check import check
from tagi_cli.config.compose import assign, merge, preset_arguments
from tagi_cli.config.convert import shown
from tagi_cli.config.schema import Registries
from tagi_cli.config.source import Source, Sweep, read_sources, read_yaml
from tagi_cli.config.words import read
from tagi_cli.errors import UserError, UserErrors, listing, nearest
from tagi_cli.options import Registry

LAUNCHER = "hydra/launcher"
"""The argument that says what runs the jobs of a sweep, and the folder of launchers' presets."""

_OPTIONS = "hydra.launcher"
_WITHOUT = "basic"


@dataclass(frozen=True)
class Job:
    """One job of a sweep.

    Attributes:
        arguments: its whole command line, `key=value` each.
        overrides: the part that differs between jobs, value text by key.
    """

    arguments: tuple[str, ...]
    overrides: Mapping[str, str]


def jobs(
    registries: Registries,
    arguments: Sequence[str],
    multirun: bool = False,
    directory: Path | None = None,
) -> list[Job] | None:
    """The jobs of a sweep, the last key varying fastest; None where no sweep was asked for.

    A sweep is asked for by `multirun`, by `hydra.mode=MULTIRUN`, or by `hydra: {mode: MULTIRUN}` in
    the file of `config=`. Its values come from arguments such as `a=1,2`, `a=range(0,3)` and
    `a=choice(x,y)`, and from `hydra: {sweeper: {params: {a: "1,2"}}}`, which arguments replace.

    Raises:
        UserErrors: an argument of a sweep cannot be read, there are far too many jobs, or there is
            a launcher and no sweep.
    """
    catalogue = Catalogue(registries, directory) if directory else Catalogue.shipped(registries)
    kept = [text for text in arguments if text != "hydra.mode=MULTIRUN"]
    multirun = multirun or len(kept) < len(arguments)
    parsed, faults = read(kept, catalogue.files(PRESETS))
    launching = [argument for argument in parsed if _is_launching(argument.key)]
    parsed = [argument for argument in parsed if argument not in launching]
    plan = _from_files(catalogue, parsed)
    if not (multirun or plan.multirun):
        if launching:
            raise UserErrors(
                f"{argument.key}: a launcher runs the jobs of a sweep. Add -m (--multirun)"
                for argument in launching
            )
        return None
    given = {argument.key for argument in parsed}
    for key, value in plan.params.items():
        if key not in given:
            try:
                parsed.append(parse(f"{key}={value}"))
            except UserError as error:
                faults.append(f"hydra.sweeper.params.{error}")
    if faults:
        raise UserErrors(faults)
    fixed = tuple(argument.text for argument in parsed if argument.sweep is None)
    swept = {argument.key: argument.sweep for argument in parsed if argument.sweep is not None}
    count = math.prod(len(values) for values in swept.values())
    if count > MOST_JOBS:
        raise UserErrors([f"--multirun: found {count} jobs. Allowed: at most {MOST_JOBS}"])
    return [
        Job(
            (*fixed, *(f"{key}={value}" for key, value in zip(swept, values, strict=True))),
            dict(zip(swept, values, strict=True)),
        )
        for values in itertools.product(*swept.values())
    ]


def launcher(
    registries: Registries,
    launchers: Registry,
    arguments: Sequence[str],
    directory: Path | None = None,
) -> Any:
    """The options object of the launcher that the arguments of a sweep choose.

    Its preset `hydra/launcher/<name>.yaml` comes first, then numbers under `hydra: {launcher: }` in
    the files of `config=`, then the arguments `hydra.launcher.<option>=`.

    Raises:
        UserErrors: there is no such launcher, or it does not take an option.
    """
    catalogue = Catalogue(registries, directory) if directory else Catalogue.shipped(registries)
    parsed, faults = read(arguments)
    faults += [
        f"{argument.key}: takes one value for the whole sweep"
        for argument in parsed
        if _is_launching(argument.key) and argument.sweep is not None
    ]
    if faults:
        raise UserErrors(faults)
    chosen = [argument.value for argument in parsed if argument.key == LAUNCHER]
    name = chosen[-1] if chosen else _WITHOUT
    if not isinstance(name, str) or name not in launchers:
        hint = nearest(str(name), launchers)
        raise UserErrors(
            [f"{LAUNCHER}: unknown launcher {shown(name)}.{hint} Allowed: {listing(launchers)}"]
        )
    tree: dict[str, Any] = {}
    preset = catalogue.files(LAUNCHER).get(name)
    if preset is not None:
        merge(tree, read_yaml(preset))
    numbers = _from_files(catalogue, parsed).launcher
    edits = [Argument(key, value, False, None, key) for key, value in numbers.items()]
    for argument in parsed:
        if not argument.key.startswith(f"{_OPTIONS}."):
            continue
        key = argument.key.removeprefix(f"{_OPTIONS}.")
        edits.append(Argument(key, argument.value, argument.delete, None, argument.text))
    if name == _WITHOUT and edits:
        others = listing(kind for kind in launchers if kind != _WITHOUT)
        raise UserErrors(
            f"{_OPTIONS}.{edit.key}: jobs run one after another, and no launcher takes it. "
            f"Choose one by {LAUNCHER}=<name>: {others}"
            for edit in edits
        )
    for edit in edits:
        try:
            assign(tree, edit)
        except UserError as error:
            faults.append(f"{_OPTIONS}.{error}")
    return check(launchers[name].options, {}, tree, faults, where=_OPTIONS)


def sources(catalogue: Catalogue, arguments: Sequence[Argument]) -> list[Source]:
    """The readable files of `config=`; composing a run reports the others, with all faults."""
    found: list[Source] = []
    for name in preset_arguments(arguments):
        try:
            found += read_sources(catalogue, name)
        except UserError:
            continue
    return found


def _from_files(catalogue: Catalogue, arguments: Sequence[Argument]) -> Sweep:
    """The sweep that the files of `config=` describe; a later file wins."""
    plan = Sweep()
    for source in sources(catalogue, arguments):
        plan.multirun = plan.multirun or source.sweep.multirun
        plan.params |= source.sweep.params
        plan.launcher |= source.sweep.launcher
    return plan


def _is_launching(key: str) -> bool:
    return key == LAUNCHER or key.startswith(f"{_OPTIONS}.")
