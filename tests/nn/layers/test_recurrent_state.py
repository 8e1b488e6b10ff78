"""States from call to call: carried, given, drawn, set by row, saved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tagi_cli import nn
from tagi_cli.backend import select
from tagi_cli.errors import UserError

Host = np.ndarray[Any, Any]
KINDS = ["numpy", "auto"]


def network(
    layer: nn.Layer, shape: tuple[int, ...], rows: int = 1, kernels: str = "numpy", seed: int = 0
) -> nn.Network:
    backend = select(kernels=kernels, precision="float64")
    return nn.Network(
        layer, shape, backend=backend, parameters=nn.Parameters(backend, rows),
        rng=np.random.default_rng(seed),
    )  # fmt: skip


def tracked(T: int, rows: int, kernels: str, **options: Any) -> tuple[nn.Network, Any]:
    """Two layers with the parameters of seed 0, that track states of `rows` rows."""
    layer = nn.LSTM(2, 3, depth=2, tracking=True, **options)
    net = network(layer, (T, 2), rows, kernels)
    return net, nn.RecurrentStates(layer, net.parameters)


@pytest.mark.parametrize("kernels", KINDS)
@pytest.mark.parametrize("carry", ["prior", "posterior"])
def test_a_window_in_parts_is_the_whole_window(carry: str, kernels: str) -> None:
    B, T = 3, 6
    x = np.random.default_rng(1).normal(size=(B, T, 2))
    whole = network(nn.LSTM(2, 3, depth=2), (T, 2), kernels=kernels)
    parts, _ = tracked(2, B, kernels, carry=carry)
    mu, var = whole(x)
    for first in range(0, T, 2):
        got = parts(x[:, first : first + 2])
        for part, want in zip(got, (mu, var), strict=True):
            np.testing.assert_allclose(part, want[:, first : first + 2], rtol=1e-10)


@pytest.mark.parametrize("kernels", KINDS)
def test_the_posterior_is_carried_after_a_backward_pass(kernels: str) -> None:
    B = 2
    x = np.random.default_rng(1).normal(size=(B, 1, 2))
    net, states = tracked(1, B, kernels)
    net(x)
    prior = states.get()[1]
    d_mu, d_var = net.innovations()
    d_mu[...], d_var[...] = 0.3, -0.2
    net.backward()
    posterior = states.get()[1]
    np.testing.assert_allclose(posterior.mu_h, prior.mu_h + 0.3 * prior.var_h)
    np.testing.assert_allclose(posterior.var_h, prior.var_h - 0.2 * prior.var_h**2)
    # c by its covariance with h, dh/dc var_c.
    top = net.current.plan.recurrences[net.layer.recurrences[1]]  # type: ignore[attr-defined]
    gain = top.jac[:, 0, 4] * prior.var_c
    np.testing.assert_allclose(posterior.mu_c, prior.mu_c + 0.3 * gain)
    np.testing.assert_allclose(posterior.var_c, prior.var_c - 0.2 * gain**2)
    # Innovations that are too strong end in certainty, not in a negative variance.
    d_var[...] = -1e6
    net.backward()
    assert states.get()[1].var_h.max() == 0
    kept, prior_states = tracked(1, B, kernels, carry="prior")
    kept(x)
    before = prior_states.get()
    kept.innovations()[0][...] = 1
    kept.backward()
    np.testing.assert_array_equal(np.stack(before), np.stack(prior_states.get()))


@pytest.mark.parametrize("kernels", KINDS)
def test_rows_go_on_from_where_they_are_told(kernels: str) -> None:
    R = 4
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(2, R, 2, 2))
    net, states = tracked(2, R, kernels)
    fresh = net(second)
    states.reset()
    net(first)
    went_on = net(second)
    states.reset()
    net(first)
    states.continue_from([2, -1])
    mixed = net(second[[2, 0]])
    np.testing.assert_allclose(mixed.mu[0], went_on.mu[2], rtol=1e-12)
    np.testing.assert_allclose(mixed.mu[1], fresh.mu[0], rtol=1e-12)
    # Rows 2 and 3 kept what they had from the first batch.
    states.continue_from([])
    last = net(second)
    np.testing.assert_allclose(last.mu[3], went_on.mu[3], rtol=1e-12)
    states.reset([1, 2])
    held = ~np.isnan(states.get()[0].mu_h).any(axis=1)
    np.testing.assert_array_equal(held, [True, False, False, True])


@pytest.mark.parametrize("kernels", KINDS)
def test_states_are_shared_by_batch_sizes_and_modes_and_saved(kernels: str) -> None:
    rng = np.random.default_rng(1)
    a, b, c = rng.normal(size=(3, 3, 2, 2))
    net, _ = tracked(2, 3, kernels)
    net(a)
    net.eval()
    net(b[:2])
    saved = net.state_dict()
    want = net(c)
    other, _ = tracked(2, 3, kernels, internal_state="zeros")
    other.load_state_dict(saved)
    for got, value in zip(other(c), want, strict=True):
        np.testing.assert_array_equal(got, value)
    copied, theirs = tracked(2, 3, kernels)
    other.load_state_dict(saved)
    theirs.set(nn.RecurrentStates(other.layer, other.parameters).get())
    np.testing.assert_array_equal(copied(c).mu, want.mu)


@pytest.mark.parametrize("kernels", KINDS)
def test_given_states_are_those_of_each_batch(kernels: str) -> None:
    R, H = 3, 4
    layer = nn.LSTM(2, H, internal_state="given")
    net = network(layer, (2, 2), R, kernels)
    x = np.random.default_rng(0).normal(size=(R, 2, 2))
    zeros = net(x)
    states = nn.RecurrentStates(layer, net.parameters)
    states.set([(np.ones(H), np.zeros(H), -np.ones((R, H)), np.full(H, 0.1))])
    given = net(x)
    assert (given.mu != zeros.mu).all()
    np.testing.assert_array_equal(net(x).mu, given.mu)
    window = net.current.plan.recurrences[layer.recurrences[0]]
    np.testing.assert_allclose(window.initial[:, :, 0], np.tile([1, 0, -1, 0.1], (R, 1)))  # type: ignore[index]


@pytest.mark.parametrize("kernels", KINDS)
def test_random_states(kernels: str) -> None:
    B, H = 200, 50
    layer = nn.LSTM(1, H, internal_state="random", state_var=0.25)
    net = network(layer, (1, 1), kernels=kernels)

    def initial() -> Host:
        net(np.zeros((B, 1, 1)))
        return np.array(net.current.plan.recurrences[layer.recurrences[0]].initial)

    first, second = initial(), initial()
    means = np.concatenate([first[:, 0::2], second[:, 0::2]])
    assert (first[:, 0::2] != second[:, 0::2]).mean() > 0.99
    assert abs(means.mean()) < 0.005
    assert abs(means.std() - 0.1) < 0.002
    assert np.abs(means).max() <= 0.1 * np.sqrt(3)
    np.testing.assert_array_equal(first[:, 1::2], 0.25)
    # The same seed draws the same; prediction takes the moments instead.
    again = network(nn.LSTM(1, H, internal_state="random"), (1, 1), kernels=kernels)
    again(np.zeros((B, 1, 1)))
    (window,) = again.current.plan.recurrences.values()
    np.testing.assert_array_equal(window.initial[:, 0::2], first[:, 0::2])  # type: ignore[index]
    net.eval()
    predicted = initial()
    np.testing.assert_array_equal(predicted[:, 0::2], 0)
    np.testing.assert_allclose(predicted[:, 1::2], 0.26)


def test_a_variance_of_the_first_states() -> None:
    x = np.zeros((1, 2, 1))
    narrow, wide = (network(nn.LSTM(1, 3, state_var=v), (2, 1)) for v in (0.0, 1.0))
    assert (wide(x).var[:, 0] > narrow(x).var[:, 0]).all()


def test_recurrent_layers_are_found_inside() -> None:
    layers = [nn.LSTM(1, 2, tracking=True) for _ in range(2)]
    graph = nn.Graph([nn.Node("a", layers[0]), nn.Node("b", nn.Sequential(layers[1]))])
    assert list(nn.recurrences(graph)) == [layer.recurrences[0] for layer in layers]


def test_mistakes() -> None:
    net, states = tracked(1, 2, "numpy")
    with pytest.raises(UserError, match=r"batch of 3 rows, but recurrent states .* 2: .*rows=3"):
        net(np.zeros((3, 1, 2)))
    with pytest.raises(ValueError, match="1 states for 2 recurrent layers"):
        states.set([(1, 1, 1, 1)])
    with pytest.raises(ValueError, match=r"layer 1: states of sizes \[3, 3, 3\]"):
        states.set([np.ones((4, 3)), np.ones((3, 3))])
    with pytest.raises(ValueError, match="layer 0: a variance is negative"):
        states.set([-np.ones((4, 3)), np.ones((4, 3))])
    assert np.isnan(states.get()[1].mu_h).all()
    with pytest.raises(ValueError, match=r"rows \[2\]: states are kept for 0 to 1"):
        states.reset([2])
    for rows in ([0, 2], [0, 1, 1]):
        with pytest.raises(ValueError, match="states are kept for 0 to 1"):
            states.continue_from(rows)
    plain = network(nn.LSTM(1, 2), (1, 1))
    with pytest.raises(ValueError, match=r"LSTM\(1,2\) carries no states"):
        nn.RecurrentStates(plain.layer, plain.parameters)
