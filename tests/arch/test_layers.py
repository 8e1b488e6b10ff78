"""Layers as configs describe them: mistakes are told with their place, all at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tagi_cli import arch
from tagi_cli.config import check
from tagi_cli.errors import UserError, UserErrors
from tagi_cli.options import option


@dataclass(frozen=True)
class Root:
    """Only the architecture."""

    arch: Any = option(doc="Architecture.")


IMAGE = {"kind": "reshape", "shape": [1, 4, 4]}
OUT = {"kind": "linear", "output_size": 1}
CONV = {"kind": "conv2d", "out_channels": 8, "kernel_size": 3}


def checked(*layers: Any, **options: Any) -> Any:
    tree = {"kind": "sequential", "layers": list(layers), **options}
    return check(Root, {"arch": arch.registry}, {"arch": tree}).arch


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            {**CONV, "stride": 0},
            "arch.layers.1.stride: found 0. Allowed: whole number or list of 2",
        ),
        (
            {**CONV, "stride": -1},
            "arch.layers.1.stride: found -1. Allowed: whole number or list of",
        ),
        (
            {"kind": "avg_pool2d", "kernel_size": 2, "stride": 0},
            "arch.layers.1: AvgPool2d(2,0): str",
        ),
        (
            {"linear": {"output_size": 1}},
            "arch.layers.1.kind: must be set. Did you mean {kind: line",
        ),
        (
            {"kind": "dropout", "keep": 0.5, "p": 0.5},
            "of layer kind 'dropout'. Allowed: keep, mode",
        ),
        ({**CONV, "groups": 3}, "arch.layers.1: Conv2d(0,8): groups 3: must divide 8 channels"),
        ({**CONV, "kernel_size": [3, 3, 3]}, "kernel_size: found [3, 3, 3]. It has 3 items."),
        ({**CONV, "padding": "sam"}, "arch.layers.1.padding: found 'sam'. Did you mean 'same'?"),
        ({**CONV, "padding": [1, 2]}, "arch.layers.1.padding: found [1, 2]. Allowed: whole number"),
        (
            {"kind": "avg_pool2d", "kernel_size": 2, "padding": 3},
            "arch.layers.1: AvgPool2d(2,-1): padding 3: must be smaller than the kernel",
        ),
        ({"kind": "transpose", "axes": [1, 1]}, "arch.layers.1: Transpose(1,1): give each axis"),
        ({"kind": "reshape", "shape": [0]}, "arch.layers.1: Reshape(0): sizes must be positive"),
        (
            {"kind": "embedding", "num_embeddings": 5, "embedding_dim": 2, "padding_idx": 7},
            "arch.layers.1: Embedding: padding_idx is 7, ids are 0 to 4",
        ),
        ({"kind": "dropout", "keep": 1.5}, "arch.layers.1.keep: found 1.5. Allowed: number, at le"),
        ({"kind": "liner", "output_size": 1}, "arch.layers.1: unknown kind 'liner'. Did you mean"),
        ({"kind": "leaky_relu", "slop": 0.1}, "arch.layers.1.slop: unknown option of layer kind"),
        ({"kind": "linear"}, "arch.layers.1.output_size: must be set"),
        (
            {**OUT, "init": {"slope": 0.2}},
            "arch.layers.1.init: slope 0.2 means something with gain: leaky_relu only",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(layer: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as raised:
        checked(IMAGE, layer, OUT)
    assert message in str(raised.value)


def test_all_mistakes_are_told_at_once_however_deep() -> None:
    inner = {"kind": "graph", "nodes": [{"name": "a", "kind": "transpose", "axes": [0, 0]}]}
    with pytest.raises(UserErrors) as raised:
        checked(
            {**IMAGE, "shape": [1, 0, 4]},
            {**CONV, "stride": 0},
            {"kind": "resnet_block", "main": [inner]},
            {"kind": "resnet_block", "main": []},
            OUT,
            init={"slope": 0.3},
        )
    assert [fault.partition(": ")[0] for fault in raised.value.faults] == [
        "arch.layers.0",
        "arch.layers.1.stride",
        "arch.layers.2.main.0.nodes.0",
        "arch.layers.3.main",
        "arch.init",
    ]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([OUT, {**OUT, "input_size": 9}], "layer 1: Linear(9,1) takes 9 units but gets 1 (1,) from "
         "layer 0, Linear(16,1)"),
        ([CONV, OUT], "layer 0: Conv2d(0,8,3) takes images, as reshape makes them, or rows of "
         "units with in_height and in_width given, but gets 16 units from the input (16,)"),
        ([IMAGE, {**CONV, "kernel_size": 7}, OUT], "layer 1: Conv2d(1,8,7) needs 7 x 7 pixels but "
         "its padded image has 4 x 4, and gets (1, 4, 4) from layer 0, Reshape(1,4,4)"),
        ([{"kind": "layer_norm", "normalized_shape": 5}, OUT], "layer 0: LayerNorm([5]) takes 5 "
         "units, or rows of them, but gets 16 (16,) from the input (16,)"),
        ([{"kind": "resnet_block", "main": [{**OUT, "output_size": 8}]}, OUT], "layer 0: "
         "ResNetBlock(Linear(16,8)) adds its main branch, (8,), and without a shortcut its input, "
         "(16,), which must have one shape; it comes after the input (16,)"),
        ([{**OUT, "output_size": 8}], "the last layer gives 8 units, the task needs 1"),
    ],
)  # fmt: skip
def test_layers_that_do_not_fit_name_both_and_their_sizes(layers: list[Any], message: str) -> None:
    options = checked(*layers)
    with pytest.raises(UserError) as raised:
        arch.registry.of(options).build(options, (16,), 1)
    assert f"arch.layers: {message}" in str(raised.value)
