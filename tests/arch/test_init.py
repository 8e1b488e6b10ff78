"""Priors as configs describe them: per network, per layer, checked and written back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
INIT = {"weights": "kaiming_truncated_normal", "gain": "leaky_relu", "slope": 0.2, "lower": -1}
WANTED = nn.InitOptions("kaiming_truncated_normal", gain="leaky_relu", slope=0.2, lower=-1.0)
LINEAR = {"kind": "linear", "output_size": 1}

TREES = [
    {"kind": "mlp", "depth": 1, "init": INIT},
    {"kind": "sequential", "init": INIT, "layers": [{**LINEAR, "output_size": 9}, LINEAR]},
    {"kind": "sequential", "layers": [{**LINEAR, "init": INIT}]},
    {"kind": "graph", "init": INIT, "nodes": [{**LINEAR, "name": "out"}]},
    {"kind": "graph", "nodes": [{**LINEAR, "name": "out", "init": INIT}]},
]


def checked(tree: dict[str, Any]) -> Any:
    return check(Root, REGISTRIES, {"arch": tree})


def linears(layer: nn.Layer) -> list[nn.Linear]:
    inside = [found for _, child in layer.children() for found in linears(child)]
    return [layer, *inside] if isinstance(layer, nn.Linear) else inside


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree["kind"])
def test_layers_have_the_prior_of_the_config(tree: dict[str, Any], tmp_path: Path) -> None:
    settings = checked(tree)
    found = linears(arch.registry.of(settings.arch).build(settings.arch, (3,), 1))
    assert found
    assert all(layer.init == WANTED for layer in found)
    path = tmp_path / "config.yaml"
    path.write_text(dump(settings, REGISTRIES))
    assert load(Root, REGISTRIES, path) == settings


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ({"weights": "kaiming"}, r"arch.init.weights: found 'kaiming'.*kaiming_normal"),
        ({"gain": 0}, r"arch.init.gain: found 0. Allowed: number or leaky_relu, above 0"),
        ({"gain": "relu"}, r"arch.init.gain: found 'relu'. Allowed: number or leaky_relu"),
        ({"slope": 0.3}, "init: slope 0.3 means something with gain: leaky_relu only"),
        ({"std": 1}, r"arch.init.std: .*Allowed: weights, bias"),
        ("kaiming_normal", "arch.init: found 'kaiming_normal'"),
    ],
)
def test_mistakes_are_told(init: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        checked({"kind": "mlp", "init": init})
