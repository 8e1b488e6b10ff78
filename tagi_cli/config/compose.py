"""Composing one config: shipped defaults, then files, then the command line; later wins."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagi_cli.config.arguments import Argument
from tagi_cli.config.catalogue import PRESETS, Catalogue
from tagi_cli.config.convert import shown
from tagi_cli.config.interpolation import resolve
from tagi_cli.config.schema import Registries
from tagi_cli.config.source import Source, read_sources
from tagi_cli.config.words import read
from tagi_cli.errors import UserError, nearest

ROOT = "train"
"""Name of Hydra's primary config in the directory of configs."""

_HYDRA = (
    " Allowed: hydra.mode=MULTIRUN, which is --multirun, and with it hydra/launcher=<name> and "
    "hydra.launcher.<option>=<value>"
)


@dataclass(frozen=True)
class Composed:
    """One composed config.

    Attributes:
        tree: nested plain mappings, references resolved; each group of kinds records its `kind`.
        faults: what was wrong so far, for `check` to report with its own findings.
        presets: the presets and files named by `config=`, in order.
    """

    tree: dict[str, Any]
    faults: tuple[str, ...]
    presets: tuple[str, ...]


def compose(
    root: type,
    registries: Registries,
    arguments: Sequence[str],
    directory: Path | None = None,
) -> Composed:
    """Compose the arguments of one run.

    The files of `config=` are laid over the defaults in their order, and the other arguments over
    those. Choosing another kind for a group drops the options that an earlier file gave together
    with its own kind, since they belong to that kind; options given without a kind stay.

    Args:
        root: the root options class.
        registries: by root group, its registry of kinds.
        arguments: `key=value` each, without sweeps.
        directory: where the configs lie; those shipped with the program by default.
    """
    catalogue = Catalogue(registries, directory) if directory else Catalogue.shipped(registries)
    given, faults = read(arguments, catalogue.files(PRESETS))
    names = _preset_names(given, faults)
    sources: list[Source] = []
    for name in names:
        try:
            sources += read_sources(catalogue, name)
        except UserError as error:
            faults.append(str(error))
    line, edits = _command_line(catalogue, given)
    tree = _layer(catalogue, [*sources, line], faults)
    mistaken = _mistaken([*sources, line])
    for edit in edits:
        if edit.key.split(".")[0] in mistaken:
            continue
        try:
            assign(tree, edit)
        except UserError as error:
            faults.append(str(error))
    tree, unresolved = resolve(root, registries, tree)
    return Composed(tree, (*faults, *unresolved), tuple(names))


def preset_arguments(arguments: Sequence[Argument]) -> list[str]:
    """The names that the last `config=` argument gives, without complaint about its form."""
    return _preset_names(arguments, [])


def _preset_names(arguments: Sequence[Argument], faults: list[str]) -> list[str]:
    names: list[str] = []
    found_before = ""
    for argument in arguments:
        if argument.key != PRESETS:
            continue
        if found_before:
            faults.append(
                f"{PRESETS}: given twice, as {found_before} and {argument.text}. To lay one file "
                f"over another write {PRESETS}=[a,b]"
            )
        found_before = argument.text
        found = argument.value
        if argument.sweep is not None:
            faults.append(_needs_sweep(argument))
        elif argument.delete or found is None:
            names = []
        elif isinstance(found, list) and all(isinstance(item, str) for item in found):
            names = list(found)
        elif isinstance(found, str | int) and str(found):
            names = [str(found)]
        else:
            faults.append(
                f"{PRESETS}: found {shown(found)}. Allowed: a preset, or the path of a .yaml file"
            )
    return names


def _command_line(
    catalogue: Catalogue, arguments: Sequence[Argument]
) -> tuple[Source, list[Argument]]:
    """The choices that the arguments make, and the others, which set single values."""
    source, edits = Source(), []
    for argument in arguments:
        group = argument.key.removesuffix(".kind")
        is_kind = group != argument.key
        if argument.key == PRESETS:
            continue
        if argument.key.split(".")[0].split("/")[0] == "hydra":
            source.faults.append(f"{argument.key}: not taken here.{_HYDRA}")
        elif argument.sweep is not None:
            source.faults.append(_needs_sweep(argument))
        elif group not in (catalogue.registries if is_kind else catalogue.groups()):
            edits.append(argument)
        elif argument.delete:
            source.faults.append(f"~{argument.key}: a group cannot be deleted; choose another kind")
        elif isinstance(argument.value, str):
            source.choose(catalogue, group, argument.value)
        elif isinstance(argument.value, dict) and not is_kind:
            values = dict(argument.value)
            kind = values.pop("kind", None) if group in catalogue.registries else None
            if isinstance(kind, str):
                source.choose(catalogue, group, kind)
            edits.append(Argument(argument.key, values, False, None, argument.text))
        else:
            edits.append(argument)
    return source, edits


