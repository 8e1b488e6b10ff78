"""`tagi completion`: tab completion for bash."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence

from tagi_cli.cli.arguments import words
from tagi_cli.cli.main import VERBS
from tagi_cli.errors import UserError, nearest
from tagi_cli.experiment.sweeps.launchers import launchers
from tagi_cli.experiment.sweeps.tune_options import TuneOptions
from tagi_cli.paths import CONFIGS, user_path

HELP = """
Print the tab completion for a shell.

usage: tagi completion bash

In ~/.bashrc:
  eval "$(tagi completion bash)"
"""

_BASH = r"""
_tagi() {
  local line=${COMP_LINE:0:COMP_POINT}
  local word=${line##*[[:space:]]}
  # Readline replaces only what follows the last = or : of the word.
  local done=${word%"${word##*[=:]}"}
  local IFS=$'\n' candidate
  COMPREPLY=()
  for candidate in $(command tagi completion words "$line" 2>/dev/null); do
    COMPREPLY+=("${candidate#"$done"}")
  done
  if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=./] ]]; then compopt -o nospace; fi
}
complete -o nosort -F _tagi tagi
"""

_LAUNCHER = "hydra/launcher"
_COMPOSING = ("train", "update", "tune", "smooth", "show", "profile", "check")
_KEYS = {
    "eval": ("run=", "split=", "checkpoint=", "data.path="),
    "predict": ("run=", "input=", "output=", "checkpoint=", "overwrite="),
    "explain": (
        "run=",
        "split=",
        "input=",
        "rows=",
        "method=",
        "target=",
        "component=",
        "start=",
        "checkpoint=",
        "output=",
        "overwrite=",
    ),
    "smooth": ("run=", "checkpoint=", "input=", "output=", "overwrite="),
    "generate": (
        "run=",
        "input=",
        "output=",
        "r_map=",
        "samples=",
        "seed=",
        "checkpoint=",
        "overwrite=",
    ),
    "project": ("run=", "input=", "output=", "checkpoint=", "overwrite="),
    "show": ("run=",),
    "update": ("run=",),
    "compare": ("sort=", "output=", "figure=", "to=", "--select"),
    "report": ("run=",),
    "convert": ("format=", "run=", "member="),
    "train": ("--multirun", "--cfg", f"{_LAUNCHER}="),
    "tune": tuple(f"tune.{one.name}=" for one in dataclasses.fields(TuneOptions)),
    "check": ("--multirun",),
}
_VALUES = {
    "format": ("pytagi", "pytagi_csv"),
    "split": ("train", "valid", "test"),
    "checkpoint": ("best", "last"),
    "method": ("auto", "derivative", "covariance"),
    "overwrite": ("true", "false"),
}


def run(arguments: list[str]) -> int:
    """Print the script, or (asked by the script) the words that may follow."""
    if len(arguments) == 2 and arguments[0] == "words":
        print("\n".join(candidates(arguments[1])))
        return 0
    (shell,) = words(arguments, ["shell"])
    if shell != "bash":
        raise UserError(f"found '{shell}'.{nearest(shell, ['bash'])} Allowed: bash")
    print(_BASH.strip())
    return 0


def candidates(line: str) -> list[str]:
    """The words that may stand at the end of a command line, which may hold their beginning."""
    typed = line.split()
    word = typed.pop() if line and not line[-1].isspace() else ""
    if len(typed) <= 1:
        found: Iterable[str] = VERBS
    else:
        found = _after(typed[1], typed[2:], word)
    return sorted({one for one in found if one.startswith(word)})


def _after(verb: str, given: Sequence[str], word: str) -> list[str]:
    """The words that may follow those given to a verb."""
    key, equals, value = word.partition("=")
    if equals:
        return [f"{key}={one}" for one in _values_after(verb, key, value)]
    if word.startswith("-"):
        return ["--help", *_KEYS.get(verb, ())]
    found = list(_KEYS.get(verb, ()))
    if verb in _COMPOSING:
        found += _option_keys(given)
    elif verb == "ls":
        found += ["config", *_listed_groups()]
    elif verb == "cp" and not given:
        found += _presets()
    elif verb == "completion":
        found += ["bash"]
    elif verb in ("compare", "convert", "cp"):
        found += _files(word)
    return found


def _values_after(verb: str, key: str, value: str) -> list[str]:
    if key in _VALUES:
        return [*_VALUES[key], *(_files(value) if key == "checkpoint" else [])]
    if verb not in _COMPOSING or key == "run":
        return _files(value)
    if key == _LAUNCHER:
        return list(launchers)
    if key == "config":
        return [*_presets(), *(f for f in _files(value) if f.endswith(("/", *CONFIGS)))]
    return _option_values(key, value)


def _presets() -> list[str]:
    from tagi_cli.config.catalogue import PRESETS, Catalogue

    return list(Catalogue.shipped({}).files(PRESETS))


def _listed_groups() -> list[str]:
    from tagi_cli.config.schema import is_group, nested_registries, options_of
    from tagi_cli.experiment.settings import Settings, registries

    kinds = registries()
    groups = [o.name for o in options_of(Settings) if o.name in kinds or is_group(o.type)]
    return [*groups, *nested_registries(Settings, kinds)]


def _option_keys(given: Sequence[str]) -> list[str]:
    """`config=`, groups with choices as `group=`, and every option's dotted path."""
    from tagi_cli.config import Catalogue
    from tagi_cli.config.schema import is_group, walk
    from tagi_cli.experiment.settings import Settings, registries

    kinds = registries()
    chosen = {key: value for key, _, value in (word.partition("=") for word in given)}
    keys = ["config", *Catalogue.shipped(kinds).groups()]
    for path, option in walk(Settings, kinds):
        group = path.partition(".")[0]
        if is_group(option.type) or path in kinds:
            continue
        kind = chosen.get(group)
        if group in kinds and kind in kinds[group]:
            own = {name for name, _ in walk(Settings, kinds, {group: str(kind)})}
            if path not in own:
                continue
        keys.append(path)
    return [f"{key}=" for key in keys]


def _option_values(key: str, value: str) -> list[str]:
    """What may follow `key=`: kinds, choices, true and false, files."""
    from tagi_cli.config import Catalogue
    from tagi_cli.config.schema import arms, walk
    from tagi_cli.experiment.settings import Settings, registries

    kinds = registries()
    catalogue = Catalogue.shipped(kinds)
    if key in catalogue.groups():
        return catalogue.options(key)
    values: list[str] = []
    for path, option in walk(Settings, kinds):
        if path == key:
            values += [str(choice) for choice in option.limits.choices or ()]
            values += ["true", "false"] if bool in arms(option.type) else []
            values += ["null"] if type(None) in arms(option.type) else []
            values += _files(value) if option.limits.path else []
    return values


def _files(start: str) -> list[str]:
    """Files and folders that a path may go on with."""
    folder, slash, name = start.rpartition("/")
    prefix = folder + slash
    try:
        base = user_path(prefix)
    except UserError:
        return []
    if not base.is_dir():
        return []
    return [
        f"{prefix}{entry.name}{'/' if entry.is_dir() else ''}"
        for entry in os.scandir(base)
        if entry.name.startswith(name) and (name or not entry.name.startswith("."))
    ]
