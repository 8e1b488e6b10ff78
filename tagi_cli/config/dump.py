"""Typed options back to YAML, and from such a file back to options."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from tagi_cli.config.check import check
from tagi_cli.config.schema import Registries, options_of
from tagi_cli.config.source import read_yaml
from tagi_cli.errors import UserErrors
from tagi_cli.options import Registry

Root = TypeVar("Root")


def dump(settings: Any, registries: Registries) -> str:
    """The YAML that composes to the same settings: every option, and the kind of each group."""
    from omegaconf import OmegaConf

    # OmegaConf's writer quotes what its reader would take for a number, e.g. the text 1e3.
    return OmegaConf.to_yaml(OmegaConf.create(tree_of(settings, registries)))


def tree_of(settings: Any, registries: Registries) -> dict[str, Any]:
    """Settings as nested plain mappings and lists, groups of kinds with their `kind`."""
    tree: dict[str, Any] = {}
    for option in options_of(type(settings)):
        value = getattr(settings, option.name)
        tree[option.name] = _plain(value, registries.get(option.name, option.limits.kinds))
    return tree


def load(root: type[Root], registries: Registries, path: str | Path) -> Root:
    """Settings from a file that `dump` wrote; nothing is composed.

    Raises:
        UserError: the file cannot be read, or is not valid.
    """
    try:
        return check(root, registries, read_yaml(Path(path)))
    except UserErrors as error:
        raise UserErrors(f"{path}: {fault}" for fault in error.faults) from None


def _plain(value: Any, kinds: Registry | None) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        tree = tree_of(value, {})
        return tree if kinds is None else {"kind": kinds.of(value).name, **tree}
    if isinstance(value, list | tuple):
        return [_plain(item, kinds) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item, None) for key, item in value.items()}
    return value