def _needs_sweep(argument: Argument) -> str:
    raw = argument.text.partition("=")[2]
    return (
        f"{argument.key}: found several values, {raw}. To try each one add --multirun; for a list "
        f"write {argument.key}=[{raw}]; for text with a comma, \"{argument.key}='{raw}'\""
    )


def _layer(catalogue: Catalogue, sources: Sequence[Source], faults: list[str]) -> dict[str, Any]:
    """Lay the sources over the defaults, each choice at the place where it was made."""
    for source in sources:
        faults += source.faults
    chosen: dict[str, str] = {}
    for source in sources:
        chosen |= source.choices
    mistaken = _mistaken(sources)
    defaults = _compose_groups(catalogue, chosen)
    tree = copy.deepcopy(defaults)
    for number, source in enumerate(sources):
        later = {g for rest in sources[number + 1 :] for g in rest.choices}
        for group in source.choices:
            if group not in later:
                merge(tree, {group: defaults.get(group, {})})
        for key, value in source.values.items():
            if key not in mistaken and not _superseded(source, key, chosen, defaults):
                merge(tree, {key: value})
    return tree


def _mistaken(sources: Sequence[Source]) -> set[str]:
    """Groups whose options are not looked at, as it is not known of which kind they are."""
    return {group for source in sources for group in source.mistaken}


def _superseded(
    source: Source, key: str, chosen: Mapping[str, str], composed: Mapping[str, Any]
) -> bool:
    """Whether a file's values for a group belong to a kind that is no longer chosen."""
    stated = source.choices.get(key)
    if stated is None:
        return False
    group = composed.get(key)
    kind = group.get("kind") if isinstance(group, Mapping) else None
    return kind is not None and stated not in (chosen[key], kind)


def _compose_groups(catalogue: Catalogue, chosen: Mapping[str, str]) -> dict[str, Any]:
    """Hydra's composition of the primary config with the chosen options of its groups."""
    import hydra
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    for group, registry in catalogue.registries.items():
        files = catalogue.files(group)
        for kind in registry:
            if kind not in files:
                ConfigStore.instance().store(group=group, name=kind, node={"kind": kind})
    overrides = [f"{group}={option}" for group, option in chosen.items()]
    with hydra.initialize_config_dir(str(catalogue.directory.absolute()), version_base="1.3"):
        config = hydra.compose(ROOT, overrides=overrides)
    tree = OmegaConf.to_container(config, resolve=False)
    assert isinstance(tree, dict)
    return {str(key): value for key, value in tree.items() if key != PRESETS}


def merge(into: dict[str, Any], extra: Mapping[str, Any]) -> None:
    """Lay `extra` over `into`: mappings are merged key by key, anything else replaces."""
    for key, value in extra.items():
        below = into.get(key)
        if isinstance(below, dict) and isinstance(value, Mapping):
            merge(below, value)
        else:
            into[key] = copy.deepcopy(value)


def assign(tree: dict[str, Any], argument: Argument) -> None:
    """Apply one argument to the tree.

    Raises:
        UserError: its path runs through something that holds no options.
    """
    *outer, last = argument.key.split(".")
    node: Any = tree
    for number, key in enumerate(outer):
        if isinstance(node, list):
            node = node[_index(node, key, argument.key)]
        else:
            if argument.delete and key not in node:
                return
            if node.get(key) is None:
                node[key] = {}
            node = node[key]
        if not isinstance(node, dict | list):
            path = ".".join(outer[: number + 1])
            raise UserError(f"{argument.key}: {path} is {shown(node)}, which has no options")
    if isinstance(node, list):
        place = _index(node, last, argument.key)
        if argument.delete:
            del node[place]
        else:
            node[place] = argument.value
    elif argument.delete:
        node.pop(last, None)
    else:
        merge(node, {last: argument.value})


def _index(items: list[Any], key: str, where: str) -> int:
    if not key.isdigit() or int(key) >= len(items):
        names = [str(number) for number in range(len(items))]
        raise UserError(
            f"{where}: '{key}' is not an item of a list of {len(items)}.{nearest(key, names)}"
        )
    return int(key)
