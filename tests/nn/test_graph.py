"""Graphs of layers: wiring, sums of innovations at fan-outs, and their use in residual blocks."""

from __future__ import annotations

import numpy as np
import pytest
from monte_carlo import moments_of

from tagi_cli import nn
from tagi_cli.backend import Backend, select
from tagi_cli.nn.graph import faults


@pytest.fixture(params=["numpy", "auto"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return select(kernels=request.param, precision="float64")


def network(layer: nn.Layer, shape: tuple[int, ...], backend: Backend) -> nn.Network:
    rng = np.random.default_rng(0)
    return nn.Network(layer, shape, backend=backend, rng=rng, rule="sum", input_innovation=True)


def test_a_chain_as_graph_is_the_chain(backend: Backend) -> None:
    rng = np.random.default_rng(1)
    x, var_x, y = rng.normal(size=(4, 3)), rng.random((4, 3)), rng.normal(size=4)
    layers = [lambda: nn.Linear(0, 5), nn.MixtureReLU, lambda: nn.Linear(0, 1)]
    nodes = [nn.Node(f"n{i}", make()) for i, make in enumerate(layers)]
    nets = [
        network(layer, (3,), backend)
        for layer in (nn.Sequential(*(make() for make in layers)), nn.Graph(nodes))
    ]
    found = []
    for net in nets:
        out = net(x, var_x)
        nn.OutputUpdater(net).update(y, 0.1)
        net.backward()
        found.append([*out, *net.input_innovations(), net.parameters.G, net.parameters.L])
    for got, want in zip(*found, strict=True):
        np.testing.assert_array_equal(got, want)


def test_the_innovations_of_all_uses_add_up(backend: Backend) -> None:
    """Against the sum of what each branch sends back when it is alone."""
    rng = np.random.default_rng(2)
    x, var_x = rng.normal(size=(2, 3)), rng.random((2, 3))
    d_mu, d_var = rng.normal(size=(2, 5)), -rng.random((2, 5))
    left, right = nn.Linear(3, 2), nn.Linear(3, 3)
    graph = nn.Graph(
        [
            nn.Node("left", left),
            nn.Node("right", right, ("input",)),
            nn.Node("join", nn.Concat(), ("left", "right")),
        ]
    )
    net = network(graph, (3,), backend)
    net(x, var_x)
    for buffer, value in zip(net.innovations(), (d_mu, d_var), strict=True):
        buffer[...] = value
    net.backward()
    got = net.input_innovations()
    for power, part, d in ((1, 0, d_mu), (2, 1, d_var)):
        want = d[:, :2] @ left.weight.mu**power + d[:, 2:] @ right.weight.mu**power
        np.testing.assert_allclose(got[part], want, rtol=1e-13)


def test_parts_go_their_own_ways_and_an_unused_part_sends_nothing(backend: Backend) -> None:
    """Units 0-1 are scaled by a known factor, 2-4 are dropped, 5 passes."""
    rng = np.random.default_rng(3)
    x, var_x = rng.normal(size=(3, 6)), rng.random((3, 6))
    scale = nn.Scale(mean=-2.0, sd=0.0)
    graph = nn.Graph(
        [
            nn.Node("cut", nn.Split((2, 3, 1))),
            nn.Node("twice", scale, ("cut.0",)),
            nn.Node("join", nn.Concat(), ("cut.2", "twice")),
        ]
    )
    net = network(graph, (6,), backend)
    mu, var = net(x, var_x)
    np.testing.assert_allclose(mu, np.stack([x[:, 5], -2 * x[:, 0], -2 * x[:, 1]], axis=1))
    np.testing.assert_allclose(var, np.stack([var_x[:, 5], *(4 * var_x[:, :2]).T], axis=1))
    d_mu, d_var = rng.normal(size=(3, 3)), -rng.random((3, 3))
    for buffer, value in zip(net.innovations(), (d_mu, d_var), strict=True):
        buffer[...] = value
    net.backward()
    got_mu, got_var = net.input_innovations()
    zero = np.zeros((3, 3))
    np.testing.assert_allclose(got_mu, np.hstack([-2 * d_mu[:, 1:], zero, d_mu[:, :1]]))
    np.testing.assert_allclose(got_var, np.hstack([4 * d_var[:, 1:], zero, d_var[:, :1]]))


def test_a_layer_used_twice_collects_the_innovations_of_both_uses(backend: Backend) -> None:
    """Siamese rows: the batch split in two halves by columns equals one batch of twice the rows."""
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(3, 4)), rng.normal(size=(3, 2))
    shared = nn.Linear(2, 1)
    graph = nn.Graph(
        [
            nn.Node("cut", nn.Split((2, 2))),
            nn.Node("first", shared, ("cut.0",)),
            nn.Node("second", shared, ("cut.1",)),
            nn.Node("join", nn.Concat(), ("first", "second")),
        ]
    )
    plain = nn.Linear(2, 1)
    nets = [network(graph, (4,), backend), network(plain, (2,), backend)]
    plain.weight.assign(shared.weight.mu, shared.weight.var)
    plain.bias.assign(shared.bias.mu, shared.bias.var)
    for net, rows, target in zip(
        nets, (x, np.vstack([x[:, :2], x[:, 2:]])), (y, y.T.ravel()), strict=True
    ):
        net(rows)
        nn.OutputUpdater(net).update(target, 0.3)
        net.backward()
    np.testing.assert_allclose(nets[0].parameters.G, nets[1].parameters.G, rtol=1e-12)
    np.testing.assert_allclose(nets[0].parameters.L, nets[1].parameters.L, rtol=1e-12)


@pytest.mark.parametrize("certain", [False, True])
def test_an_identity_shortcut_adds_the_input(backend: Backend, certain: bool) -> None:
    rng = np.random.default_rng(5)
    x, var_x = rng.normal(size=(4, 3)), None if certain else rng.random((4, 3))
    main = nn.Linear(3, 3)
    net = network(nn.ResNetBlock(main), (3,), backend)
    mu, var = net(x, var_x)
    alone = network(nn.Linear(3, 3), (3,), backend)
    alone.layer.weight.assign(main.weight.mu, main.weight.var)
    alone.layer.bias.assign(main.bias.mu, main.bias.var)
    mu_main, var_main = alone(x, var_x)
    np.testing.assert_allclose(mu, mu_main + x, rtol=1e-13)
    np.testing.assert_allclose(var, var_main + (0 if certain else var_x), rtol=1e-13)
    for one in (net, alone):
        for buffer in one.innovations():
            buffer[...] = np.arange(12).reshape(4, 3) - 5
        one.backward()
    for got, want, own in zip(
        net.input_innovations(), alone.input_innovations(), net.innovations(), strict=True
    ):
        np.testing.assert_allclose(got, want + own, rtol=1e-13)


def test_what_the_branches_of_a_residual_block_share_is_left_out(backend: Backend) -> None:
    """The variance lacks `2 w_ii var_x`; docs/theory/structure.md tells how much that is."""
    rng = np.random.default_rng(5)
    main = nn.Linear(3, 3)
    net = network(nn.ResNetBlock(main), (3,), backend)
    x, var_x = rng.normal(size=3), rng.random(3)
    mu, var = net(x, var_x)
    count = 100_000
    a = x + np.sqrt(var_x) * rng.standard_normal((count, 3))
    w = main.weight.mu + np.sqrt(main.weight.var) * rng.standard_normal((count, 3, 3))
    b = main.bias.mu + np.sqrt(main.bias.var) * rng.standard_normal((count, 3))
    mean, mean_error, spread, spread_error = moments_of(np.einsum("noi,ni->no", w, a) + b + a)
    assert (np.abs(mean - mu[0]) < 6 * mean_error).all()
    shared = 2 * np.diag(main.weight.mu) * var_x
    assert (np.abs(spread - var[0] - shared) < 6 * spread_error).all()

    for n, documented in ((8, 0.14), (50, 0.06), (200, 0.03)):
        errors = []
        for _ in range(40 if n == 8 else 10):
            main = nn.Linear(n, n)
            main.draw(rng)
            block = network(nn.ResNetBlock(main), (n,), backend)
            _, var = block(rng.normal(size=(1, n)), np.ones((1, n)))
            errors.append(np.abs(1 - var[0] / (var[0] + 2 * np.diag(main.weight.mu))))
        assert np.mean(errors) == pytest.approx(documented, abs=0.015)


def test_a_shortcut_of_one_layer_learns(backend: Backend) -> None:
    """As does a main branch of one layer: pytagi never trains a block of a single layer."""
    net = network(nn.ResNetBlock(nn.Linear(3, 2), nn.Linear(3, 2)), (3,), backend)
    before = net.state_dict()
    rng = np.random.default_rng(6)
    net(rng.normal(size=(5, 3)))
    nn.OutputUpdater(net).update(rng.normal(size=10), 0.1)
    net.backward()
    net.step()
    for name, array in net.state_dict().items():
        assert (array != before[name]).all(), name


def test_parameters_carry_the_names_of_nodes(backend: Backend) -> None:
    net = network(nn.Sequential(nn.ReLU(), nn.ResNetBlock(nn.Linear(3, 3))), (3,), backend)
    assert list(net.parameters.tensors) == [
        "resnet_block_1.main.weight",
        "resnet_block_1.main.bias",
    ]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([], "at least one node"),
        ([("a", ("b",))], "node 'a': found the input 'b'. Allowed: input"),
        ([("one", ()), ("b", ("on",))], "found the input 'on'. Did you mean 'one'"),
        ([("a", ("input.x",))], "found the input 'input.x'"),
        ([("a", ()), ("a", ())], "node 1: found the name 'a', which an earlier node has"),
        ([("a.b", ())], "found the name 'a.b'. Allowed: no dot"),
        ([("input", ())], "found the name 'input'"),
        ([("a", ()), ("b", ("input",))], "node 'a': no other node takes it"),
    ],
)
def test_wrong_wiring_is_told(nodes: list[tuple[str, tuple[str, ...]]], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        nn.Graph([nn.Node(name, nn.ReLU(), inputs) for name, inputs in nodes])


def test_a_misspelt_input_is_one_fault() -> None:
    """The node that was meant is not said to be of no use."""
    found = faults(["first", "second"], [(), ("input", "frist")])
    assert found == [
        "node 'second': found the input 'frist'. Did you mean 'first'? Allowed: input, first"
    ]


def test_a_value_is_not_added_to_itself() -> None:
    """Its two uses are not independent; a scale does it right."""
    with pytest.raises(ValueError, match="node 'sum': takes 'a' twice"):
        nn.Graph([nn.Node("a", nn.ReLU()), nn.Node("sum", nn.Add(), ("a", "a"))])


def test_wrong_shapes_name_node_and_sizes(backend: Backend) -> None:
    graph = nn.Graph([nn.Node("a", nn.Linear(0, 2)), nn.Node("sum", nn.Add(), ("a", "input"))])
    with pytest.raises(nn.ShapeError, match=r"node 'sum': .* but gets \(2,\), \(3,\) from a"):
        network(graph, (3,), backend)
    graph = nn.Graph([nn.Node("a", nn.Linear(0, 2), ("input", "input"))])
    with pytest.raises(nn.ShapeError, match=r"node 'a': .* takes one input but gets 2"):
        network(graph, (3,), backend)
    graph = nn.Graph([nn.Node("a", nn.ReLU()), nn.Node("b", nn.ReLU(), ("a.1",))])
    with pytest.raises(nn.ShapeError, match=r"node 'b': takes 'a\.1'\. Allowed: a$"):
        network(graph, (3,), backend)


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("cut", r"node 'end': takes 'cut', which has 2 outputs\. Allowed: cut\.0, cut\.1$"),
        ("cut.2", r"node 'end': takes 'cut\.2'\. Allowed: cut\.0, cut\.1$"),
    ],
)
def test_parts_of_a_split_are_named(reference: str, found: str, backend: Backend) -> None:
    nodes = [nn.Node("cut", nn.Split((1, 2))), nn.Node("end", nn.ReLU(), (reference,))]
    with pytest.raises(nn.ShapeError, match=found):
        network(nn.Graph(nodes), (3,), backend)


