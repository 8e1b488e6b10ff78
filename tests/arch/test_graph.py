"""Graphs and nested chains as configs describe them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tagi_cli import arch, nn
from tagi_cli.config import check, dump, load
from tagi_cli.errors import UserError
from tagi_cli.options import option


@dataclass(frozen=True)
class Root:
    """Only the architecture."""

    arch: Any = option(doc="Architecture.")


REGISTRIES = {"arch": arch.registry}

GRAPH = {
    "kind": "graph",
    "nodes": [
        {"name": "h", "kind": "linear", "output_size": 5},
        {"name": "cut", "kind": "split", "sizes": [2, 3]},
        {"name": "rest", "kind": "relu", "inputs": "cut.1"},
        {"name": "join", "kind": "concat", "inputs": ["rest", "input", "cut.0"]},
        {"name": "block", "kind": "resnet_block",
         "main": [{"kind": "linear", "output_size": 8}, "tanh"]},
        {"name": "out", "kind": "sequential", "layers": [{"kind": "linear", "output_size": 2}]},
    ],
}  # fmt: skip


def checked(tree: dict[str, Any]) -> Any:
    return check(Root, REGISTRIES, {"arch": tree})


def test_a_graph_from_a_config_is_the_graph_from_code() -> None:
    options = checked(GRAPH).arch
    layer = arch.registry.of(options).build(options, (3,), 2)
    want = nn.Graph(
        [
            nn.Node("h", nn.Linear(0, 5)),
            nn.Node("cut", nn.Split((2, 3))),
            nn.Node("rest", nn.ReLU(), ("cut.1",)),
            nn.Node("join", nn.Concat(), ("rest", "input", "cut.0")),
            nn.Node("block", nn.ResNetBlock(nn.Sequential(nn.Linear(0, 8), nn.Tanh()))),
            nn.Node("out", nn.Sequential(nn.Linear(0, 2))),
        ]
    )
    x = np.random.default_rng(0).normal(size=(4, 3))
    outputs = [nn.Network(one, (3,), rng=np.random.default_rng(1))(x) for one in (layer, want)]
    np.testing.assert_array_equal(*outputs)


def test_a_graph_is_dumped_and_read_back(tmp_path: Any) -> None:
    settings = checked(GRAPH)
    path = tmp_path / "config.yaml"
    path.write_text(dump(settings, REGISTRIES))
    assert load(Root, REGISTRIES, path) == settings


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": ["q"]}, "arch.nodes: node 'h': found the input 'q'. Allowed: input"),
        ({"nme": "x"}, "arch.nodes.0.nme: unknown option of node kind 'linear'. Did you mean"),
        ({"kind": "linar"}, "arch.nodes.0: unknown kind 'linar'. Did you mean 'linear'"),
        ({"output_size": 0}, "arch.nodes.0.output_size: found 0. Allowed: whole number, at least"),
        ({"name": "cut"}, "arch.nodes: node 1: found the name 'cut', which an earlier node has"),
    ],
)
def test_mistakes_are_told_with_their_place(change: dict[str, Any], message: str) -> None:
    nodes = [{**GRAPH["nodes"][0], **change}, *GRAPH["nodes"][1:]]
    with pytest.raises(UserError) as raised:
        checked({"kind": "graph", "nodes": nodes})
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"kind": "graph", "nodes": []}, "arch.nodes: a graph needs at least one node"),
        ({"kind": "sequential", "layers": []}, "arch.layers: the list is empty"),
        ({"kind": "sequential", "layers": [{"kind": "resnet_block", "main": []}]},
         "arch.layers.0.main: the list is empty"),
    ],
)  # fmt: skip
def test_empty_ones_are_told(tree: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as raised:
        checked(tree)
    assert message in str(raised.value)


def test_units_that_do_not_fit_the_task_are_told() -> None:
    options = checked(GRAPH).arch
    with pytest.raises(
        UserError, match=r"arch\.nodes: the last layer gives 2 units, the task need"
    ):
        arch.registry.of(options).build(options, (3,), 1)


def test_layers_that_do_not_fit_together_are_told() -> None:
    layers = [{"kind": "linear", "output_size": 3}, {"kind": "split", "sizes": [1, 1]}]
    options = checked({"kind": "sequential", "layers": layers}).arch
    with pytest.raises(UserError, match=r"arch\.layers: layer 1: Split\(1,1\) takes 2 units"):
        arch.registry.of(options).build(options, (3,), 1)
