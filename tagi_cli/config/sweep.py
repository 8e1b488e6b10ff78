"""Sweeps: one command line with several values becomes the command lines of its jobs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tagi_cli.config.arguments import Argument, parse
from tagi_cli.config.catalogue import Catalogue
from tagi_cli.config.compose import preset_arguments
from tagi_cli.config.schema import Registries
from tagi_cli.config.source import Sweep, read_sources
from tagi_cli.errors import UserError, UserErrors


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
        UserErrors: an argument of a sweep cannot be read, or the file asks for a launcher.
    """
    catalogue = Catalogue(registries, directory) if directory else Catalogue.shipped(registries)
    kept = [text for text in arguments if text != "hydra.mode=MULTIRUN"]
    multirun = multirun or len(kept) < len(arguments)
    parsed: list[Argument] = []
    faults: list[str] = []
    for text in kept:
        try:
            parsed.append(parse(text))
        except UserError as error:
            faults.append(str(error))
    plan = _from_files(catalogue, parsed)
    if not (multirun or plan.multirun):
        return None
    faults += [
        f"hydra.launcher.{name}: jobs run one after another; there is no launcher that takes it"
        for name in plan.launcher
    ]
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
    return [
        Job(
            (*fixed, *(f"{key}={value}" for key, value in zip(swept, values, strict=True))),
            dict(zip(swept, values, strict=True)),
        )
        for values in itertools.product(*swept.values())
    ]


def _from_files(catalogue: Catalogue, arguments: Sequence[Argument]) -> Sweep:
    """The sweep that the files of `config=` describe; a later file wins."""
    plan = Sweep()
    for name in preset_arguments(arguments):
        try:
            sources = read_sources(catalogue, name)
        except UserError:
            # Composing the job reports it, with all other faults.
            continue
        for source in sources:
            plan.multirun = plan.multirun or source.sweep.multirun
            plan.params |= source.sweep.params
            plan.launcher |= source.sweep.launcher
    return plan