def test_a_graph_has_one_output(backend: Backend) -> None:
    with pytest.raises(nn.ShapeError, match="node 'cut' is the last one and has 2 outputs"):
        network(nn.Graph([nn.Node("cut", nn.Split((1, 2)))]), (3,), backend)


def test_one_input_needs_no_tuple(backend: Backend) -> None:
    nodes = [nn.Node("first", nn.ReLU()), nn.Node("end", nn.Tanh(), "first")]
    assert network(nn.Graph(nodes), (3,), backend).output_shape == (3,)


def test_branches_of_a_residual_block_need_one_shape(backend: Backend) -> None:
    main = nn.Sequential(nn.Linear(0, 2), nn.ReLU())
    block = nn.Sequential(nn.Linear(0, 3), nn.ResNetBlock(main))
    found = (
        r"^layer 1: ResNetBlock\(Sequential\(2\)\) adds its main branch, \(2,\), and without a "
        r"shortcut its input, \(3,\), which must have one shape; it comes after layer 0, "
    )
    with pytest.raises(nn.ShapeError, match=found):
        network(block, (4,), backend)
    with pytest.raises(nn.ShapeError, match=r"and its shortcut, \(5,\)"):
        network(nn.ResNetBlock(nn.Linear(0, 2), nn.Linear(0, 5)), (4,), backend)


def test_a_fault_inside_a_branch_is_told_as_it_is(backend: Backend) -> None:
    block = nn.ResNetBlock(nn.Sequential(nn.Linear(0, 2), nn.Linear(5, 3)), nn.Linear(0, 4))
    with pytest.raises(nn.ShapeError, match=r"node 'main': layer 1: Linear\(5,3\) takes 5 units"):
        network(block, (3,), backend)
