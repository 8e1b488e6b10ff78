"""Networks stepped from Python: inputs, plans, modes, coupling, moving between backends."""

from __future__ import annotations

import re
import weakref

import numpy as np
import pytest

from tagi_cli import nn
from tagi_cli.backend import Backend, select
from tagi_cli.errors import UserError


@pytest.fixture(params=["numpy", "auto"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return select(kernels=request.param, precision="float64")


def layers() -> nn.Sequential:
    return nn.Sequential(nn.Linear(0, 6), nn.BatchNorm2d(), nn.MixtureReLU(), nn.Linear(0, 2))


def network(backend: Backend, layer: nn.Layer | None = None, **options: bool) -> nn.Network:
    rng = np.random.default_rng(0)
    return nn.Network(layer or layers(), (3,), rng=rng, backend=backend, **options)


def rows(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 3))


def test_inputs_of_any_type_and_shape(backend: Backend) -> None:
    net = network(backend, flat_input=True)
    net.eval()
    x, v = rows(4), np.abs(rows(4, seed=2))
    want = net(x, v)
    for mu, var in (
        (x.ravel(), v.ravel()),
        (x.tolist(), v.tolist()),
        (np.asfortranarray(x), v[:, ::-1][:, ::-1]),
        (x.reshape(2, 2, 3), v),
    ):
        for _ in range(2):
            got = net(mu, var)
            np.testing.assert_array_equal(got.mu, want.mu)
            np.testing.assert_array_equal(got.var, want.var)


def test_inputs_that_do_not_fit(backend: Backend) -> None:
    net = network(backend, flat_input=True)
    with pytest.raises(ValueError, match="input has 7 values, not a multiple of 3"):
        net(np.zeros(7))
    net = network(backend)
    with pytest.raises(ValueError, match="input has 6 means but 3 variances"):
        net(np.zeros((2, 3)), np.zeros(3))
    with pytest.raises(ValueError, match="6 means, 6 variances and 3 Jacobians"):
        net.run_activation(np.zeros(6), np.zeros(6), np.zeros(3))
    with pytest.raises(RuntimeError, match="run the network forward first"):
        net.outputs()


@pytest.mark.parametrize("shape", [(), (6,), (6, 1), (2, 6), (3, 2), (2, 1, 3)])
def test_the_first_axis_of_an_input_counts_its_rows(
    backend: Backend, shape: tuple[int, ...]
) -> None:
    """Six values in another arrangement are not taken for two rows."""
    found = re.escape(f"input has shape {shape}. Allowed: (rows, 3)")
    with pytest.raises(ValueError, match=found):
        network(backend)(np.zeros(shape))


def test_rows_of_several_axes_may_be_flat(backend: Backend) -> None:
    layer = nn.Sequential(nn.Conv2d(1, 2, 2), nn.Linear(0, 1))
    net = nn.Network(layer, (1, 3, 4), backend=backend, rng=np.random.default_rng(0))
    x = np.random.default_rng(1).normal(size=(5, 1, 3, 4))
    np.testing.assert_array_equal(net(x.reshape(5, 12)).mu, net(x).mu)
    with pytest.raises(ValueError, match=r"Allowed: \(rows, 1, 3, 4\) or \(rows, 12\)"):
        net(x.transpose(0, 2, 3, 1))
    for row in (x[0], x[0].ravel()):
        np.testing.assert_array_equal(net(row).mu, net(x).mu[:1])
    one = nn.Network(nn.Linear(0, 1), (1,), backend=backend, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(one(np.arange(4.0)).mu, one(np.arange(4.0)[:, None]).mu)


@pytest.mark.parametrize("shape", [3, None, (2.5,)])
def test_the_shape_of_a_row_is_a_tuple_of_sizes(shape: object) -> None:
    for make in (nn.Network, nn.output_shape):
        with pytest.raises(TypeError, match=r"input_shape: found .* such as \(3,\)"):
            make(nn.Linear(0, 1), shape)


def test_negative_variances_are_refused_and_no_others(backend: Backend) -> None:
    net, bad = network(backend), np.full((4, 3), 0.1)
    bad[1, 2] = -0.5
    message = r"input variances: found -0\.5 at position 5\. Allowed: 0 or more"
    for _ in range(2):
        with pytest.raises(ValueError, match=message):
            net(rows(4), bad)
        net(rows(4), np.abs(bad))
    with pytest.raises(ValueError, match=message):
        net.run_activation(rows(4), bad, np.ones(12))
    net(rows(4))
    updater = nn.OutputUpdater(net)
    for var_v in (-0.1, [1.0, -0.1], np.full((4, 2), -0.1)):
        for _ in range(2):
            with pytest.raises(ValueError, match=r"error variances: found -0\.1 at position [01]"):
                updater.update(np.zeros((4, 2)), var_v)
            updater.update(np.zeros((4, 2)), np.abs(var_v))
    index = np.ones(4, int)
    with pytest.raises(ValueError, match=r"error variances: found -2 at position 3"):
        updater.update_using_indices(np.zeros(4), [1.0, 1.0, 1.0, -2.0, -1.0], index)
    updater.update_using_indices(np.zeros(4), np.zeros(5), index)


def test_no_rows_give_no_rows_and_teach_nothing(backend: Backend) -> None:
    net = network(backend, nn.Sequential(nn.Linear(0, 4), nn.ReLU(), nn.Linear(0, 2)))
    before = net.state_dict()
    mu, var = net(np.zeros((0, 3)))
    assert mu.shape == var.shape == (0, 2)
    nn.OutputUpdater(net).update(np.zeros(0), np.ones(2))
    net.backward()
    net.step()
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_plans_are_kept_for_a_few_batch_sizes(backend: Backend) -> None:
    net = network(backend)
    net.eval()
    first = net(rows(1))
    plan = weakref.ref(net.current.plan)
    for count in range(2, 40):
        net(rows(count))
    assert plan() is None
    assert len(net._passes) <= 16
    np.testing.assert_array_equal(net(rows(1)).mu, first.mu)


def test_more_numbers_than_kernels_can_count_are_refused(backend: Backend) -> None:
    """They count in 32 bits; and no memory is asked for before."""
    net = network(backend)
    with pytest.raises(UserError, match="in a batch of 1073741824 rows: found 3,221,225,472"):
        net(np.broadcast_to(0.0, (2**30, 3)))
    plan = nn.Plan(backend, net.parameters, 2**29, training=True, differentiable=True)
    with plan.inside("linear_0"), pytest.raises(UserError, match="rows in linear_0: found 3,221,"):
        plan.value((6,))
    store = nn.Parameters(backend)
    many = np.broadcast_to(0.0, (2**16, 2**15))
    store.add("weight", many, many)
    with pytest.raises(UserError, match="parameters of a network: found 2,147,483,648"):
        store.allocate()


def test_modes_have_their_own_plans(backend: Backend) -> None:
    net = network(backend)
    x = rows(8)
    trained = net(x)
    net(rows(8, seed=5))
    net.training = False
    predicted = net(x)
    assert (predicted.mu != trained.mu).any()
    net.train()
    np.testing.assert_allclose(net(x).mu, trained.mu, rtol=1e-12)
    with pytest.raises(RuntimeError, match="input_innovation=True"):
        net.input_innovations()
    net.input_innovation = True
    net(x)
    nn.OutputUpdater(net).update(np.zeros(16), 0.1)
    net.backward()
    assert (net.input_innovations()[1] <= 0).all()


def test_a_layer_may_keep_a_mode_of_its_own(backend: Backend) -> None:
    net = network(backend)
    net(rows(8))
    norm = net.layer[1]
    before = norm.running_mean.value.copy()
    norm.training = False
    net.forget()
    frozen = net(rows(8, seed=6))
    np.testing.assert_array_equal(norm.running_mean.value, before)
    net.eval()
    np.testing.assert_array_equal(net(rows(8, seed=6)).mu, frozen.mu)


@pytest.mark.parametrize("last", [nn.Tanh, nn.EvenExp, nn.Remax])
@pytest.mark.parametrize("update", ["update", "update_heteros", "update_using_indices"])
def test_innovations_may_be_those_of_the_last_pre_activation(
    backend: Backend, update: str, last: type
) -> None:
    """Wherever the last activation's backward is run, the parameters learn the same."""
    found = []
    for preactivation in (False, True):
        layer = nn.Sequential(nn.Linear(0, 5), nn.Tanh(), nn.Linear(0, 2), last())
        net = network(backend, layer, preactivation=preactivation)
        net(rows(4))
        y = np.random.default_rng(3).normal(size=8)
        arguments = {
            "update": (y, np.full(8, 0.2)),
            "update_heteros": (y[:4],),
            "update_using_indices": (y[:4], np.full(4, 0.2), np.array([1, 2, 2, 1])),
        }[update]
        getattr(nn.OutputUpdater(net), update)(*arguments)
        innovations = [a.copy() for a in net.innovations()]
        net.backward()
        found.append([*innovations, net.parameters.G.copy(), net.parameters.L.copy()])
    jac = net.current.plan.output.jac
    np.testing.assert_allclose(found[1][0], jac * found[0][0], rtol=1e-12)
    np.testing.assert_allclose(found[1][1], jac**2 * found[0][1], rtol=1e-12)
    for got, want in zip(found[1][2:], found[0][2:], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_one_network_feeds_another(backend: Backend) -> None:
    """Innovations of the second's input are those of the first's last pre-activation."""
    first = network(backend, nn.Sequential(nn.Linear(0, 4), nn.Tanh()), preactivation=True)
    second = nn.Network(nn.Linear(0, 2), (4,), backend=backend, rng=np.random.default_rng(1))
    whole = network(
        backend, nn.Sequential(nn.Linear(0, 4), nn.Tanh(), nn.Linear(0, 2)), input_innovation=True
    )
    parts = [p for net in (first, second) for p in net.parameters.tensors.values()]
    for tensor, part in zip(whole.parameters.tensors.values(), parts, strict=True):
        tensor.assign(part.mu, part.var)
    x, y = rows(5), np.random.default_rng(4).normal(size=10)
    want = whole(x)
    nn.OutputUpdater(whole).update(y, 0.3)
    whole.backward()
    first(x)
    out = first.current.plan.output
    second.run_activation(out.mu, out.var, out.jac)
    np.testing.assert_allclose(second.outputs().mu, want.mu, rtol=1e-12)
    nn.OutputUpdater(second).update(y, 0.3)
    second.backward()
    for buffer, d in zip(first.innovations(), second.input_innovations(), strict=True):
        buffer[...] = d
    first.backward()
    G = np.concatenate([first.parameters.G, second.parameters.G])
    L = np.concatenate([first.parameters.L, second.parameters.L])
    np.testing.assert_allclose(G, whole.parameters.G, rtol=1e-12)
    np.testing.assert_allclose(L, whole.parameters.L, rtol=1e-12)


def test_a_network_moves_to_another_backend_with_all_it_learnt() -> None:
    """From NumPy in double precision to compiled kernels in single precision, and on."""
    net = network(select(kernels="numpy", precision="float64"))
    updater = nn.OutputUpdater(net)

    def step(seed: int) -> None:
        net(rows(8, seed))
        updater.update(rows(8, seed + 1)[:, :2].ravel(), 0.1)
        net.backward()
        net.step()

    step(1)
    before = net.state_dict()
    net.move(select(precision="float32"))
    for name, array in net.state_dict().items():
        np.testing.assert_allclose(array, before[name], rtol=1e-6)
        assert array.dtype == np.float32
    with pytest.raises(RuntimeError, match="forward first"):
        net.backward()
    step(3)
    moved = net.state_dict()
    again = network(select(kernels="numpy", precision="float64"))
    again.load_state_dict(before)
    net = again
    updater = nn.OutputUpdater(net)
    step(3)
    for name, array in again.state_dict().items():
        np.testing.assert_allclose(moved[name], array, rtol=2e-4, atol=1e-5, err_msg=name)


def test_what_is_no_network_is_told() -> None:
    with pytest.raises(ValueError, match=r"update rule 'caped'\. Did you mean 'capped'\? Allowed"):
        nn.Network(nn.Linear(0, 1), (3,), rule="caped")
    with pytest.raises(TypeError, match=r"layer 0: found a list\. Allowed: layers, one by one"):
        nn.Sequential([nn.Linear(0, 1)])  # type: ignore[arg-type]


def test_layers_show_what_they_are() -> None:
    layer = nn.Sequential(nn.Linear(0, 2), nn.ReLU())
    nn.Network(layer, (3,))
    assert repr(list(layer)) == "[Linear(3,2), ReLU()]"


def test_updates_that_do_not_fit(backend: Backend) -> None:
    net = network(backend)
    net(rows(2))
    updater = nn.OutputUpdater(net)
    for call, message in (
        (lambda: updater.update(np.zeros(3), 1.0), "the output has 4 values, the observations 3"),
        (lambda: updater.update(np.zeros(4), np.ones(3)), "4 values, the error variances 3"),
        (lambda: updater.update(np.zeros(4), np.ones(0)), "4 values, the error variances 0"),
        (lambda: updater.update_heteros(np.zeros(4)), "4 values in pairs, the observations 4"),
        (lambda: updater.update_using_indices(np.zeros(3), np.ones(3), [1, 1, 1]), "2 rows: 3 obs"),
        (lambda: updater.update_using_indices(np.zeros(2), np.ones(2), [1, 3]),
         "index from 1 to 3: the output has units 1 to 2"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            call()


def test_a_missing_observation_among_indices_teaches_nothing(backend: Backend) -> None:
    net = network(backend, nn.Linear(0, 2))
    net(rows(2))
    y = np.array([np.nan, 1.0])
    nn.OutputUpdater(net).update_using_indices(y, np.ones(2), np.array([1, 2]))
    d_mu, d_var = net.innovations()
    np.testing.assert_array_equal(d_mu == 0, [[True, True], [True, False]])
    np.testing.assert_array_equal(d_var == 0, [[True, True], [True, False]])
