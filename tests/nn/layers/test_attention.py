"""Multi-head attention: plain attention without variances, gradients, masks, learning, errors."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from plain_attention import attention

from tagi_cli import nn
from tagi_cli.backend import select
from tagi_cli.nn.layers.attention import WEIGHTINGS

Host = np.ndarray[Any, Any]
VARIANTS: list[dict[str, Any]] = [
    {},
    {"causal": True},
    {"rotary": True, "causal": True, "theta": 100.0},
    {"num_kv_heads": 2, "rotary": True, "bias": False},
    {"num_kv_heads": 1, "output_projection": False},
]
EVERY = [{"weighting": w, **v} for w in ("remax", "softmax") for v in VARIANTS]


def network(
    layer: nn.Layer, shape: tuple[int, ...] = (5, 8), kernels: str = "auto", seed: int = 0
) -> nn.Network:
    return nn.Network(
        layer,
        shape,
        backend=select(kernels=kernels, precision="float64"),
        rng=np.random.default_rng(seed),
        rule="sum",
        input_innovation=True,
    )


def means(net: nn.Network) -> dict[str, Host]:
    return {name: np.array(t.mu) for name, t in net.parameters.tensors.items()}


def forget_variances(net: nn.Network) -> None:
    for tensor in net.parameters.tensors.values():
        tensor.assign(tensor.mu, np.zeros(tensor.shape))


def send(net: nn.Network, d_mu: Host, d_var: Host) -> tuple[Host, Host]:
    """Innovations of the input for these of the output."""
    for buffer, value in zip(net.innovations(), (d_mu, d_var), strict=True):
        buffer[...] = value
    net.backward()
    return net.input_innovations()


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("options", EVERY, ids=str)
def test_without_variances_it_is_plain_attention(options: dict[str, Any], kernels: str) -> None:
    layer = nn.MultiheadAttention(8, 4, **options)
    net = network(layer, kernels=kernels)
    forget_variances(net)
    x = np.random.default_rng(1).normal(size=(3, 5, 8))
    mu, var = net(x)
    np.testing.assert_allclose(mu, attention(layer, means(net), x), rtol=1e-12, atol=1e-14)
    assert (var == 0).all()


@pytest.mark.parametrize("options", EVERY, ids=str)
def test_innovations_of_means_are_gradients(options: dict[str, Any]) -> None:
    """Without variances the chain of covariances is the chain rule, through whole rows of weights.

    pytagi takes scores for values here, and leaves the mask and the scale out.
    """
    layer = nn.MultiheadAttention(8, 4, **options)
    net = network(layer)
    forget_variances(net)
    rng = np.random.default_rng(2)
    x, g = rng.normal(size=(2, 3, 5, 8))
    net(x)
    d_x, _ = send(net, g, np.zeros_like(g))
    at = means(net) | {"x": x}
    found = {name: np.array(t.G) for name, t in net.parameters.tensors.items()} | {"x": d_x}

    def loss(values: dict[str, Host]) -> float:
        return float((attention(layer, values, values["x"]) * g).sum())

    h = 1e-6
    for name, value in at.items():
        for _ in range(4):
            e = rng.normal(size=value.shape)
            up, down = (loss(at | {name: value + sign * h * e}) for sign in (1, -1))
            slope = (up - down) / (2 * h)
            np.testing.assert_allclose((found[name] * e).sum(), slope, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_token_knows_nothing_of_later_ones(weighting: str, kernels: str) -> None:
    """A mask of minus infinity: pytagi gives masked scores the value 0, and so a weight."""
    net = network(nn.MultiheadAttention(8, 2, causal=True, weighting=weighting), kernels=kernels)
    rng = np.random.default_rng(3)
    x, v = rng.normal(size=(2, 5, 8)), rng.random((2, 5, 8))
    before = net(x, v)
    x[:, 3:] += rng.normal(size=(2, 2, 8))
    v[:, 3:] *= 2
    after = net(x, v)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(new[:, :3], old[:, :3])
        assert (new[:, 3:] != old[:, 3:]).all()
    d = np.zeros((2, 5, 8))
    d[:, 2] = 1
    for innovation in send(net, d, -d):
        assert (innovation[:, 3:] == 0).all()
        assert (innovation[:, :3] != 0).all()


def test_without_a_mask_the_order_of_tokens_does_not_matter() -> None:
    net = network(nn.MultiheadAttention(8, 2))
    rng = np.random.default_rng(4)
    x, v = rng.normal(size=(2, 5, 8)), rng.random((2, 5, 8))
    order = [3, 0, 4, 1, 2]
    for once, again in zip(net(x, v), net(x[:, order], v[:, order]), strict=True):
        np.testing.assert_allclose(again, once[:, order], rtol=1e-12)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_shared_keys_and_values_are_copies(weighting: str) -> None:
    """Four heads that share two are four with the same keys and values; innovations add up."""
    E = 8
    shared = network(nn.MultiheadAttention(E, 4, 2, weighting=weighting, causal=True))
    copied = network(nn.MultiheadAttention(E, 4, weighting=weighting, causal=True))
    rows = np.r_[0:8, 8:10, 8:10, 10:12, 10:12, 12:14, 12:14, 14:16, 14:16]
    for name, tensor in copied.parameters.tensors.items():
        other = shared.parameters.tensors[name]
        index = rows if name in ("weight", "bias") else np.arange(len(other.mu))
        tensor.assign(np.array(other.mu)[index], np.array(other.var)[index])
    rng = np.random.default_rng(5)
    x, v, d_mu = rng.normal(size=(2, 5, E)), rng.random((2, 5, E)), rng.normal(size=(2, 5, E))
    for got, want in zip(shared(x, v), copied(x, v), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)
    for got, want in zip(
        send(shared, d_mu, -(d_mu**2)), send(copied, d_mu, -(d_mu**2)), strict=True
    ):
        np.testing.assert_allclose(got, want, rtol=1e-10)
    for part in ("G", "L"):
        got = getattr(shared.parameters.tensors["bias"], part)
        parts = getattr(copied.parameters.tensors["bias"], part)
        want = np.zeros_like(got)
        np.add.at(want, rows, parts)
        np.testing.assert_allclose(got, want, rtol=1e-10)


def test_a_flat_row_is_cut_into_tokens() -> None:
    rng = np.random.default_rng(6)
    x, d_mu = rng.normal(size=(3, 5, 8)), rng.normal(size=(3, 5, 8))
    nets = [network(nn.MultiheadAttention(8, 2), shape) for shape in ((5, 8), (40,))]
    shaped, flat = (net(x.reshape(3, *net.input_shape)) for net in nets)
    assert flat.mu.shape == (3, 5, 8)
    for a, b in zip(shaped, flat, strict=True):
        np.testing.assert_array_equal(a, b)
    sent = [send(net, d_mu, -abs(d_mu)) for net in nets]
    np.testing.assert_array_equal(sent[0][0].ravel(), sent[1][0].ravel())


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_batch_is_its_rows_one_by_one(weighting: str) -> None:
    net = network(nn.MultiheadAttention(8, 2, causal=True, rotary=True, weighting=weighting))
    rng = np.random.default_rng(7)
    x, v, d_mu = rng.normal(size=(4, 5, 8)), rng.random((4, 5, 8)), rng.normal(size=(4, 5, 8))
    mu, var = net(x, v)
    sent = send(net, d_mu, -(d_mu**2))
    G, L = np.array(net.parameters.G), np.array(net.parameters.L)
    total = np.zeros((2, G.size))
    for b in range(4):
        one = net(x[b : b + 1], v[b : b + 1])
        np.testing.assert_allclose(one, (mu[b : b + 1], var[b : b + 1]), rtol=1e-12)
        alone = send(net, d_mu[b : b + 1], -(d_mu[b : b + 1] ** 2))
        np.testing.assert_allclose(alone, [part[b : b + 1] for part in sent], rtol=1e-11)
        total += net.parameters.G, net.parameters.L
    np.testing.assert_allclose(total, (G, L), rtol=1e-10)
    assert net(x[:0], v[:0]).mu.shape == (0, 5, 8)
    net.backward()
    assert (net.parameters.G == 0).all()


def test_what_is_missing_teaches_nothing() -> None:
    net = network(nn.MultiheadAttention(8, 2))
    net(np.ones((2, 5, 8)))
    nn.OutputUpdater(net).update(np.full((2, 5, 8), np.nan), 0.1)
    net.backward()
    assert (net.parameters.G == 0).all()
    assert (net.parameters.L == 0).all()


def recall(rows: int, rng: np.random.Generator, keys: int = 4) -> tuple[Host, Host]:
    """Tokens (key, value) in random order, then a key alone: the answer is the value beside it."""
    x, y = np.zeros((rows, keys + 1, 2 * keys), np.float32), np.empty((rows, 1), np.float32)
    for row, answer in zip(x, y, strict=True):
        values, order, asked = rng.normal(size=keys), rng.permutation(keys), rng.integers(keys)
        row[np.arange(keys), order] = 1
        row[:keys, keys] = values
        row[keys, [order[asked], keys + 1]] = 1
        answer[0] = values[asked]
    return x, y


def trained(layer: nn.Layer, x: Host, y: Host, epochs: int) -> nn.Network:
    net = nn.Network(layer, x.shape[1:], rng=np.random.default_rng(0))
    updater = nn.OutputUpdater(net)
    rng = np.random.default_rng(0)
    for _ in range(epochs):
        for rows in rng.permutation(len(x)).reshape(-1, 10):
            net(x[rows])
            updater.update(y[rows], np.float32(0.25))
            net.backward()
            net.step()
    return net


def test_it_recalls_what_stands_beside_a_key() -> None:
    """Mean squared error of values with variance 1; without attention little is learnt."""
    rng = np.random.default_rng(8)
    (x, y), (x_test, y_test) = recall(2000, rng), recall(300, rng)

    def error(layer: nn.Layer) -> float:
        net = trained(nn.Sequential(layer, nn.Linear(0, 1)), x, y, 10)
        return float(np.mean((net(x_test).mu - y_test) ** 2))

    for weighting in WEIGHTINGS:
        assert error(nn.MultiheadAttention(8, 1, causal=True, weighting=weighting)) < 0.01
    assert error(nn.Sequential(nn.Linear(0, 40), nn.MixtureReLU())) > 0.3


def test_it_learns_on_ids_and_positions() -> None:
    """The id two tokens before the end, behind a table of vectors and an encoding of positions."""
    rng = np.random.default_rng(9)
    x = rng.integers(0, 3, (1000, 6)).astype(np.float32)
    y = x[:, 3:4] - 1
    layer = nn.Sequential(
        nn.Embedding(3, 8),
        nn.PositionalEncoding(),
        nn.MultiheadAttention(0, 2, 1, causal=True, rotary=True),
        nn.LayerNorm((8,)),
        nn.Linear(0, 1),
    )
    net = trained(layer, x, y, 5)
    assert net.layer[2].embed_dim == 8
    assert np.mean((net(x).mu - y) ** 2) < 0.1
    assert all((np.array(t.var) > 0).all() for t in net.parameters.tensors.values())


def test_parameters_and_costs() -> None:
    layer = nn.MultiheadAttention(8, 4, 2, causal=True)
    net = network(nn.Sequential(layer), (5, 8))
    shapes = {name: t.shape for name, t in net.parameters.tensors.items()}
    prefix = "multihead_attention_0"
    assert shapes == {
        f"{prefix}.weight": (16, 8), f"{prefix}.bias": (16,),
        f"{prefix}.output.weight": (8, 8), f"{prefix}.output.bias": (8,),
    }  # fmt: skip
    (cost,) = net.layer.costs()
    assert cost.parameters == sum(t.size for t in net.parameters.tensors.values())
    assert cost.output == (5, 8)
    assert cost.name == "MultiheadAttention(8,4,2)"
    assert cost.flops == 14 * 5 * (16 * 8 + 8 * 8) + 34 * 15 * 8


def test_each_projection_has_a_prior_of_its_own() -> None:
    layer = nn.MultiheadAttention(64, 4, 1, gain_weight=0.5, gain_bias=2.0, gain_mean=3.0)
    network(layer, (2, 64))
    assert layer.weight is not None
    assert layer.bias is not None
    spread = 2 / (64 + np.r_[np.full(64, 64), np.full(32, 16)])
    np.testing.assert_allclose(layer.weight.var, 0.25 * spread[:, None] * np.ones(64))
    np.testing.assert_allclose(layer.bias.var, 4 * spread)
    for rows, var in ((slice(0, 64), 2 / 128), (slice(64, 96), 2 / 80)):
        np.testing.assert_allclose(np.std(layer.weight.mu[rows]), 3 * np.sqrt(var), rtol=0.1)


CHANGES: dict[str, Any] = {
    "num_heads": 2, "num_kv_heads": 1, "bias": False, "gain_weight": 0.5, "gain_bias": 0.5,
    "init_method": "He", "causal": True, "rotary": True, "output_projection": False,
    "weighting": "softmax", "gain_mean": 0.5, "init": nn.InitOptions(gain=0.5),
}  # fmt: skip


@pytest.mark.parametrize("option", [*CHANGES, "theta", "embed_dim"])
def test_no_option_is_without_effect(option: str) -> None:
    assert {*CHANGES, "theta", "embed_dim"} == {
        *inspect.signature(nn.MultiheadAttention).parameters
    }
    options: dict[str, Any] = {"embed_dim": 8, "num_heads": 4, "num_kv_heads": 2}
    changed = dict(options)
    if option == "theta":
        options = {"embed_dim": 8, "num_heads": 1, "rotary": True}
        changed = options | {"theta": 2.0}
    elif option == "embed_dim":
        changed["embed_dim"] = 40
    else:
        changed[option] = CHANGES[option]
    x = np.random.default_rng(10).normal(size=(1, 40))
    before, after = (network(nn.MultiheadAttention(**o), (40,))(x) for o in (options, changed))
    assert any((a.ravel() != b.ravel()).any() for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((8, 3), r"MultiheadAttention\(8,3\): 8 units cannot be shared among 3 heads"),
        ((8, 4, 3), r"\(8,4,3\): 4 heads cannot share 3 heads of keys and values"),
        ((8, 0), r"\(8,0\): sizes must be positive"),
        ((8, 4, 0), r"\(8,4,0\): sizes must be positive"),
        ((-8, 4), r"\(-8,4\): sizes must be positive"),
    ],
)
def test_sizes_that_do_not_divide_are_told(arguments: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nn.MultiheadAttention(*arguments)


def test_wrong_options_are_told() -> None:
    with pytest.raises(ValueError, match="weighting 'hardmax': allowed are remax, softmax"):
        nn.MultiheadAttention(8, 4, weighting="hardmax")
    with pytest.raises(ValueError, match="theta is 1, it must be above 1"):
        nn.MultiheadAttention(8, 4, theta=1.0)
    with pytest.raises(ValueError, match="rotary turns pairs of units, a head has 1"):
        nn.MultiheadAttention(8, 8, rotary=True)


@pytest.mark.parametrize(
    ("embed_dim", "shape", "message"),
    [
        (
            8,
            (5, 6),
            r"MultiheadAttention\(8,2\) takes tokens of 8 units, \(T, 8\), but gets \(5, 6\)",
        ),
        (8, (41,), r"takes tokens of 8 units, \(T, 8\), but gets \(41,\)"),
        (8, (2, 2, 8), r"but gets \(2, 2, 8\)"),
        (0, (40,), r"takes rows \(tokens, units\) but gets \(40,\)"),
        (0, (5, 7), r"7 units cannot be shared among 2 heads"),
    ],
)
def test_wrong_inputs_are_told(embed_dim: int, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(nn.ShapeError, match="layer 0: .*" + message + r".* (from|after) the input"):
        network(nn.Sequential(nn.MultiheadAttention(embed_dim, 2)), shape)
