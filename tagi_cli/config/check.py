"""The one validator: a plain tree becomes typed options, or every fault is told at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from tagi_cli.config.convert import NULL_WORDS, MismatchError, convert, shown
from tagi_cli.config.schema import (
    Option,
    Registries,
    allowed_words,
    arms,
    is_group,
    named_group,
    options_of,
    walk,
)
from tagi_cli.errors import UserError, UserErrors, listing, nearest
from tagi_cli.options import Kind, Registry
from tagi_cli.paths import user_path

Root = TypeVar("Root")

_BAD = object()
"""Stands for a value whose fault is already noted."""


def check(
    root: type[Root],
    registries: Registries,
    tree: Mapping[str, Any],
    faults: Iterable[str] = (),
    where: str = "",
) -> Root:
    """Options of class `root` from a plain tree (no interpolations left).

    Args:
        root: options class. Its class attribute `without_meaning`, a mapping, holds hints for
            words of other tools, and `other_words` those for values, by `path=value`. A method
            `faults()` may add what no single option shows, in messages that begin with a path from
            the root, or, where they begin with a dot or colon, go on from the path of the object
            (in classes further inside, too).
        registries: by root group, its registry of kinds; `{kind: <name>, ...}` becomes an object
            of that kind's options class.
        tree: nested mappings as YAML gives them.
        faults: messages of earlier steps, reported together with those found here. Where there
            are some the tree may lack what the user gave, so that nothing is said of what is
            missing or does not go together.
        where: config path of `root` itself.

    Raises:
        UserErrors: anything is wrong; lists each fault with path, what was found and allowed.
    """
    checker = _Checker(root, registries, tree, faults)
    value = checker.group(root, tree, where)
    if checker.faults:
        raise UserErrors(dict.fromkeys(checker.faults))
    assert isinstance(value, root)
    return value


class _Checker:
    def __init__(
        self,
        root: type,
        registries: Registries,
        tree: Mapping[str, Any],
        faults: Iterable[str],
    ) -> None:
        self.faults = list(faults)
        self.whole = not self.faults
        self.registries = registries
        self.hints: Mapping[str, str] = getattr(root, "without_meaning", {})
        self.words: Mapping[str, str] = getattr(root, "other_words", {})
        kinds = {group: _kind_name(tree.get(group)) for group in registries}
        self.paths = [path for path, _ in walk(root, registries, kinds)]

    def group(
        self, cls: type, found: Any, where: str, kind: str = "", registry: Registry | None = None
    ) -> Any:
        """An object of the options class `cls`, or _BAD."""
        if not isinstance(found, Mapping):
            names = [option.name for option in options_of(cls)]
            meant = names[0] if len(names) == 1 else ""
            if isinstance(found, bool) and "enabled" in names:
                meant = f"enabled={str(found).lower()}"
            hint = f" Did you mean '{where}.{meant}'?" if meant else ""
            self.faults.append(
                f"{where}: found {shown(found)}.{hint} Allowed: a mapping of options, "
                f"{listing(names)}"
            )
            return _BAD
        options = {option.name: option for option in options_of(cls)}
        before = len(self.faults)
        for key in found:
            if key not in options and not (kind and key == "kind"):
                self._unknown(str(key), where, list(options), kind, registry)
        values = {}
        for name, option in options.items():
            path = f"{where}.{name}" if where else name
            top = not where and name in self.registries
            if name in found:
                values[name] = (
                    self._one_kind(self.registries[name], found[name], path)
                    if top
                    else self._option(option, found[name], path)
                )
            elif is_group(option.type):
                values[name] = self.group(option.type, {}, path)
            elif top and not option.required:
                values[name] = option.default
            elif top and self.whole:
                values[name] = self._one_kind(self.registries[name], {}, path)
            elif top or option.required:
                values[name] = _BAD
                if self.whole:
                    self.faults.append(f"{path}: must be set. Allowed: {allowed_words(option)}")
        if len(self.faults) > before or _BAD in values.values():
            return _BAD
        made = cls(**values)
        more = getattr(made, "faults", None)
        if callable(more) and self.whole:
            self.faults += [f"{where}{fault}" if fault[0] in ".:" else fault for fault in more()]
        return made

    def _option(self, option: Option, found: Any, where: str) -> Any:
        if found == "???":
            self.faults.append(f"{where}: must be set. Allowed: {allowed_words(option)}")
            return _BAD
        members = arms(option.type)
        if found is None and type(None) in members:
            return None
        if option.limits.kinds is not None:
            return self._kinds(option, option.limits.kinds, found, where)
        for member in members:
            if is_group(member) and (isinstance(found, Mapping) or len(members) == 1):
                return self.group(member, found, where)
            named = named_group(member)
            if named is not None and isinstance(found, Mapping):
                made = {str(k): self.group(named, v, f"{where}.{k}") for k, v in found.items()}
                return _BAD if _BAD in made.values() else made
        return self._value(option, found, where)

    def _value(self, option: Option, found: Any, where: str) -> Any:
        choices = option.limits.choices
        if choices is not None and found is None and "none" in choices:
            found = "none"
        try:
            if choices is not None and found in NULL_WORDS and found in choices:
                value = found
            else:
                value = convert(option.type, found)
            fits, hint = option.limits.accepts(value), ""
            if option.limits.path and isinstance(value, str):
                fits, value = bool(value), str(user_path(value).absolute())
        except MismatchError as error:
            fits, hint = False, f" {error}" if str(error) else ""
        except UserError as error:
            self.faults.append(f"{where}: {error}")
            return _BAD
        if fits:
            return value
        if choices is not None and isinstance(found, str):
            word = self.words.get(f"{where}={found}")
            hint = f" {word}" if word else nearest(found, [str(choice) for choice in choices])
        self.faults.append(f"{where}: found {shown(found)}.{hint} Allowed: {allowed_words(option)}")
        return _BAD

    def _kinds(self, option: Option, registry: Registry, found: Any, where: str) -> Any:
        listed = any(getattr(arm, "__origin__", arm) in (list, tuple) for arm in arms(option.type))
        if not listed:
            return self._one_kind(registry, found, where)
        if not isinstance(found, list | tuple):
            found = [found]
        return tuple(
            self._one_kind(registry, item, f"{where}.{number}") for number, item in enumerate(found)
        )

    def _one_kind(self, registry: Registry, found: Any, where: str) -> Any:
        if isinstance(found, str):
            found = {"kind": found}
        if not isinstance(found, Mapping):
            self.faults.append(
                f"{where}: found {shown(found)}. Allowed: a mapping {{kind: <name>, <options>}}"
            )
            return _BAD
        name = found.get("kind")
        if not isinstance(name, str) or name == "???":
            message = "must be set" if name in (None, "???") else f"found {shown(name)}"
            meant = next((key for key in found if name is None and key in registry), None)
            message += f". Did you mean {{kind: {meant}, ...}}?" if meant else "."
            self.faults.append(f"{where}.kind: {message} Allowed: {listing(sorted(registry), 60)}")
            return _BAD
        try:
            kind: Kind = registry.find(name, where)
        except UserError as error:
            self.faults.append(str(error))
            return _BAD
        return self.group(kind.options, found, where, name, registry)

    def _unknown(
        self, key: str, where: str, known: Sequence[str], kind: str, registry: Registry | None
    ) -> None:
        path = f"{where}.{key}" if where else key
        if key in self.hints:
            self.faults.append(f"{path}: has no meaning here. {self.hints[key]}")
            return
        hint, of = nearest(key, known), ""
        if registry is not None:
            of = f" of {registry.group} kind '{kind}'"
            others = [
                other.name
                for other in registry.values()
                if any(option.name == key for option in options_of(other.options))
            ]
            hint = f" It belongs to kind {listing(others)}." if others else hint
        hint = self._nested(key) or hint or self._elsewhere(path, key)
        allowed = f"Allowed: {listing(known, 40)}" if known else "It has no options."
        self.faults.append(f"{path}: unknown option{of}.{hint} {allowed}")

    def _nested(self, key: str) -> str:
        outer, _, inner = key.partition(".")
        return (
            f" Write it nested: {outer}: {{{inner}: ...}}." if inner and key in self.paths else ""
        )

    def _elsewhere(self, path: str, key: str) -> str:
        # What the key already stands in is no other place for it.
        paths = [known for known in self.paths if not path.startswith(f"{known}.")]
        names = {known.rpartition(".")[2]: known for known in reversed(paths)}
        close = difflib.get_close_matches(path, paths, n=1, cutoff=0.8)
        close = close or difflib.get_close_matches(key, names, n=1, cutoff=0.7)
        close = [names[key]] if key in names else [names.get(name, name) for name in close]
        return f" Did you mean '{close[0]}'?" if close else ""


def _kind_name(found: Any) -> str:
    name = found.get("kind") if isinstance(found, Mapping) else found
    return name if isinstance(name, str) else ""
