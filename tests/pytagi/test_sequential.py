"""The network's calls and buffers: what goes in and out, views and copies, batches of any size."""

from __future__ import annotations

import numpy as np
import pytest

import tagi_cli.pytagi as pytagi
from tagi_cli.pytagi import nn


@pytest.fixture(autouse=True)
def seed() -> None:
    pytagi.manual_seed(0)


def regression() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))


def learn(net: nn.Sequential, x: np.ndarray, y: np.ndarray, var_y: float = 0.1) -> None:
    net(x)
    noise = np.full(y.size, var_y, np.float32)
    nn.OutputUpdater(net.device).update(
        net.output_z_buffer, y.ravel(), noise, net.input_delta_z_buffer
    )
    net.backward()
    net.step()


def rows(count: int, seed: int = 1, width: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def test_a_network_shows_its_layers() -> None:
    assert repr(regression()) == "Sequential(Linear(3,8), ReLU(), Linear(8,2))"


def test_a_seed_makes_the_prior_repeatable() -> None:
    x = rows(4)
    found = []
    for value in (5, 5, 6):
        pytagi.manual_seed(value)
        found.append(regression()(x)[0])
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()


def test_outputs_are_flat_float32_copies() -> None:
    net = regression()
    mu, var = net(rows(5))
    assert (mu.shape, var.shape, mu.dtype, var.dtype) == ((10,), (10,), np.float32, np.float32)
    kept = mu.copy()
    net(rows(5, seed=2))
    np.testing.assert_array_equal(mu, kept)
    for got, again in zip(net.get_outputs(), net(rows(5, seed=2)), strict=True):
        np.testing.assert_array_equal(got, again)


def test_buffers_are_views_of_the_latest_call() -> None:
    net = regression()
    states = net.output_z_buffer
    for count in (5, 2):
        mu, var = net(rows(count))
        np.testing.assert_array_equal(states.mu_a, mu)
        np.testing.assert_array_equal(states.var_a, var)
        np.testing.assert_array_equal(states.jcb, np.ones(2 * count))
        assert (states.size, states.block_size, states.actual_size) == (2 * count, count, 2)
    states.mu_a[...] = 7
    np.testing.assert_array_equal(net.get_outputs()[0], np.full(4, 7))
    with pytest.raises(ValueError, match="mu_a has 4 values, 3 were given"):
        states.mu_a = np.zeros(3)
    with pytest.raises(ValueError, match="views of a network"):
        states.set_size(4, 2)


@pytest.mark.parametrize("shape", [(4, 3), (12,), (2, 2, 3)])
@pytest.mark.parametrize("kind", ["float64", "fortran", "strided", "list", "readonly"])
def test_input_of_any_type_layout_and_shape(shape: tuple[int, ...], kind: str) -> None:
    """pytagi refuses float64 and misreads arrays that are not C-contiguous."""
    net = regression()
    x = rows(4)
    want = net(x)[0]
    given = {
        "float64": x.astype(np.float64).reshape(shape),
        "fortran": np.asfortranarray(x.reshape(shape)),
        "strided": np.repeat(x.reshape(shape), 2, axis=-1)[..., ::2],
        "list": x.reshape(shape).tolist(),
        "readonly": np.frombuffer(x.tobytes(), np.float32).reshape(shape),
    }[kind]
    for _ in range(2):
        np.testing.assert_array_equal(net(given)[0], want)


def test_batches_grow_and_shrink() -> None:
    """Rows do not know each other: any batch gives what single rows give. pytagi crashes here."""
    net = regression()
    x = rows(64)
    one_by_one = np.stack([net(row)[0] for row in x])
    for count in (1, 4, 64, 3, 20, 64):
        np.testing.assert_allclose(
            net(x[:count])[0].reshape(count, 2), one_by_one[:count], rtol=2e-5, atol=1e-6
        )
        learn_only = rows(count, width=2)
        net(x[:count])
        noise = np.ones(2 * count, np.float32)
        nn.OutputUpdater(net.device).update(
            net.output_z_buffer, learn_only.ravel(), noise, net.input_delta_z_buffer
        )
        net.backward()
        assert np.isfinite(net.layers[0].delta_mu_w).all()


def test_many_batch_sizes_keep_the_memory_bounded() -> None:
    net = regression()
    for count in range(1, 60):
        net(rows(count))
    assert len(net.network._passes) <= 16
    mu, _ = net(rows(3))
    np.testing.assert_array_equal(net(rows(3).ravel())[0], mu)


def test_input_variances_matter_and_must_fit() -> None:
    net = regression()
    x = rows(4)
    certain = net(x)[1]
    assert (net(x, np.zeros_like(x))[1] == certain).all()
    assert (net(x, np.ones_like(x))[1] > certain).all()
    with pytest.raises(ValueError, match="12 means but 4 variances"):
        net(x, np.ones(4))
    with pytest.raises(ValueError, match="11 values, not a multiple of 3"):
        net(np.zeros(11, np.float32))


@pytest.mark.parametrize("count", [1, 2, 255, 256])
def test_the_cap_comes_from_the_batch_of_the_call(count: int) -> None:
    """A surprising observation moves a weight by its full cap, sqrt(var) / c."""
    net = nn.Sequential(nn.Linear(1, 1, bias=False))
    net.layers[0].mu_w, net.layers[0].var_w = [0.0], [0.25]
    learn(net, np.ones((count, 1), np.float32), np.full(count, 1e4), 1e-4)
    cap = {1: 0.1, 2: 2.0, 255: 2.0, 256: 3.0}[count]
    np.testing.assert_allclose(net.layers[0].mu_w, [0.5 / cap], rtol=1e-5)


def test_the_jacobian_of_the_last_activation_is_in_buffer_and_innovations() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    mu, var = net(rows(4))
    np.testing.assert_allclose(net.output_z_buffer.jcb, 1 - mu**2, rtol=1e-5)
    y = rows(4, width=2).ravel()
    nn.OutputUpdater(net.device).update(
        net.output_z_buffer, y, np.full(8, 0.5, np.float32), net.input_delta_z_buffer
    )
    gain = (1 - mu**2) / (var + 0.5)
    deltas = net.input_delta_z_buffer
    np.testing.assert_allclose(deltas.delta_mu, gain * (y - mu), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(deltas.delta_var, -gain * (1 - mu**2), rtol=1e-4)


def test_an_output_update_of_ones_own() -> None:
    """Innovations of the pre-activation, set by hand, do what `OutputUpdater` does."""
    x, y = rows(6), rows(6, width=2)
    found = []
    for own in (False, True):
        pytagi.manual_seed(3)
        net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2), nn.Sigmoid())
        if own:
            mu, var = net(x)
            jac = net.output_z_buffer.jcb
            r = jac / (var + 0.1)
            net.set_delta_z(r * (y.ravel() - mu), -r * jac)
            net.backward()
            net.step()
        else:
            learn(net, x, y)
        found.append(net.parameters())
    for got, want in zip(*found, strict=True):
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    with pytest.raises(ValueError, match="delta_mu has 12 values, 3 were given"):
        net.set_delta_z(np.zeros(3), np.zeros(3))


