"""A small schema of its own, so that the engine is tested apart from the product's options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tagi_cli import config
from tagi_cli.errors import UserErrors
from tagi_cli.options import Registry, option

layers = Registry("layer")
shapes = Registry("shape")


@dataclass(frozen=True)
class LinearOptions:
    """A linear layer."""

    size: int = option(doc="Units.", minimum=1)
    bias: bool = option(True, "Whether it has a bias.")


@dataclass(frozen=True)
class ReluOptions:
    """A rectifier."""


@dataclass(frozen=True)
class BoxOptions:
    """A box."""

    width: int = option(100, "Width.", minimum=1)
    depth: int = option(2, "Depth.", minimum=0)


@dataclass(frozen=True)
class KnotOptions:
    """How links are tied."""

    turns: int = option(2, "Turns.", minimum=1)


@dataclass(frozen=True)
class ChainOptions:
    """A chain of layers."""

    width: int = option(7, "Width.", minimum=1)
    links: float = option(0.5, "Links.", above=0, below=1)
    layers: tuple[Any, ...] = option((), "Layers.", kinds=layers)
    knot: KnotOptions | None = option(None, "The knots, if any.")


@dataclass(frozen=True)
class StopOptions:
    """When to stop."""

    enabled: bool = option(True, "Whether to stop.")
    patience: int = option(20, "Epochs.", minimum=1)


@dataclass(frozen=True)
class TrainerOptions:
    """How to train."""

    epochs: int = option(10, "Epochs.", minimum=1)
    seconds: float | None = option(None, "Seconds.", above=0)
    rule: str = option("sum", "Rule.", choices=("sum", "site", "none"))
    stop: StopOptions = field(default_factory=StopOptions)
    resume: str | None = option(None, "Folder.", path=True)


@dataclass(frozen=True)
class DataOptions:
    """A table."""

    path: str | None = option(None, "File.", path=True)
    targets: tuple[str, ...] = option((), "Columns.")
    portions: tuple[float, ...] = option((0.8, 0.2), "Portions.", minimum=0, maximum=1)
    chunk: tuple[int, int] = option((0, 0), "Delays.")
    length: int | str = option("auto", "Length.")
    batch_size: int = option(16, "Rows.", minimum=1)

    def faults(self) -> list[str]:
        if abs(sum(self.portions) - 1) > 1e-9:
            return [f"data.portions: {list(self.portions)} must add up to 1"]
        return []


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The root."""

    without_meaning: ClassVar[Mapping[str, str]] = {"learning_rate": "Set shape.width."}
    from_environment: ClassVar[tuple[str, ...]] = ("data.path",)

    name: str | None = option(None, "Name.")
    seed: int = option(0, "Seed.", minimum=0)
    data: DataOptions = field(default_factory=DataOptions)
    shape: Any = option(doc="The shape.")
    trainer: TrainerOptions = field(default_factory=TrainerOptions)


layers.register("linear", LinearOptions, LinearOptions)
layers.register("relu", ReluOptions, ReluOptions)
shapes.register("box", BoxOptions, BoxOptions)
shapes.register("chain", ChainOptions, ChainOptions)

REGISTRIES = {"shape": shapes}

FILES = {
    "train.yaml": "defaults:\n  - data: null\n  - shape: box\n  - _self_\n",
    "data/tea.yaml": "# Tea.\npath: /tea.csv\ntargets: [taste]\n",
    "data/rum.yaml": "# Rum.\npath: /rum.csv\ntargets: [proof]\n",
    "shape/wide.yaml": "# A wide box.\nkind: box\nwidth: 500\n",
    "config/quick.yaml": (
        "# @package _global_\n# A quick one.\ndefaults:\n  - override /data: tea\n\n"
        "shape: {kind: chain, links: 0.25}\ntrainer: {epochs: 3}\n"
    ),
    "config/deep/one.yaml": "# Deep.\nshape: {depth: 9}\n",
}
"""A directory of configs: a primary one, two data sets, a variant of a shape, two presets."""


def settings(directory: Path, *arguments: str) -> Settings:
    """Compose and check."""
    composed = config.compose(Settings, REGISTRIES, arguments, directory)
    return config.check(Settings, REGISTRIES, composed.tree, composed.faults)


def checked(tree: dict[str, Any]) -> Settings:
    """Check a tree to which a shape is added."""
    return config.check(Settings, REGISTRIES, {"shape": {"kind": "box"}, **tree})


def faults(call: Callable[..., Any], *arguments: Any) -> list[str]:
    """The messages of the faults that a call raises."""
    with pytest.raises(UserErrors) as caught:
        call(*arguments)
    return caught.value.faults
