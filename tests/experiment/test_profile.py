"""The profile of a training step: labels, work and sums; no time is asserted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tagi_cli import data, nn
from tagi_cli.backend import select
from tagi_cli.backend.work import work
from tagi_cli.experiment.profile import measure_ceiling, named, profile
from tagi_cli.experiment.settings import Settings

Make = Callable[..., Settings]


def traced(layer: nn.Layer, shape: tuple[int, ...], batch: int = 3) -> nn.Plan:
    """A plan with forward and backward emitted, its calls not taken yet; the input is certain."""
    backend = select(kernels="numpy")
    parameters = nn.Parameters(backend)
    layer.build(shape, parameters, np.random.default_rng(0))
    parameters.allocate()
    plan = nn.Plan(backend, parameters, batch, training=True, differentiable=True)
    plan.input = plan.value(shape, certain=True, wanted=False)
    plan.output = layer.trace(plan, plan.input)
    plan.output.send()
    plan.emit_backward()
    return plan


def branching() -> nn.Sequential:
    """A chain with a chain, a residual block and a graph inside."""
    inner = nn.Sequential(nn.Linear(0, 5), nn.ReLU())
    graph = nn.Graph(
        [
            nn.Node("left", nn.Linear(0, 2), ("input",)),
            nn.Node("right", nn.Linear(0, 2), ("input",)),
            nn.Node("sum", nn.Add(), ("left", "right")),
        ]
    )
    return nn.Sequential(inner, nn.ResNetBlock(nn.Linear(0, 5)), graph)


def test_calls_carry_the_names_of_their_parameters_layers() -> None:
    plan = traced(branching(), (4,))
    for call in plan.take():
        if call.kernel.endswith("_innovation"):
            (name,) = (
                n for n, tensor in plan.parameters.tensors.items() if tensor.G is call.arguments[0]
            )
            assert name == f"{call.layer}.weight"
        assert call.layer


def test_labels_are_the_names_of_layers_in_order() -> None:
    network = branching()
    labels = [call.layer for call in traced(network, (4,)).take()]
    names = [name for name, _ in named(network)]
    assert [name for name in names if name in labels] == list(dict.fromkeys(labels))
    assert names == [
        "sequential_0",
        "sequential_0.linear_0",
        "sequential_0.relu_1",
        "resnet_block_1",
        "resnet_block_1.main",
        "resnet_block_1.add",
        "graph_2",
        "graph_2.left",
        "graph_2.right",
        "graph_2.sum",
    ]
    assert set(names) - set(labels) == {"sequential_0", "resnet_block_1", "graph_2"}


def test_only_innovation_calls_write_accumulators() -> None:
    image = nn.Sequential(
        nn.Conv2d(0, 2, 3),
        nn.BatchNorm2d(0),
        nn.ConvTranspose2d(0, 2, 2),
        nn.Scale(),
        nn.Linear(0, 3),
    )
    plan = traced(image, (1, 5, 5))
    G = plan.parameters.G
    calls = plan.take()
    writers = {
        c.kernel
        for c in calls
        for a in c.arguments
        if isinstance(a, np.ndarray) and a.ndim and np.may_share_memory(a, G)
    }
    assert writers == {c.kernel for c in calls if c.kernel.endswith("_innovation")}
    assert len(writers) == 5


def test_work_counts_the_products_of_a_step() -> None:
    """Two products of a certain input, three of an uncertain one, two back, two to accumulate."""
    B, I, H, O = 3, 4, 5, 2
    plan = traced(nn.Sequential(nn.Linear(I, H), nn.Linear(H, O)), (I,), B)
    calls = plan.take()
    found = {(c.layer, c.kernel): work(c, plan.arena) for c in calls}
    first, second = 2 * B * I * H, 2 * B * H * O
    assert {key: one.flops for key, one in found.items()} == {
        ("linear_0", "linear_forward"): 2 * first,
        ("linear_0", "linear_innovation"): 2 * first,
        ("linear_1", "linear_forward"): 3 * second,
        ("linear_1", "linear_backward"): 2 * second,
        ("linear_1", "linear_innovation"): 2 * second,
    }
    # Moments of the output and of the weights and biases, and the certain input.
    moments = 2 * (B * H + H * I + H) + B * I
    assert found["linear_0", "linear_forward"].bytes == 4 * moments


def test_convolution_counts_like_the_dense_products_of_its_placements() -> None:
    network = nn.Sequential(nn.Conv2d(0, 4, 1), nn.Conv2d(0, 6, (2, 3), groups=2))
    plan = traced(network, (1, 5, 7), 2)
    placements, taps = 4 * 5, 2 * 2 * 3
    product = 2 * 2 * placements * taps * 6
    found = {c.kernel: work(c, plan.arena) for c in plan.take() if c.layer == "conv2d_1"}
    assert [one.flops for one in found.values()] == [3 * product, 2 * product, 2 * product]


def test_a_recurrent_layer_counts_all_its_steps() -> None:
    T, B, I, H = 4, 2, 3, 5
    plan = traced(nn.Sequential(nn.LSTM(1, I), nn.LSTM(0, H)), (T, 1), B)
    found = {"lstm_0": 0, "lstm_1": 0}
    for call in plan.take():
        found[call.layer] += work(call, plan.arena).flops or 0
    # 18 products forward, 10 backward, 8 to accumulate; the input takes no innovations.
    assert found["lstm_1"] == B * T * 2 * H * 36 * (I + H)
    assert found["lstm_0"] == B * T * 2 * I * (26 * (1 + I) + 10 * I)


@pytest.mark.parametrize("causal", [False, True])
def test_attention_counts_as_its_layer_does(causal: bool) -> None:
    T, E = 6, 8
    attention = nn.MultiheadAttention(E, 2, causal=causal)
    plan = traced(nn.Sequential(nn.Linear(1, T * E), nn.Reshape((T, E)), attention), (1,))
    calls = [call for call in plan.take() if call.layer.startswith("multihead_attention_2")]
    counted = sum(work(call, plan.arena).flops or 0 for call in calls)
    (cost,) = attention.costs()
    assert counted == 3 * cost.flops


def test_rows_that_are_gathered_count_and_not_their_table(make_settings: Make) -> None:
    found = profile(make_settings(), data.load(make_settings().data), seconds=0)
    rest = found.others[1]
    # 16 rows of 3 inputs and a target, read and written; the rest is smaller than the table.
    assert 2 * 4 * 16 * 4 <= rest.least.bytes < 2 * 4 * 150 * 4


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
def test_sums_are_consistent(make_settings: Make, kernels: str) -> None:
    settings = make_settings(kernels=kernels)
    found = profile(settings, data.load(settings.data), seconds=0)
    assert [line.name for line in found.layers] == ["linear_0", "mixture_relu_1", "linear_2"]
    assert [line.name for line in found.others] == ["update", "rest"]
    assert all(line.total > 0 for line in found.lines)
    assert found.accounted == pytest.approx(sum(sum(x.seconds.values()) for x in found.lines))
    first, activation, last = found.layers
    assert set(first.seconds) == {"forward", "accumulation"}  # nothing is asked of the input
    assert set(activation.seconds) == {"forward", "backward"}
    assert set(last.seconds) == {"forward", "backward", "accumulation"}
    assert first.least.flops == 4 * 2 * 16 * 3 * 8
    assert activation.least.flops is None
    assert (found.batch, found.members) == (16, 2)
    assert found.whole > 0
    for line in found.lines:
        share = found.share_of_ceiling(line)
        assert share is not None
        assert share == pytest.approx(found.ceiling.seconds(line.least) / line.total)


def test_a_layer_that_computes_and_holds_others_has_a_line(make_settings: Make) -> None:
    layers = [
        {"kind": "reshape", "shape": [3, 1]},
        {"kind": "multihead_attention", "num_heads": 1},
        {"kind": "sequential", "layers": [{"kind": "linear", "output_size": 1}]},
    ]
    settings = make_settings(
        **{"arch": {"kind": "sequential", "layers": layers}, "kernels": "numpy"}
    )
    found = profile(settings, data.load(settings.data), seconds=0)
    assert [line.name for line in found.layers] == [
        "reshape_0",
        "multihead_attention_1",
        "multihead_attention_1.output",
        "sequential_2.linear_0",
    ]
    assert found.others[1].least.flops is None


def test_a_batch_is_no_larger_than_the_training_part(make_settings: Make) -> None:
    settings = make_settings(**{"data.batch_size": None, "data.limit": 12, "kernels": "numpy"})
    dataset = data.load(settings.data)
    assert profile(settings, dataset, seconds=0).batch == len(dataset.train) == 9


def test_ceilings_are_measured() -> None:
    backend = select(kernels="numpy")
    ceiling = measure_ceiling(backend, 1 << 16)
    assert ceiling.flops > 0
    assert ceiling.bandwidth > 0
    assert (1 << 16) - 24 <= ceiling.working_set <= 1 << 16
