"""Reading a preset or a user's file: data, never code.

The file says what it chooses (`kind: x` in a group, or a `defaults` list) and what it sets. Of its
`hydra:` keys only those that describe a sweep are taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tagi_cli.config.catalogue import PRESETS, Catalogue
from tagi_cli.config.convert import shown
from tagi_cli.errors import UserError, nearest

TUNE = "tune"
"""The key of a file that describes a search."""

_REFUSED = (
    "is not taken from a config file. Allowed: hydra.mode, hydra.sweeper.params, and plain numbers "
    "in hydra.launcher"
)
_MOST_VALUES = 100_000
_CODE = ("_target_", "_partial_", "_recursive_", "_convert_", "_args_", "()")


@dataclass
class Sweep:
    """The `hydra:` keys of a file.

    Attributes:
        multirun: whether it sweeps by itself.
        params: texts of the values to sweep over, by option.
        launcher: numbers for the launcher, by dotted name.
    """

    multirun: bool = False
    params: dict[str, str] = field(default_factory=dict)
    launcher: dict[str, float] = field(default_factory=dict)


@dataclass
class Source:
    """One file, or the command line: what it chooses, then what it sets.

    Attributes:
        choices: by group, the option chosen.
        values: nested mapping of what is set; in a group of kinds without `kind`.
        sweep: its `hydra:` keys.
        tune: what it holds under `tune`, which is for the search and not for a run.
        mistaken: groups of which it chooses what there is not.
    """

    choices: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    sweep: Sweep = field(default_factory=Sweep)
    tune: Any = None
    faults: list[str] = field(default_factory=list)
    mistaken: set[str] = field(default_factory=set)

    def choose(self, catalogue: Catalogue, group: str, name: str) -> None:
        """Note a choice, or the fault that there is no such option."""
        try:
            self.choices[group] = catalogue.choice(group, name)
        except UserError as error:
            self.faults.append(str(error))
            self.mistaken.add(group)


def read_sources(catalogue: Catalogue, name: str, outer: tuple[Path, ...] = ()) -> list[Source]:
    """The file that `config=<name>` means, after the presets that it builds on.

    Raises:
        UserError: a file is missing or unreadable, or builds on itself.
    """
    path = catalogue.preset(name).resolve()
    if path in outer:
        raise UserError(f"{path}: builds on itself")
    tree = read_yaml(path)
    source, bases = Source(), []
    source.faults += [f"{path}: {fault}" for fault in _take_code(tree, "")]
    source.sweep = _sweep(tree.pop("hydra", None), path, source.faults)
    source.tune = tree.pop(TUNE, None)
    for group, option in choices(tree.pop("defaults", None), path, source.faults):
        if group == PRESETS:
            bases.append(option)
        elif group in catalogue.groups():
            source.choose(catalogue, group, option)
        else:
            hint = nearest(group, catalogue.groups())
            source.faults.append(f"{path}: defaults: unknown group '{group}'.{hint}")
    for key, value in tree.items():
        _take(catalogue, source, str(key), value)
    before = [found for base in bases for found in read_sources(catalogue, base, (*outer, path))]
    return [*before, source]


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping.

    Raises:
        UserError: it cannot be read, is not YAML, or holds something else.
    """
    import yaml  # type: ignore[import-untyped]
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        _refuse_bomb(path)
        # OmegaConf's loader reads 1e-3 as a number, which plain YAML 1.1 does not.
        loaded = OmegaConf.load(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise UserError(f"{path}: {where}not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, RecursionError) as error:
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{path}: not a valid config: {first}") from None
    tree = OmegaConf.to_container(loaded, resolve=False)
    if not isinstance(tree, dict):
        raise UserError(f"{path}: found a list. Allowed: a mapping of options")
    if not tree:
        raise UserError(f"{path}: is empty. Allowed: a mapping of options")
    return {str(key): value for key, value in tree.items()}


def _refuse_bomb(path: Path) -> None:
    """Make sure that aliases, of which each may stand for many more, end.

    Raises:
        UserError: a value holds itself, or they stand for more values than any config has.
        OSError, UnicodeDecodeError, yaml.YAMLError: as reading it does.
    """
    import yaml

    text = path.read_text(encoding="utf-8")
    if "*" not in text or "&" not in text:
        return
    sizes: dict[int, int] = {}

    def size(node: yaml.Node | None) -> int:
        """How many values it stands for, itself among them."""
        if not isinstance(node, yaml.CollectionNode):
            return 1
        if id(node) not in sizes:
            sizes[id(node)] = _MOST_VALUES  # stays where it is met inside itself
            pairs = isinstance(node, yaml.MappingNode)
            items = [item for pair in node.value for item in pair] if pairs else node.value
            sizes[id(node)] = 1 + sum(map(size, items))
        return sizes[id(node)]

    if size(yaml.compose(text, yaml.SafeLoader)) > _MOST_VALUES:
        raise UserError(
            f"{path}: its aliases (*) stand for more than {_MOST_VALUES} values, or for what they "
            "are in"
        )


def _take(catalogue: Catalogue, source: Source, key: str, value: Any) -> None:
    """Split one root entry of a file into a choice and what it sets."""
    if isinstance(value, str) and key in catalogue.groups():
        source.choose(catalogue, key, value)
    elif key in catalogue.registries and isinstance(value, Mapping) and "kind" in value:
        values = dict(value)
        kind = values.pop("kind")
        if isinstance(kind, str):
            source.choose(catalogue, key, kind)
        else:
            source.faults.append(f"{key}.kind: found {shown(kind)}. Allowed: the name of a kind")
        source.values[key] = values
    else:
        source.values[key] = value


def _take_code(tree: Any, where: str) -> Iterator[str]:
    """Remove the keys that would name code; a fault for each."""
    if isinstance(tree, dict):
        for key in list(tree):
            path = f"{where}.{key}" if where else str(key)
            if key in _CODE:
                yield (
                    f"{path}: found {shown(tree.pop(key))}. A config is data and cannot name code; "
                    "choose by `kind`"
                )
            else:
                yield from _take_code(tree[key], path)
    elif isinstance(tree, list):
        for number, value in enumerate(tree):
            yield from _take_code(value, f"{where}.{number}")


def choices(found: Any, path: Path, faults: list[str]) -> list[tuple[str, str]]:
    """(group, option) pairs of the `defaults` list of the file `path`; adds to `faults`."""
    if found is None:
        return []
    pairs = []
    for item in found if isinstance(found, list) else [found]:
        if item == "_self_":
            continue
        if isinstance(item, Mapping) and len(item) == 1:
            ((key, option),) = item.items()
            group = str(key).removeprefix("override ").strip().removeprefix("/")
            if group.split("/")[0] == "hydra":
                faults.append(f"{path}: defaults: {group} is not taken from a config file")
                continue
            if isinstance(option, str) and "@" not in group:
                pairs.append((group, option))
                continue
        faults.append(
            f"{path}: defaults: found {shown(item)}. Allowed: `override /<group>: <option>`, "
            "`config: <preset>`, `_self_`"
        )
    return pairs


def _sweep(found: Any, path: Path, faults: list[str]) -> Sweep:
    sweep = Sweep()
    if found is None:
        return sweep
    if not isinstance(found, Mapping):
        faults.append(f"{path}: hydra {_REFUSED}")
        return sweep
    for key, value in found.items():
        if key == "mode" and value in ("RUN", "MULTIRUN"):
            sweep.multirun = value == "MULTIRUN"
        elif key == "mode":
            faults.append(f"{path}: hydra.mode: found {shown(value)}. Allowed: RUN, MULTIRUN")
        elif key == "sweeper" and isinstance(value, Mapping) and set(value) <= {"params"}:
            _params(value.get("params"), path, sweep, faults)
        elif key == "launcher" and isinstance(value, Mapping):
            _numbers(value, "", path, sweep, faults)
        else:
            faults.append(f"{path}: hydra.{key} {_REFUSED}")
    return sweep


def _numbers(
    found: Mapping[Any, Any], prefix: str, path: Path, sweep: Sweep, faults: list[str]
) -> None:
    for key, value in found.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            _numbers(value, f"{name}.", path, sweep, faults)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            sweep.launcher[name] = value
        else:
            faults.append(f"{path}: hydra.launcher.{name} {_REFUSED}")


def _params(found: Any, path: Path, sweep: Sweep, faults: list[str]) -> None:
    if found is None:
        return
    if not isinstance(found, Mapping):
        faults.append(
            f"{path}: hydra.sweeper.params: found {shown(found)}. "
            "Allowed: a mapping, e.g. {arch.width: '16,32'}"
        )
        return
    for key, value in found.items():
        if isinstance(value, str | int | float):
            sweep.params[str(key)] = str(value).lower() if isinstance(value, bool) else str(value)
        else:
            faults.append(
                f"{path}: hydra.sweeper.params.{key}: found {shown(value)}. Allowed: text such as "
                "'16,32,64', 'range(0,3)' or 'choice(a,b)'"
            )