@pytest.mark.parametrize("last", [nn.Linear, nn.Tanh])
def test_encoder_and_decoder_learn_as_one_network(last: type) -> None:
    """Coupled by their buffers, without any flag set, they equal the network in one piece."""

    def parts() -> tuple[list[nn.BaseLayer], list[nn.BaseLayer]]:
        pytagi.manual_seed(4)
        code = [nn.Linear(6, 2)] + ([nn.Tanh()] if last is nn.Tanh else [])
        return (
            [nn.Linear(5, 6), nn.MixtureReLU(), *code],
            [nn.Linear(2, 6), nn.MixtureReLU(), nn.Linear(6, 5)],
        )

    x = rows(7, width=5)
    noise = np.full(x.size, 0.2, np.float32)
    first, second = parts()
    whole = nn.Sequential(*first, *second)
    encoder, decoder = (nn.Sequential(*layers) for layers in parts())
    updater = nn.OutputUpdater("cpu")
    for _ in range(3):
        mu, var = whole(x)
        updater.update(whole.output_z_buffer, x.ravel(), noise, whole.input_delta_z_buffer)
        whole.backward()
        whole.step()
        encoder(x)
        got_mu, got_var = decoder(encoder.output_z_buffer)
        np.testing.assert_allclose(got_mu, mu, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(got_var, var, rtol=1e-4)
        updater.update(decoder.output_z_buffer, x.ravel(), noise, decoder.input_delta_z_buffer)
        decoder.backward()
        decoder.step()
        encoder.input_delta_z_buffer.copy_from(decoder.output_delta_z_buffer)
        encoder.backward()
        encoder.step()
    together = [*encoder.parameters(), *decoder.parameters()]
    for got, want in zip(together, whole.parameters(), strict=True):
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_innovations_of_the_input_when_asked_for() -> None:
    net = regression()
    x = rows(4)
    net(x, np.ones_like(x))
    with pytest.raises(RuntimeError, match="input_state_update = True"):
        net.get_input_states()
    net.input_state_update = True
    assert net.input_state_update
    net(x, np.ones_like(x))
    net.set_delta_z(np.ones(8), -np.ones(8))
    net.backward()
    d_mu, d_var = net.get_input_states()
    assert d_mu.shape == d_var.shape == (12,)
    # Through the linear network of the units that are on.
    W1, W2 = (np.reshape(net.layers[k].mu_w, s) for k, s in ((0, (8, 3)), (2, (2, 8))))
    on = (x @ W1.T + net.layers[0].mu_b > 0).astype(float)
    np.testing.assert_allclose(d_mu.reshape(4, 3), (W2.sum(axis=0) * on) @ W1, rtol=1e-4)
    squared = ((W2**2).sum(axis=0) * on) @ W1**2
    np.testing.assert_allclose(d_var.reshape(4, 3), -squared, rtol=1e-4)


def test_missing_targets_teach_nothing() -> None:
    net = regression()
    before = net.parameters()
    learn(net, rows(4), np.full((4, 2), np.nan))
    for got, want in zip(net.parameters(), before, strict=True):
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_first_call_tells_the_size_where_no_layer_does() -> None:
    net = nn.Sequential(nn.ReLU(), nn.Linear(0, 2))
    with pytest.raises(RuntimeError, match="size of the input is not known"):
        net.preinit_layer()
    with pytest.raises(ValueError, match=r"ReLU\(\) does not tell it, and neither does a flat"):
        net(np.zeros(4, np.float32))
    assert net(np.zeros((2, 5), np.float32))[0].shape == (4,)
    assert net.layers[1].input_size == 5


def test_activations_before_the_first_weights_keep_its_size() -> None:
    net = nn.Sequential(nn.ReLU(), nn.Linear(5, 2))
    assert net(np.zeros(10, np.float32))[0].shape == (4,)


def test_what_does_not_fit_is_told_when_the_network_is_made() -> None:
    with pytest.raises(ValueError, match=r"layer 1: Linear\(4,2\) takes 4 units but gets 3"):
        nn.Sequential(nn.Linear(2, 3), nn.Linear(4, 2))


def test_calls_out_of_order_are_told() -> None:
    net = regression()
    for call in (net.backward, net.step, net.get_outputs):
        with pytest.raises(RuntimeError, match="run the network forward first"):
            call()


def test_training_and_prediction_differ_for_batch_statistics() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm2d(4), nn.Linear(4, 1))
    x = rows(8)
    trained = net(x)[0]
    net(rows(8, seed=9))
    net.eval()
    assert not net.layers[1].training
    predicted = net(x)[0]
    assert (predicted != trained).any()
    np.testing.assert_array_equal(net(x)[0], predicted)
    net.train()
    np.testing.assert_allclose(net(x)[0], trained, rtol=1e-6)
    # One layer alone can be kept from learning statistics.
    net.layers[1].training = False
    before = net.get_norm_mean_var()["BatchNorm2d()_1"][2]
    frozen = net(x)[0]
    np.testing.assert_array_equal(net.get_norm_mean_var()["BatchNorm2d()_1"][2], before)
    net.eval()
    np.testing.assert_array_equal(net(x)[0], frozen)
    assert net.layers[1].layer.training is None


