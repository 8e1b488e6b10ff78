"""Smoothing of recurrent states, against exact posteriors of linear Gaussian models."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from scipy.special import logit

from tagi_cli import nn
from tagi_cli.backend import select

Host = np.ndarray[Any, Any]


def network(
    *layers: nn.Layer, shape: tuple[int, ...], rows: int = 1, kernels: str = "numpy"
) -> nn.Network:
    backend = select(kernels=kernels, precision="float64")
    return nn.Network(
        nn.Sequential(*layers), shape, backend=backend, parameters=nn.Parameters(backend, rows),
        rng=np.random.default_rng(0), rule="information_capped",
    )  # fmt: skip


def run(
    net: nn.Network, x: Host, var_x: Host | None, y: Host, var_v: float, *, learn: bool
) -> nn.Smoother:
    """Go through windows `x (calls, B, T, I)` with targets `y (calls, B, T, O)`."""
    smoother, updater = nn.Smoother(net), nn.OutputUpdater(net)
    for k in range(len(x)):
        net(x[k], None if var_x is None else var_x[k])
        updater.update(y[k], np.array([var_v]))
        net.backward()
        smoother.record()
        if learn:
            net.step()
    return smoother


# A chain c_t = f c_(t-1) + e_t seen as y_t = o c_t + v_t: one unit, small enough to be linear, with
# certain weights, and an uncertain input that makes e_t.
F, I_GATE, O_GATE, Q, R, SMALL = 0.9, 0.5, 0.6, 0.3, 0.2, 1e-4


def chain(covariance: str, T: int, state_var: float = 0.0) -> nn.Network:
    layer = nn.SLSTM(1, 1, T, covariance=covariance, state_var=state_var)
    head = nn.SLinear(1, 1, bias=False)
    net = network(layer, head, shape=(T, 1))
    assert layer.weight is not None
    assert layer.bias is not None
    assert head.weight is not None
    weight = np.zeros((4, 2))
    weight[2, 0] = SMALL
    layer.weight.assign(weight, np.zeros((4, 2)))
    layer.bias.assign([logit(F), logit(I_GATE), 0, logit(O_GATE)], np.zeros(4))
    head.weight.assign([1 / SMALL], [0])
    return net


def exact(y: Host) -> tuple[Host, Host]:
    """Posterior of `o c_t` from the joint distribution of all steps."""
    n = len(y)
    decay = np.tril(F ** np.subtract.outer(np.arange(n), np.arange(n)).clip(0))
    prior = (O_GATE * I_GATE) ** 2 * Q * decay @ decay.T
    seen = ~np.isnan(y)
    gain = prior[:, seen] @ np.linalg.inv(prior[np.ix_(seen, seen)] + R * np.eye(seen.sum()))
    return gain @ y[seen], np.diag(prior - gain @ prior[seen])


def test_a_linear_chain_is_smoothed_exactly() -> None:
    n = 20
    y = np.random.default_rng(0).normal(size=n)
    y[[0, 1, 2, 9, 10, 11, 12]] = np.nan
    x = np.zeros((n, 1, 1, 1))
    smoother = run(chain("full", 1), x, np.full(x.shape, Q), y.reshape(n, 1, 1, 1), R, learn=False)
    assert len(smoother) == n
    mu, var, states, _, floored = smoother.smooth()
    want_mu, want_var = exact(y)
    np.testing.assert_allclose(mu.ravel(), want_mu, atol=1e-4)
    np.testing.assert_allclose(var.ravel(), want_var, atol=1e-4)
    np.testing.assert_allclose(O_GATE * states[0].mu_c.ravel() / SMALL, want_mu, atol=1e-4)
    assert floored == 0


@pytest.mark.parametrize("covariance", ["full", "peer"])
def test_what_was_before_the_first_step(covariance: str) -> None:
    # Without noise in the chain, all steps tell of where it began: y_t = o F^t c_0 + v_t.
    n, var = 10, SMALL**2
    y = np.random.default_rng(0).normal(2, 1, n)
    net = chain(covariance, 1, var)
    smoother = run(net, np.zeros((n, 1, 1, 1)), None, y.reshape(n, 1, 1, 1), R, learn=False)
    (initial,) = smoother.smooth().initial
    seen = O_GATE * F ** np.arange(1, n + 1) / SMALL
    precision = 1 / var + (seen**2).sum() / R
    np.testing.assert_allclose(initial.mu_c.ravel(), seen @ y / R / precision, rtol=1e-3)
    np.testing.assert_allclose(initial.var_c.ravel(), 1 / precision, rtol=1e-3)
    smoother.restart([initial])
    (carried,) = nn.RecurrentStates(net.layer, net.parameters).get()
    np.testing.assert_allclose(carried.mu_c, initial.mu_c)


def test_pytagi_smooths_cells_alike_but_not_what_is_seen_of_them() -> None:
    n = 20
    y = np.random.default_rng(0).normal(size=n)
    y[5:12] = np.nan
    x = np.zeros((n, 1, 1, 1))
    states = run(
        chain("peer", 1), x, np.full(x.shape, Q), y.reshape(n, 1, 1, 1), R, learn=False
    ).smooth().states  # fmt: skip
    want_mu, want_var = exact(y)
    scale = O_GATE / SMALL
    np.testing.assert_allclose(scale * states[0].mu_c.ravel(), want_mu, atol=1e-4)
    np.testing.assert_allclose(scale**2 * states[0].var_c.ravel(), want_var, atol=1e-4)
    assert np.abs(states[0].mu_h.ravel() / SMALL - want_mu).max() > 0.1


@pytest.mark.parametrize("covariance", ["full", "peer"])
def test_windows_of_several_steps_take_in_what_later_ones_say(covariance: str) -> None:
    n, T = 24, 4
    y = np.full(n, np.nan)
    y[-T:] = 1.0
    x = np.zeros((n // T, 1, T, 1))
    smoother = run(
        chain(covariance, T), x, np.full(x.shape, Q), y.reshape(-1, 1, T, 1), R, learn=False
    )
    state = smoother.smooth().states[0]
    filtered = np.concatenate(
        [c.states[0, :, 2] + c.states[0, :, 3] * c.d_states[0, :, 2] for c in smoother._calls[0]]
    ).ravel()
    assert not filtered[:-T].any()
    # What is learnt fades backwards by cov(c_t, c_(t+1)) / var(c_(t+1)).
    prior = np.cumsum(F ** (2 * np.arange(n)))
    gain = F * prior[:-1] / prior[1:]
    before = state.mu_c[: n - T, 0, 0]
    assert (before > 0).all()
    np.testing.assert_allclose(before[:-1], gain[: n - T - 1] * before[1:], rtol=1e-4)


def test_inside_a_call_states_move_with_the_posterior_of_the_next() -> None:
    net = chain("peer", 2)
    smoother, updater = nn.Smoother(net), nn.OutputUpdater(net)
    y = np.random.default_rng(0).normal(size=(2, 1, 2, 1))
    prior, posterior = [], []
    for k in range(2):
        net(np.zeros((1, 2, 1)), np.full((1, 2, 1), Q))
        updater.update(y[k], np.array([R]))
        net.backward()
        smoother.record()
        (window,) = net.current.plan.recurrences.values()
        mu, var = (np.array(window.states)[0, :, i] for i in (2, 3))
        d_mu, d_var = (np.array(window.d_states)[0, :, i] for i in (2, 3))
        prior += list(zip(mu, var, strict=True))
        posterior += list(zip(mu + var * d_mu, var + var**2 * d_var, strict=True))
    (_, v0), (_, v1), (m2, v2), _ = np.array(prior)[..., 0]
    p0, p1, p2, p3 = np.array(posterior)[..., 0]
    c = smoother.smooth().states[0].mu_c.ravel()
    assert c[3] == pytest.approx(p3[0])
    assert c[2] == pytest.approx(p2[0])
    assert c[1] - p1[0] == pytest.approx(F * p1[1] / v2 * (c[2] - m2))
    assert c[0] - p0[0] == pytest.approx(F * v0 / v1 * (c[1] - p1[0]))


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("covariance", ["full", "peer"])
def test_rows_are_series_of_their_own_and_outputs_have_any_number(
    covariance: str, kernels: str
) -> None:
    calls, B, T, O = 6, 2, 2, 3
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(calls, B, T, 2)), rng.normal(size=(calls, B, T, O))
    y[2, 0] = np.nan

    def smooth(rows: slice) -> nn.Smoothed:
        net = network(
            nn.SLSTM(2, 4, T, covariance=covariance), nn.SLSTM(4, 3, T, covariance=covariance),
            nn.SLinear(0, O), shape=(T, 2), rows=B, kernels=kernels,
        )  # fmt: skip
        return run(net, x[:, rows], None, y[:, rows], 0.1, learn=False).smooth()

    both = smooth(slice(0, B))
    assert both.mu.shape == both.var.shape == (calls * T, B, O)
    assert [state.mu_c.shape for state in both.states] == [(calls * T, B, 4), (calls * T, B, 3)]
    assert (both.var >= 0).all()
    for row in range(B):
        alone = smooth(slice(row, row + 1))
        np.testing.assert_allclose(both.mu[:, row], alone.mu[:, 0], rtol=1e-8)
        np.testing.assert_allclose(both.var[:, row], alone.var[:, 0], rtol=1e-8)


@pytest.mark.parametrize("covariance", ["full", "peer"])
def test_variances_are_not_negative_where_outputs_agree_too_much(covariance: str) -> None:
    # Each of many outputs is conditioned by itself, as if it alone had told of the states.
    rng = np.random.default_rng(0)
    O, n = 40, 15
    net = network(
        nn.SLSTM(1, 5, covariance=covariance, state_var=1.0), nn.SLinear(0, O), shape=(1, 1)
    )
    smoothed = run(
        net, rng.normal(size=(n, 1, 1, 1)), None, np.ones((n, 1, 1, O)), 1e-4, learn=False
    ).smooth()
    for state in smoothed.states:
        assert (state.var_h >= 0).all()
        assert (state.var_c >= 0).all()
    assert np.isfinite(smoothed.mu).all()
    assert (smoothed.var >= 0).all()
    if covariance == "full":
        assert smoothed.floored == 0


def test_certain_states_stay_as_they_are() -> None:
    net = network(nn.SLSTM(1, 3), nn.SLinear(0, 1), shape=(1, 1))
    for tensor in net.parameters.tensors.values():
        tensor.assign(tensor.mu, np.zeros(tensor.shape))
    x = np.random.default_rng(0).normal(size=(5, 1, 1, 1))
    smoother = run(net, x, None, np.ones((5, 1, 1, 1)), 0.1, learn=False)
    filtered = np.concatenate([call.states[0, :, 0] for call in smoother._calls[0]])
    smoothed = smoother.smooth()
    np.testing.assert_array_equal(smoothed.states[0].mu_h[:, 0], filtered)
    np.testing.assert_array_equal(smoothed.var, 0)


def test_starting_again() -> None:
    net = network(nn.SLSTM(1, 3), nn.SLinear(0, 1), shape=(1, 1))
    x, y = np.ones((4, 1, 1, 1)), np.ones((4, 1, 1, 1))
    smoother = run(net, x, None, y, 0.1, learn=False)
    first = smoother.smooth()
    smoother.restart()
    assert len(smoother) == 0
    with pytest.raises(ValueError, match="nothing to smooth"):
        smoother.smooth()
    np.testing.assert_array_equal(run(net, x, None, y, 0.1, learn=False).smooth().mu, first.mu)


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="no SLSTM: there are no states to smooth"):
        nn.Smoother(network(nn.LSTM(1, 2), shape=(1, 1)))
    net = network(nn.SLSTM(1, 3), shape=(1, 1), rows=2)
    smoother = nn.Smoother(net)
    for rows in (2, 1):
        net(np.ones((rows, 1, 1)))
        net.innovations()[0][...] = net.innovations()[1][...] = 0
        net.backward()
        if rows == 2:
            smoother.record()
    with pytest.raises(ValueError, match="1 rows after calls with 2"):
        smoother.record()
    assert smoother.smooth().mu.shape == (1, 2, 3)
    with pytest.raises(nn.ShapeError, match=r"SLinear\(4,1\) takes 4 units"):
        network(nn.SLSTM(1, 3), nn.SLinear(4, 1), shape=(1, 1))


def test_memory_grows_with_the_states_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    H, n = 30, 600
    net = network(nn.SLSTM(1, H), nn.SLinear(0, 1), shape=(1, 1))
    x = np.random.default_rng(0).normal(size=(n, 1, 1, 1))
    smoother = run(net, x, None, np.sin(x), 0.1, learn=False)
    weights = 4 * H * H
    assert smoother.nbytes == 8 * (n * 14 * H + weights)
    monkeypatch.setattr("tagi_cli.nn.rts._BLOCK", 1 << 14)
    tracemalloc.start()
    smoother.smooth()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A matrix per step would be 17 MB.
    assert n * (2 * H) ** 2 * 8 > 17e6
    assert peak < 8e6
    learning = run(net, x[:3], None, np.sin(x[:3]), 0.1, learn=True)
    assert learning.nbytes == 8 * 3 * (14 * H + weights)
    learning.restart()
    assert not learning.nbytes


def test_blocks_of_steps_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 9, 1, 2, 1))
    for covariance in ("full", "peer"):
        net = network(nn.SLSTM(1, 3, 2, covariance=covariance), nn.SLinear(0, 1), shape=(2, 1))
        smoother = run(net, x, None, y, 0.1, learn=True)
        whole = smoother.smooth()
        monkeypatch.setattr("tagi_cli.nn.rts._BLOCK", 3 * 2 * 6**2)
        parts = smoother.smooth()
        monkeypatch.undo()
        for one, other in zip(whole[:2], parts[:2], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("place", [0, 1])
def test_layers_that_carry_states_stand_in_front(place: int) -> None:
    layers = [nn.SLSTM(1, 2)]
    layers.insert(place, nn.LSTM(0, 1 + place, 1, tracking=True))
    net = network(*layers, nn.SLinear(0, 1), shape=(1, 1))
    if place:
        with pytest.raises(ValueError, match=r"LSTM\(2,2\) behind the last SLSTM goes on from sta"):
            nn.Smoother(net)
        return
    x = np.ones((3, 1, 1, 1))
    assert run(net, x, None, x, 0.1, learn=False).smooth().mu.shape == (3, 1, 1)


@pytest.mark.parametrize("T", [1, 2])
def test_later_observations_leave_no_state_less_known(T: int) -> None:
    rng = np.random.default_rng(0)
    n = 24
    x, y = rng.normal(size=(n, 1, T, 2)), rng.normal(size=(n, 1, T, 1))
    y[: n // 2] = np.nan
    net = network(nn.SLSTM(2, 12, T, state_var=0.5), nn.SLinear(0, 1), shape=(T, 2))
    smoother = run(net, x, None, y, 0.01, learn=True)
    calls = smoother._calls[0]
    states, d_states = (
        np.concatenate([getattr(call, name)[0] for call in calls])
        for name in ("states", "d_states")
    )
    (state,) = smoother.smooth().states
    for name, k in (("var_h", 1), ("var_c", 3)):
        filtered = states[:, k] + states[:, k] ** 2 * d_states[:, k]
        assert (getattr(state, name)[:, 0] <= filtered * (1 + 1e-9)).all()


def test_a_network_that_amplifies_blows_nothing_up_on_the_way_back() -> None:
    rng = np.random.default_rng(0)
    n, H = 300, 20
    layer = nn.SLSTM(2, H, state_var=0.1)
    net = network(layer, nn.SLinear(0, 1), shape=(1, 2))
    assert layer.weight is not None
    layer.weight.assign(6 * np.asarray(layer.weight.mu), np.asarray(layer.weight.var))
    x, y = rng.normal(size=(n, 1, 1, 2)), rng.normal(size=(n, 1, 1, 1))
    (state,) = run(net, x, None, y, 0.1, learn=False).smooth().states
    assert np.abs(state.mu_h).max() < 5
