"""What holds for each kind of layer that a config can name."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tagi_cli import arch, nn
from tagi_cli.backend import Backend, select
from tagi_cli.config import check
from tagi_cli.options import option

Host = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Root:
    """Only the architecture."""

    arch: Any = option(doc="Architecture.")


LINEAR = {"kind": "linear", "output_size": 5}
SPLIT = [
    {"name": "cut", "kind": "split", "sizes": [3, 3]},
    {"name": "out", "inputs": ["cut.0", "cut.1"]},
]

# Options without any size that the input tells, and the shape of a row of it.
CASES: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "linear": ({"output_size": 5}, (6,)),
    "conv2d": ({"out_channels": 4, "kernel_size": 3, "padding": "same"}, (2, 4, 5)),
    "conv_transpose2d": ({"out_channels": 3, "kernel_size": 3, "stride": 2}, (2, 4, 5)),
    "avg_pool2d": ({"kernel_size": 2}, (2, 4, 6)),
    "max_pool2d": ({"kernel_size": 2, "stride": 2}, (2, 4, 6)),
    "relu": ({}, (6,)),
    "leaky_relu": ({}, (6,)),
    "mixture_relu": ({}, (6,)),
    "tanh": ({}, (6,)),
    "sigmoid": ({}, (6,)),
    "even_exp": ({}, (6,)),
    "softplus": ({}, (6,)),
    "mixture_leaky_relu": ({}, (6,)),
    "mixture_tanh": ({}, (6,)),
    "mixture_sigmoid": ({}, (6,)),
    "softmax": ({}, (6,)),
    "closed_form_softmax": ({}, (6,)),
    "remax": ({}, (6,)),
    "batch_norm2d": ({}, (3, 2, 4)),
    "layer_norm": ({}, (3, 2, 4)),
    "rms_norm": ({}, (6,)),
    "dropout": ({"keep": 0.7}, (6,)),
    "moving_average": ({"buffer_size": 3}, (6,)),
    "exponential_moving_average": ({"momentum": 0.6}, (6,)),
    "embedding": ({"num_embeddings": 7, "embedding_dim": 3}, (4,)),
    "multihead_attention": ({"num_heads": 2, "rotary": True, "causal": True}, (3, 8)),
    "scale": ({}, (3, 2)),
    "offset": ({"per": "channel"}, (3, 2)),
    "positional_encoding": ({}, (3, 4)),
    "lstm": ({"output_size": 4, "depth": 2}, (3, 5)),
    "slstm": ({"output_size": 4}, (5,)),
    "slinear": ({"output_size": 2}, (5,)),
    "flatten": ({}, (3, 2)),
    "reshape": ({"shape": [2, -1]}, (6,)),
    "add": ({}, (6,)),
    "concat": ({}, (6,)),
    "split": ({"sizes": [3, 3]}, (6,)),
    "select": ({"indices": [4, 0, 4]}, (6,)),
    "transpose": ({"axes": [1, 0]}, (3, 2)),
    "sequential": ({"layers": [LINEAR, "relu", LINEAR]}, (6,)),
    "resnet_block": ({"main": [LINEAR, "tanh"], "shortcut": [LINEAR]}, (6,)),
    "graph": ({"nodes": [{**LINEAR, "name": "a"}, {**LINEAR, "name": "b"}]}, (6,)),
}

JUNCTIONS = ("add", "concat", "split")
kinds = pytest.mark.parametrize("kind", list(CASES))


def configured(kind: str) -> nn.Layer:
    """The layer as a config describes it; a junction among the nodes of a graph."""
    options, shape = CASES[kind]
    tree: dict[str, Any] = {"kind": "sequential", "layers": [{"kind": kind, **options}]}
    if kind in JUNCTIONS:
        last = {"name": "out", "kind": "concat" if kind == "split" else kind}
        tree = {"kind": "graph", "nodes": [SPLIT[0], {**last, "inputs": ["cut.0", "cut.1"]}]}
    made = check(Root, {"arch": arch.registry}, {"arch": tree}).arch
    units = nn.flat_size(nn.output_shape(unfitted(made), shape))
    return arch.registry.of(made).build(made, shape, units)


def check_layer(kind: str, options: dict[str, Any]) -> Any:
    """Options of one layer."""
    tree = {"kind": "sequential", "layers": [{"kind": kind, **options}]}
    return check(Root, {"arch": arch.registry}, {"arch": tree}).arch.layers[0]


def unfitted(options: Any) -> nn.Layer:
    """The layer of an architecture, whatever the task needs."""
    return (nn.build_graph if isinstance(options, nn.GraphOptions) else nn.build_sequential)(
        options
    )


def network(kind: str, backend: Backend, seed: int = 0, **options: Any) -> nn.Network:
    return nn.Network(
        configured(kind),
        CASES[kind][1],
        rng=np.random.default_rng(seed),
        backend=backend,
        parameters=nn.Parameters(backend, rows=6),
        rule="sum",
        **options,
    )


def rows(kind: str, count: int = 5) -> tuple[Host, Host | None]:
    """Means and variances of inputs; ids are certain."""
    rng = np.random.default_rng(1)
    shape = (count, *CASES[kind][1])
    if kind == "embedding":
        return rng.integers(0, 7, shape).astype(float), None
    return rng.normal(size=shape), rng.random(shape)


def step(net: nn.Network, x: Host, v: Host | None) -> dict[str, Host]:
    """Everything that a step computes."""
    mu, var = net(x, v)
    rng = np.random.default_rng(2)
    for d, sign in zip(net.innovations(), (1, -1), strict=True):
        net.backend.write(d, 0.01 * sign * rng.random(d.shape))
    net.backward()
    found = {"mu": mu, "var": var}
    if net.input_innovation:
        found |= dict(zip(("d_mu", "d_var"), net.input_innovations(), strict=True))
    net.step()
    return found | net.state_dict()


def test_every_kind_is_here() -> None:
    assert sorted(CASES) == sorted(nn.registry)


@kinds
def test_a_config_needs_no_sizes_that_the_input_tells(kind: str) -> None:
    net = network(kind, select(kernels="numpy"))
    assert net(*rows(kind)).mu.shape == (5, *net.output_shape)


@kinds
def test_a_layer_goes_by_its_own_name(kind: str) -> None:
    """In listings and messages; that of a residual block tells what is inside."""
    options, _ = CASES[kind]
    layer = nn.build_layer(check_layer(kind, options))
    assert layer.kind == kind
    assert layer.describe().startswith(f"{type(layer).__name__}(")


@kinds
def test_listed_parameters_are_those_of_the_network(kind: str) -> None:
    net = network(kind, select(kernels="numpy"))
    costs = net.layer.costs()
    assert sum(cost.parameters for cost in costs) == net.parameters.size
    assert costs[-1].output == net.output_shape
    assert all(cost.flops >= 0 for cost in costs)


@kinds
def test_double_precision_from_end_to_end(kind: str) -> None:
    """Compiled and NumPy kernels agree to rounding, and no array on the way is in single."""
    found = []
    for kernels in ("numpy", "auto"):
        backend = select(kernels=kernels, precision="float64")
        net = network(kind, backend, input_innovation=True)
        x, v = rows(kind)
        first = step(net, x, v)
        second = step(net, x, v)
        net.eval()
        found.append({**first, **{f"{k}'": a for k, a in second.items()},
                      "predicted": net(x, v).mu})  # fmt: skip
        assert {a.dtype for a in arrays(net, v)} == {np.dtype(np.float64)}
    for name, want in found[0].items():
        np.testing.assert_allclose(found[1][name], want, rtol=1e-9, atol=1e-12, err_msg=name)


@kinds
def test_without_a_compiler_the_same_comes_out(kind: str) -> None:
    """In single precision to 1e-5 of the largest element, over a step and a prediction after it."""
    found = []
    for kernels in ("numpy", "auto"):
        net = network(kind, select(kernels=kernels), input_innovation=True)
        x, v = rows(kind)
        after = step(net, x, v)
        net.eval()
        found.append({**after, **dict(zip(("mean", "variance"), net(x, v), strict=True))})
    for name, want in found[0].items():
        tolerance = 1e-5 * float(np.abs(want).max(initial=0))
        np.testing.assert_allclose(found[1][name], want, rtol=0, atol=tolerance, err_msg=name)


def arrays(net: nn.Network, v: Host | None) -> Iterator[Host]:
    """What the calls of a step work on, besides integers."""
    plan = nn.Plan(net.backend, net.parameters, 5, training=True, differentiable=True)
    plan.input = plan.value(net.input_shape, certain=v is None)
    plan.output = net.layer.trace(plan, plan.input)
    plan.output.send()
    plan.emit_backward()
    yield plan.output.mu
    for call in plan.take():
        yield from (a for a in call.arguments if isinstance(a, np.ndarray) and a.dtype.kind == "f")


@kinds
def test_without_any_variance_it_is_a_plain_function(kind: str) -> None:
    net = network(kind, select(kernels="auto", precision="float64"))
    for tensor in net.parameters.tensors.values():
        tensor.assign(tensor.mu, np.zeros(tensor.shape))
    net.eval()
    x, v = rows(kind)
    kept = net.state_dict()
    certain = net(x)
    assert not certain.var.any()
    if v is not None:
        net.load_state_dict(kept)
        uncertain = net(x, np.zeros_like(v))
        np.testing.assert_allclose(uncertain.mu, certain.mu, rtol=1e-12, atol=1e-15)
        assert not uncertain.var.any()


@kinds
def test_what_is_certain_stays_so(kind: str) -> None:
    """A parameter without variance cannot learn."""
    net = network(kind, select(kernels="auto", precision="float64"))
    for tensor in net.parameters.tensors.values():
        tensor.assign(tensor.mu, np.zeros(tensor.shape))
    before = {name: np.array(t.mu) for name, t in net.parameters.tensors.items()}
    step(net, *rows(kind))
    for name, tensor in net.parameters.tensors.items():
        np.testing.assert_array_equal(tensor.mu, before[name])
        assert not tensor.var.any()
    assert not net.parameters.floored.any()


@kinds
def test_memory_is_free_as_soon_as_nobody_has_the_network(kind: str) -> None:
    """No cycle of references: what a large network held would stay until they are collected."""
    net = network(kind, select(kernels="numpy"), input_innovation=True)
    step(net, *rows(kind))
    net.eval()
    net(*rows(kind))
    held = [weakref.ref(net.parameters), *(weakref.ref(p.plan) for p in net._passes.values())]
    gc.disable()
    try:
        del net
        assert [one() for one in held] == [None] * 3
    finally:
        gc.enable()


@kinds
@pytest.mark.parametrize("training", [False, True])
def test_a_checkpoint_is_all_that_a_prediction_needs(kind: str, training: bool) -> None:
    nets = [network(kind, select(precision="float64"), seed) for seed in (0, 1)]
    x, v = rows(kind)
    step(nets[0], x, v)
    nets[1].load_state_dict(nets[0].state_dict())
    for net in nets:
        net.training = training
    for got, want in zip(nets[1](x, v), nets[0](x, v), strict=True):
        np.testing.assert_array_equal(got, want)


ACROSS_CALLS = ("moving_average", "exponential_moving_average", "slstm")


@pytest.mark.parametrize("kind", [kind for kind in CASES if kind not in ACROSS_CALLS])
def test_in_prediction_rows_do_not_know_each_other(kind: str) -> None:
    """Any batch gives what its rows give one by one; an empty one gives nothing."""
    net = network(kind, select(kernels="auto", precision="float64"))
    x, v = rows(kind, 6)
    net(x, v)
    net.eval()
    whole = net(x, v)
    for part in (slice(0, 1), slice(1, 3), slice(0, 6), slice(3, 6)):
        some = net(x[part], None if v is None else v[part])
        for got, want in zip(some, whole, strict=True):
            np.testing.assert_allclose(got, want[part], rtol=1e-12, atol=1e-14)
    assert net(x[:0], None if v is None else v[:0]).mu.shape == (0, *net.output_shape)
