"""Layers made of layers, as configs describe them: chains, residual blocks, graphs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tagi_cli.nn.graph import Graph, Node, faults
from tagi_cli.nn.init import InitOptions
from tagi_cli.nn.layer import Layer
from tagi_cli.nn.layers.resnet_block import ResNetBlock
from tagi_cli.nn.registry import build_layer, registry
from tagi_cli.nn.sequential import Sequential
from tagi_cli.options import Extension, option

_LAYERS = "each `{kind: ..., <options>}`. Input sizes are inferred."
_INIT = "Prior of all layers inside that have an option `init` and do not set it."


@dataclass(frozen=True)
class NodeOptions:
    """What a layer in a graph has besides its own options."""

    name: str = option(doc="How later nodes refer to it; without a dot, and not `input`.")
    inputs: tuple[str, ...] = option(
        (),
        "What it is given: `input`, names of earlier nodes, or `<name>.<k>` for the k-th part of a "
        "`split`, from 0. Default: the node before.",
    )


nodes = Extension("node", registry, NodeOptions)


@dataclass(frozen=True)
class SequentialOptions:
    """Layers one after the other."""

    layers: tuple[Any, ...] = option(doc=f"Layers from input to output, {_LAYERS}", kinds=registry)
    init: InitOptions | None = option(None, _INIT)

    def faults(self) -> list[str]:
        """A chain holds something."""
        return [] if self.layers else [".layers: the list is empty; give at least one layer"]


@dataclass(frozen=True)
class ResNetBlockOptions:
    """Residual block: the sum of a branch of layers and a shortcut."""

    main: tuple[Any, ...] = option(doc=f"Layers of the main branch, {_LAYERS}", kinds=registry)
    shortcut: tuple[Any, ...] = option(
        (), f"Layers of the shortcut, {_LAYERS} Empty passes the input on as it is.", kinds=registry
    )
    init: InitOptions | None = option(None, _INIT)

    def faults(self) -> list[str]:
        """The main branch holds something."""
        return [] if self.main else [".main: the list is empty; give at least one layer"]


@dataclass(frozen=True)
class GraphOptions:
    """Layers that take their inputs from any layers before them; the last one is the output."""

    nodes: tuple[Any, ...] = option(
        doc="Layers, each `{name: ..., kind: ..., inputs: [...], <options>}`, after those it takes "
        "its inputs from.",
        kinds=nodes,
    )
    init: InitOptions | None = option(None, _INIT)

    def faults(self) -> list[str]:
        """Names are unique, inputs known, and every node but the last is used."""
        found = faults([n.name for n in self.nodes], [n.inputs for n in self.nodes])
        return [f".nodes: {fault}" for fault in found]


def _inheriting(items: Iterable[Any], init: InitOptions | None) -> list[Any]:
    """Options of layers, with `init` where they have such an option and do not set it."""
    return [replace(item, init=init) if _unset(item) else item for item in items]


def _unset(item: Any) -> bool:
    return hasattr(item, "init") and item.init is None


def chain(items: Sequence[Any]) -> Layer:
    """The layers that options describe, one after the other; a single one as it is."""
    layers = [build_layer(item) for item in items]
    return layers[0] if len(layers) == 1 else Sequential(*layers)


def build_sequential(options: SequentialOptions) -> Sequential:
    """The chain that options describe."""
    return Sequential(*(build_layer(item) for item in _inheriting(options.layers, options.init)))


def build_resnet_block(options: ResNetBlockOptions) -> ResNetBlock:
    """The residual block that options describe."""
    main, shortcut = (_inheriting(side, options.init) for side in (options.main, options.shortcut))
    return ResNetBlock(chain(main), chain(shortcut) if shortcut else None)


def build_graph(options: GraphOptions) -> Graph:
    """The graph that options describe."""
    return Graph(
        [
            Node(item.name, nodes.base_of(item), tuple(item.inputs))
            for item in _inheriting(options.nodes, options.init)
        ]
    )


registry.register(Sequential.kind, SequentialOptions, build_sequential)
registry.register(ResNetBlock.kind, ResNetBlockOptions, build_resnet_block)
registry.register(Graph.kind, GraphOptions, build_graph)
