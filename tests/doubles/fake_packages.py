"""Packages with entry points, as importlib.metadata finds them, without installing anything."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tagi_cli import plugins
from tagi_cli.arch import registry as architectures
from tagi_cli.nn.composites import nodes
from tagi_cli.nn.registry import registry as layers

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "tagi-sine"


class Packages:
    """A folder on the module path, in which packages are made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(
        self,
        name: str,
        entries: Mapping[str, Mapping[str, str]],
        version: str = "1.0",
        **modules: str,
    ) -> None:
        """A package: by group the entry points, and the text of each module."""
        metadata = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        text = ""
        for group, values in entries.items():
            text += f"[{group}]\n" + "".join(f"{key} = {at}\n" for key, at in values.items())
        (metadata / "entry_points.txt").write_text(text)
        for module, body in modules.items():
            (self.folder / f"{module}.py").write_text(body)
        plugins.installed.cache_clear()

    def add_example(self, patch: pytest.MonkeyPatch) -> None:
        """The package of the documents, from where it lies."""
        patch.syspath_prepend(str(EXAMPLE))
        project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
        self.add(project["name"], project["entry-points"], project["version"])


@contextmanager
def packages(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Packages]:
    """An empty folder of packages; what they bring is forgotten afterwards."""
    before = set(sys.modules)
    for registry in (layers, nodes, architectures):
        patch.setattr(registry, "_kinds", dict(registry._kinds))
    patch.setattr(plugins, "_loaded", {})
    patch.syspath_prepend(str(folder))
    plugins.installed.cache_clear()
    try:
        yield Packages(folder)
    finally:
        plugins.installed.cache_clear()
        for name in set(sys.modules) - before:
            found = getattr(sys.modules[name], "__file__", None) or ""
            if found.startswith((str(folder), str(EXAMPLE))):
                del sys.modules[name]
