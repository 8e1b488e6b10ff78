"""`${...}` in values: references to other options, and the environment where that is allowed.

A config is data, so that no other resolver is taken; and what the environment holds may be a
secret, so that it enters only options that the root class lists in `from_environment`, and no
other option can refer to those. Below the groups that it lists in `reveal_late`, such a reference
is kept as it is, in config.yaml too, until its value is used (`reveal`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from tagi_cli.config.convert import shown
from tagi_cli.config.schema import Registries, is_group, options_of
from tagi_cli.errors import UserError

_ALLOWED = re.compile(
    r"\$\{\s*(?:(?P<path>[A-Za-z_][\w.]*)|oc\.env:\s*(?P<variable>\w+)\s*(?:,(?P<default>[^${}]*))?)\s*\}"
)
_FAULTY = object()


def resolve(
    root: type, registries: Registries, tree: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """The tree with every `${...}` replaced, and the faults met on the way.

    `${data.name}` stands for another option, or for its default where the user set none. A value
    that is a reference and nothing else keeps the type of what it refers to.
    """
    resolver = _Resolver(root, registries, tree)
    resolved = resolver.value(tree, "", ())
    return resolved, resolver.faults


def reveal(text: str) -> str:
    """The text with what the environment holds in the place of each `${oc.env:...}`.

    Raises:
        UserError: a variable is not set.
    """
    return _ALLOWED.sub(lambda match: _variable(match) if match["variable"] else match[0], text)


def _variable(match: re.Match[str]) -> str:
    value = os.environ.get(match["variable"])
    if value is None and match["default"] is None:
        raise UserError(f"the environment variable {match['variable']} is not set")
    return str(match["default"]).strip() if value is None else value


def _below(where: str, paths: tuple[str, ...]) -> bool:
    return any(where == path or where.startswith(f"{path}.") for path in paths)


class _Resolver:
    def __init__(self, root: type, registries: Registries, tree: Mapping[str, Any]) -> None:
        self.root = root
        self.registries = registries
        self.tree = tree
        self.faults: list[str] = []
        self.environment: tuple[str, ...] = getattr(root, "from_environment", ())
        self.late: tuple[str, ...] = getattr(root, "reveal_late", ())

    def value(self, found: Any, where: str, trail: tuple[str, ...]) -> Any:
        """`found` with its references replaced; `trail` holds the options being looked up."""
        if isinstance(found, Mapping):
            items = {
                key: self.value(item, f"{where}.{key}" if where else str(key), trail)
                for key, item in found.items()
            }
            return {key: item for key, item in items.items() if item is not _FAULTY}
        if isinstance(found, list | tuple):
            values = [self.value(item, f"{where}.{i}", trail) for i, item in enumerate(found)]
            return [item for item in values if item is not _FAULTY]
        if not isinstance(found, str) or "${" not in found:
            return found
        try:
            return self._text(found, where, trail)
        except UserError as error:
            if trail:
                raise
            self.faults.append(f"{where}: {error}")
            return _FAULTY

    def _text(self, text: str, where: str, trail: tuple[str, ...]) -> Any:
        if "oc.env" in text and not self._may_read_environment(where):
            places = " and ".join((*self.environment, *self.late)) or "no option"
            raise UserError(
                f"found {shown(text)}. The environment is read only in {places}, so that no secret "
                "lands in config.yaml"
            )
        if "${" in _ALLOWED.sub("", text):
            raise UserError(
                f"found {shown(text)}. Allowed: references to other options, such as ${{seed}}"
            )
        whole = _ALLOWED.fullmatch(text)
        late = _below(where, self.late) and not _below(where, self.environment)
        if whole is not None:
            return self._replacement(whole, trail, late)
        return _ALLOWED.sub(lambda match: str(self._replacement(match, trail, late)), text)

    def _replacement(self, match: re.Match[str], trail: tuple[str, ...], late: bool) -> Any:
        if match["path"]:
            return self._lookup(match["path"], trail)
        value = _variable(match)
        return match[0] if late else value

    def _may_read_environment(self, where: str) -> bool:
        return _below(where, (*self.environment, *self.late))

    def _lookup(self, path: str, trail: tuple[str, ...]) -> Any:
        if path in trail:
            raise UserError(f"refers to itself: {' -> '.join([*trail, path])}")
        found = self._find(path)
        if "oc.env" in str(found):
            raise UserError(f"refers to {path}, which reads the environment; that may be a secret")
        return self.value(found, path, (*trail, path))

    def _find(self, path: str) -> Any:
        node: Any = self.tree
        cls: Any = self.root
        for number, key in enumerate(path.split(".")):
            if isinstance(node, Mapping) and key in node:
                node = node[key]
                cls = self._class_below(cls, key, node, top=number == 0)
            elif isinstance(node, list | tuple) and key.isdigit() and int(key) < len(node):
                node, cls = node[int(key)], None
            else:
                option = next((o for o in options_of(cls) if o.name == key), None) if cls else None
                if option is None or option.required:
                    raise UserError(f"refers to {path}, which is not set")
                node = {} if is_group(option.type) else option.default
                cls = option.type if is_group(option.type) else None
        return node

    def _class_below(self, cls: Any, key: str, node: Any, top: bool) -> Any:
        if top and key in self.registries:
            kind = node.get("kind") if isinstance(node, Mapping) else node
            registry = self.registries[key]
            return registry[kind].options if isinstance(kind, str) and kind in registry else None
        option = next((o for o in options_of(cls) if o.name == key), None) if cls else None
        return option.type if option is not None and is_group(option.type) else None
