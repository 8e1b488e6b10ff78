"""The figures that `tagi show` prints of a network."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tagi_cli import data
from tagi_cli.backend import select
from tagi_cli.errors import UserError
from tagi_cli.experiment.settings import Settings
from tagi_cli.experiment.summary import byte_words, summarise

Make = Callable[..., Settings]

LAYERS = [
    {"kind": "linear", "output_size": 8},
    "relu",
    {"kind": "resnet_block", "main": [{"kind": "linear", "output_size": 8}, "relu"]},
    {"kind": "reshape", "shape": [2, 4]},
    {"kind": "multihead_attention", "num_heads": 2},
    {"kind": "linear", "output_size": 1},
]


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_each_layer_has_its_share_of_the_memory(make_settings: Make, precision: str) -> None:
    made = make_settings(**{"arch": {"kind": "sequential", "layers": LAYERS}})
    encoder = data.load(made.data).encoder
    found = summarise(made, encoder, select(kernels="numpy", precision=precision))
    shares = dict(zip([layer.name for layer in found.layers], found.layer_bytes, strict=True))
    rows, size = 16, 4 if precision == "float32" else 8
    assert list(shares) == [
        "Linear(3,8)", "ReLU()", "Linear(8,8)", "Add()", "Reshape(2,4)", "MultiheadAttention(4,2)",
        "Linear(8,1)",
    ]  # fmt: skip
    # Four numbers for each parameter, two for each output and two for each innovation of an input.
    assert shares["Linear(3,8)"] == size * (4 * 32 + rows * 2 * 8)
    assert shares["Linear(8,1)"] == size * (4 * 9 + rows * (2 * 1 + 2 * 8))
    assert shares["Reshape(2,4)"] == 0
    # Scores of attention grow with the square of the tokens: four numbers per head and pair.
    assert shares["MultiheadAttention(4,2)"] > size * (4 * 52 + 4 * rows * 2 * 2 * 2)
    # What belongs to no layer are the input, innovations of the output, and scratch.
    assert sum(found.layer_bytes) < (found.parameter_bytes + found.activation_bytes) // 2
    assert [row["memory"] for row in found.rows()] == [byte_words(n) for n in found.layer_bytes]


def test_a_network_without_weights(make_settings: Make) -> None:
    layers = ["relu", {"kind": "select", "indices": [0]}]
    made = make_settings(**{"arch": {"kind": "sequential", "layers": layers}})
    with pytest.raises(UserError, match="arch: the output depends on no weight"):
        summarise(made, data.load(made.data).encoder, select(kernels="numpy"))


def test_nodes_of_graphs_are_shown_with_their_inputs(make_settings: Make) -> None:
    nodes = [
        {"name": "cut", "kind": "split", "sizes": [1, 2]},
        {"name": "left", "kind": "linear", "output_size": 4, "inputs": ["cut.0"]},
        {"name": "deep", "kind": "resnet_block", "main": [{"kind": "linear", "output_size": 4}]},
        {"name": "right", "kind": "linear", "output_size": 4, "inputs": ["cut.1"]},
        {"name": "sum", "kind": "add", "inputs": ["deep", "right"]},
        {"name": "out", "kind": "linear", "output_size": 1},
    ]
    made = make_settings(**{"arch": {"kind": "graph", "nodes": nodes}})
    found = summarise(made, data.load(made.data).encoder, select(kernels="numpy"))
    assert [row["node"] for row in found.rows()] == [
        "cut <- input", "left <- cut.0", "deep.main <- left", "deep.add <- main, left",
        "right <- cut.1", "sum <- deep, right", "out <- sum",
    ]  # fmt: skip
    plain = make_settings(**{"arch": {"kind": "mlp", "width": 3}})
    rows = summarise(plain, data.load(plain.data).encoder, select(kernels="numpy")).rows()
    assert "node" not in rows[0]


def test_residual_blocks_of_a_chain_are_shown_by_their_branches(make_settings: Make) -> None:
    made = make_settings(**{"arch": {"kind": "sequential", "layers": LAYERS}})
    found = summarise(made, data.load(made.data).encoder, select(kernels="numpy"))
    assert [row["node"] for row in found.rows()] == [
        "", "", "resnet_block_2.main <- input", "resnet_block_2.main",
        "resnet_block_2.add <- main, input", "", "", "",
    ]  # fmt: skip
