"""What there is to choose from: presets, and the options of each group."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tagi_cli.config.arguments import meant_key
from tagi_cli.config.schema import Registries
from tagi_cli.errors import UserError, listing, nearest
from tagi_cli.paths import CONFIGS, resource_dir, user_path

PRESETS = "config"
"""The group of presets."""

HYDRA = "hydra"
"""The folder of what concerns sweeps and not a single run."""


@dataclass(frozen=True)
class Catalogue:
    """The config groups: folders of `directory`, and the registries of kinds."""

    registries: Registries
    directory: Path

    @classmethod
    def shipped(cls, registries: Registries) -> Catalogue:
        """The catalogue of the configs that come with the program."""
        return cls(registries, resource_dir("configs"))

    def groups(self) -> list[str]:
        """Names of all groups of a run that have options to choose from, without the presets."""
        folders = [p.name for p in sorted(self.directory.iterdir()) if p.is_dir()]
        names = dict.fromkeys([*self.registries, *folders])
        return [name for name in names if name not in (PRESETS, HYDRA)]

    def files(self, group: str) -> dict[str, Path]:
        """The files of a group by option name (`forecast/sine` in a sub-folder)."""
        folder = self.directory / group
        return {
            path.relative_to(folder).with_suffix("").as_posix(): path
            for path in sorted(folder.rglob("*.yaml"))
        }

    def options(self, group: str) -> list[str]:
        """Names that `group=<name>` accepts."""
        return sorted({*self.files(group), *self.registries.get(group, ())})

    def summary(self, group: str, name: str) -> str:
        """One line about an option: the opening comment of its file, or that of its kind."""
        path = self.files(group).get(name)
        if path is not None:
            return next(_comments(path), "")
        return self.registries[group][name].summary

    def choice(self, group: str, name: str) -> str:
        """`name` if the group has it, or a plugin brings it.

        Raises:
            UserError: neither, or the plugin cannot be used.
        """
        names = self.options(group)
        if name in names:
            return name
        registry = self.registries.get(group)
        brought = registry.names() if registry is not None else []
        if registry is not None and name in brought:
            return registry.find(name, group).name
        word = "kind" if group in self.registries else "option"
        names = sorted({*names, *brought})
        hint = nearest(name, names)
        if meant_key(name).startswith(f"{group}."):
            hint = f" Did you mean {shlex.quote(f'{meant_key(name)}={name}')}?"
        raise UserError(f"{group}: unknown {word} '{name}'.{hint} Allowed: {listing(names, 60)}")

    def preset(self, name: str) -> Path:
        """The file that `config=<name>` means: a preset, or a YAML file of the user's.

        Raises:
            UserError: there is no such preset or file.
        """
        presets = self.files(PRESETS)
        if name in presets:
            return presets[name]
        try:
            path = user_path(name)
        except UserError as error:
            raise UserError(f"config: {error}. Allowed: a preset, or a .yaml file") from None
        is_yaml = path.suffix in CONFIGS
        if path.is_dir():
            inside = path / "config.yaml"
            hint = f" Did you mean {inside}?" if inside.is_file() else ""
            raise UserError(f"config: {name} is a folder.{hint} Allowed: a preset, or a .yaml file")
        if path.is_file() and not is_yaml:
            table = meant_key(name)
            hint = f" Did you mean {shlex.quote(f'{table}={name}')}?" if table else ""
            raise UserError(
                f"config: {name} is no .yaml file.{hint} Allowed: a preset, or a .yaml file"
            )
        if path.is_file():
            return path
        if is_yaml or name.startswith((".", "/", "~")):
            close = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
            raise UserError(
                f"config: there is no file {path.absolute()}.{nearest(path.name, close)} "
                "Allowed: a preset, or a .yaml file"
            )
        hint = nearest(name, presets)
        if not hint and path.with_suffix(".yaml").is_file():
            hint = f" Did you mean ./{path.with_suffix('.yaml')}?"
        raise UserError(
            f"config: unknown preset '{name}'.{hint} Allowed: {listing(presets, 60)}, "
            "or the path of a .yaml file"
        )


def _comments(path: Path) -> Iterator[str]:
    """The comment lines that open a file, without Hydra's header."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            return
        text = line.lstrip("# ").strip()
        if text and not text.startswith("@package"):
            yield text