def test_devices() -> None:
    net = regression()
    net.to_device("cpu")
    assert net.device == net.layers[0].device == "cpu"
    with pytest.raises(ValueError, match="device 'gpu': allowed are cpu, cuda"):
        net.to_device("gpu")
    if not pytagi.cuda.is_available():
        for move in (lambda: net.to_device("cuda"), lambda: net.to_device("cuda:1"),
                     net.layers[0].to_cuda):  # fmt: skip
            with pytest.raises(RuntimeError, match="found 0 CUDA devices"):
                move()
    net.params_to_device()
    net.params_to_host()


def test_threads() -> None:
    net = regression()
    before = net.layers[0].num_threads
    try:
        net.set_threads(1)
        assert net.layers[0].num_threads == 1
        with pytest.raises(ValueError, match="0 threads"):
            net.set_threads(0)
    finally:
        net.layers[0].num_threads = before


def test_listings() -> None:
    net = regression()
    assert net.get_layer_stack_info() == "Linear(3,8)\nReLU()\nLinear(8,2)\n"
    assert [layer.get_layer_name() for layer in net.layers] == ["Linear", "ReLU", "Linear"]
    assert net.z_buffer_block_size == net.z_buffer_size == 0
    net(rows(4))
    assert (net.z_buffer_block_size, net.z_buffer_size) == (4, 32)
    assert net.output_to_host() == net.get_outputs()[0].tolist()
    net.set_delta_z(np.arange(8), -np.ones(8))
    assert net.delta_z_to_host() == list(range(8))


def test_buffers_can_be_set() -> None:
    net = regression()
    net(rows(2))
    own = nn.BaseDeltaStates(4, 2)
    own.delta_mu, own.delta_var = [1, 2, 3, 4], [-1, -2, -3, -4]
    net.input_delta_z_buffer = own
    np.testing.assert_array_equal(net.input_delta_z_buffer.delta_mu, [1, 2, 3, 4])
    states = nn.BaseHiddenStates(4, 2)
    states.mu_a = [5, 6, 7, 8]
    net.output_z_buffer = states
    np.testing.assert_array_equal(net.get_outputs()[0], [5, 6, 7, 8])
    net.input_state_update = True
    net(rows(2))
    innovations = nn.BaseDeltaStates(6, 2)
    innovations.delta_mu = np.arange(6)
    net.output_delta_z_buffer = innovations
    np.testing.assert_array_equal(net.get_input_states()[0], np.arange(6))
    net.z_buffer_block_size = 5
    net.z_buffer_size = 80
    for setter, value, message in (
        ("z_buffer_size", 3, "not a multiple of 8 units"),
        ("z_buffer_block_size", -1, "is negative"),
    ):
        with pytest.raises(ValueError, match=message):
            setattr(net, setter, value)
    net.num_samples = 10
    assert net.num_samples == 10
