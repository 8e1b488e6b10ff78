"""Attention as configs describe it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagi_cli import arch, nn
from tagi_cli.backend import select
from tagi_cli.config import check, dump, load
from tagi_cli.errors import UserError
from tagi_cli.options import option


@dataclass(frozen=True)
class Root:
    """Only the architecture."""

    arch: Any = option(doc="Architecture.")


REGISTRIES = {"arch": arch.registry}


def checked(attention: dict[str, Any]) -> Any:
    layers = [
        {"kind": "reshape", "shape": [-1, 4]},
        "positional_encoding",
        {"kind": "multihead_attention", **attention},
        {"kind": "linear", "output_size": 1},
    ]
    return check(Root, REGISTRIES, {"arch": {"kind": "sequential", "layers": layers}})


def test_a_config_is_the_layer_from_code(tmp_path: Any) -> None:
    settings = checked({"num_heads": 2, "num_kv_heads": 1, "causal": True, "rotary": True})
    path = tmp_path / "config.yaml"
    path.write_text(dump(settings, REGISTRIES))
    assert load(Root, REGISTRIES, path) == settings
    layer = arch.registry.of(settings.arch).build(settings.arch, (12,), 1)
    want = nn.Sequential(
        nn.Reshape((-1, 4)),
        nn.PositionalEncoding(),
        nn.MultiheadAttention(4, 2, 1, causal=True, rotary=True),
        nn.Linear(0, 1),
    )
    x = np.random.default_rng(0).normal(size=(5, 12))
    outputs = [nn.Network(one, (12,), rng=np.random.default_rng(1))(x) for one in (layer, want)]
    np.testing.assert_array_equal(*outputs)


@pytest.mark.parametrize(
    ("attention", "message"),
    [
        ({"num_heads": 0}, "arch.layers.2.num_heads: found 0. Allowed: .*at least 1"),
        ({"num_heads": 2, "num_kv_heads": 0}, "num_kv_heads: found 0. Allowed: .*at least 1"),
        ({"num_heads": 2, "weighting": "relax"}, "weighting: found 'relax'. Did you mean 'remax'"),
        ({"num_heads": 2, "theta": 1.0}, "theta: found 1.0. Allowed: number, above 1"),
        ({"num_heads": 2, "casual": True}, "unknown option .* Did you mean 'causal'"),
        ({}, "arch.layers.2.num_heads: .*must be set"),
        ({"num_heads": 4, "num_kv_heads": 3}, "arch.layers.2: .* 4 heads cannot share 3 heads"),
    ],
)
def test_mistakes_are_told(attention: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        checked(attention)


@pytest.mark.parametrize(
    ("attention", "message"),
    [
        ({"num_heads": 3}, "arch.layers: layer 2: .* 4 units cannot be shared among 3 heads"),
        ({"num_heads": 2, "embed_dim": 6}, "arch.layers: layer 2: .* takes tokens of 6 units"),
    ],
)
def test_sizes_that_do_not_fit_are_told(attention: dict[str, Any], message: str) -> None:
    settings = checked(attention)
    with pytest.raises(UserError, match=message):
        arch.registry.of(settings.arch).build(settings.arch, (12,), 1)


def test_the_block_of_the_page_keeps_tokens_apart(tmp_path: Path) -> None:
    """Without attention and the last layer, another id changes the token at its place alone."""
    page = Path(__file__).parents[2] / "docs/theory/attention.md"
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    (tmp_path / "page.yaml").write_text(block)
    options = load(Root, REGISTRIES, tmp_path / "page.yaml").arch
    nodes = {node.name: node for node in options.nodes}
    assert arch.registry.of(options).build(options, (5,), 1).build(
        (5,), nn.Parameters(select()), np.random.default_rng(0)
    ) == (1,)
    kept = [node for name, node in nodes.items() if name not in ("mixed", "out")]
    kept = [replace(n, inputs=("norm", "x")) if n.name == "h" else n for n in kept]
    graph = nn.build_graph(replace(options, nodes=tuple(kept)))
    net = nn.Network(graph, (5,), rng=np.random.default_rng(0), backend=select(kernels="numpy"))
    one, other = (net([ids]).mu[0] for ids in ([1, 2, 3, 4, 5], [1, 2, 9, 4, 5]))
    assert one.shape == (5, 16)
    np.testing.assert_array_equal((one != other).all(axis=1), np.arange(5) == 2)
    np.testing.assert_array_equal((one != other).any(axis=1), np.arange(5) == 2)
