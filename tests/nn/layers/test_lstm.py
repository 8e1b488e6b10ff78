"""Forward moments of the LSTM: sampling, the deterministic limit, windows, stacks, directions."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from monte_carlo import assert_moments, moments_of
from plain_lstm import cell, window
from scipy.special import expit

from tagi_cli import nn
from tagi_cli.backend import select, threads
from tagi_cli.backend.reference import KERNELS

Host = np.ndarray[Any, Any]
KINDS = ["numpy", "auto"]


def network(
    layer: nn.Layer, shape: tuple[int, ...], kernels: str = "numpy", rows: int = 1, seed: int = 0
) -> nn.Network:
    backend = select(kernels=kernels, precision="float64")
    return nn.Network(
        layer,
        shape,
        backend=backend,
        parameters=nn.Parameters(backend, rows),
        rng=np.random.default_rng(seed),
    )


def certain(net: nn.Network) -> None:
    """Make all parameters certain."""
    for tensor in net.parameters.tensors.values():
        tensor.assign(tensor.mu, np.zeros(tensor.shape))


def draw(rng: np.random.Generator, mu: Host, var: Host, n: int) -> Host:
    return mu + np.sqrt(var) * rng.standard_normal((n, *mu.shape))


def one_step(covariance: str, scale: float, kernels: str = "numpy") -> tuple[Any, ...]:
    """Moments of h and c of one step, and samples of them; `scale` is that of all variances."""
    I, H, n = 2, 3, 100_000
    layer = nn.LSTM(I, H, 1, covariance=covariance, internal_state="given")
    net = network(layer, (1, I), kernels)
    rng = np.random.default_rng(5)
    assert layer.weight is not None
    assert layer.bias is not None
    w = rng.normal(0, 1, layer.weight.shape), scale * rng.random(layer.weight.shape)
    b = rng.normal(0, 0.5, layer.bias.shape), scale * rng.random(layer.bias.shape)
    layer.weight.assign(*w)
    layer.bias.assign(*b)
    x = rng.normal(size=I), scale * (1 + rng.random(I))
    h = 0.5 * rng.normal(size=H), scale * (1 + rng.random(H))
    c = rng.normal(size=H), scale * (1 + rng.random(H))
    states = nn.RecurrentStates(layer, net.parameters)
    states.set([(*h, *c)])
    net(x[0], x[1])
    state = net.current.plan.recurrences[layer.recurrences[0]].states[0, 0]
    u = [np.concatenate(parts) for parts in zip(x, h, strict=True)]
    samples = cell(*(draw(rng, *part, n) for part in (u, c, w, b)))
    return state, samples


@pytest.mark.parametrize("kernels", KINDS)
def test_moments_of_a_step_by_sampling(kernels: str) -> None:
    (mu_h, var_h, mu_c, var_c), (h, c) = one_step("full", 2e-3, kernels)
    assert_moments(h, mu_h, var_h)
    assert_moments(c, mu_c, var_c)


def test_pytagi_leaves_out_covariances_that_matter() -> None:
    (_, var_h, _, var_c), (h, c) = one_step("peer", 2e-3)
    for samples, var in ((h, var_h), (c, var_c)):
        _, _, sampled, error = moments_of(samples)
        assert (np.abs(sampled - var) > 10 * error).any()


def test_wide_moments_are_close() -> None:
    # What the theory page states for states and weights with a standard deviation near one half.
    (mu_h, var_h, _, _), (h, _) = one_step("full", 0.2)
    assert np.abs(h.mean(axis=0) - mu_h).max() < 0.02
    assert np.abs(h.std(axis=0) / np.sqrt(var_h) - 1).max() < 0.15


def test_products_of_gaussian_gates_are_exact() -> None:
    H, n = 1, 400_000
    rng = np.random.default_rng(2)
    m = np.array([0.4, -0.2, 0.7, 0.3])
    cov = 0.8 + 0.4 * np.eye(4)
    pairs = [cov[a, b] for a, b in combinations(range(4), 2)]
    sums = np.concatenate([m, np.diag(cov), pairs]).reshape(1, 14, H)
    before = np.array([0.0, 0.0, 1.5, 0.8]).reshape(1, 4, H)
    out, states, jac, u = (
        np.zeros((2, 1, 1, H)),
        np.zeros((1, 1, 4, H)),
        np.zeros((1, 1, 6, H)),
        np.zeros((2, 1, 1, 1)),
    )
    KERNELS["lstm_cell_forward"](
        *out, states, jac, *u, sums, before, None, None, 1, 1, 0, H, 0, H, 0, 0, 0, 1
    )
    v = np.diag(cov)
    narrow = 1 / np.sqrt(1 + np.pi / 8 * v * np.array([1, 1, 4, 1]))
    value = np.where(np.arange(4) == 2, np.tanh(narrow * m), expit(narrow * m))
    slope = narrow * np.where(np.arange(4) == 2, 1 - value**2, value * (1 - value))
    z = rng.multivariate_normal(np.zeros(4), cov, n)
    f, i, g, o = (value + slope * z).T
    c = f * (1.5 + np.sqrt(0.8) * rng.standard_normal(n)) + i * g
    mu_h, var_h, mu_c, var_c = states.ravel()
    assert_moments(c, mu_c, var_c)
    # h is exact where c is Gaussian: sampled as such, with the covariance that c has with o.
    mean, joint = [value[3], mu_c], np.cov(o, c)
    joint[1, 1] = var_c
    o, c = rng.multivariate_normal(mean, joint, n).T
    narrow = 1 / np.sqrt(1 + np.pi / 2 * var_c)
    a = np.tanh(narrow * mu_c)
    h = o * (a + narrow * (1 - a * a) * (c - mu_c))
    mean, error, var, var_error = moments_of(h)
    # The covariance was sampled, too.
    assert abs(mean - mu_h) < 12 * error
    assert abs(var - var_h) < 12 * var_error


@pytest.mark.parametrize(("m", "v"), [(0, 0.5), (0, 5), (1, 1), (2, 2), (-3, 1)])
def test_gates_of_wide_gaussians(m: float, v: float) -> None:
    # One unit, i and o open: c = f of certain c before. The formula's error is in the theory page.
    sums = np.zeros((1, 14, 1))
    sums[0, 0], sums[0, 4], sums[0, 1], sums[0, 3] = m, v, -50, 50
    before = np.array([0.0, 0, 1, 0]).reshape(1, 4, 1)
    states, jac = np.zeros((1, 1, 4, 1)), np.zeros((1, 1, 6, 1))
    KERNELS["lstm_cell_forward"](
        *np.zeros((2, 1, 1, 1)), states, jac, *np.zeros((2, 1, 1, 1)), sums, before, None, None,
        1, 1, 0, 1, 0, 1, 0, 0, 0, 1,
    )  # fmt: skip
    z, weight = np.polynomial.hermite_e.hermegauss(80)
    weight /= weight.sum()
    f = expit(m + np.sqrt(v) * z)
    mean = weight @ f
    assert abs(states[0, 0, 2, 0] - mean) < 0.02
    assert abs(jac[0, 0, 0, 0] - weight @ (f * (1 - f))) < 0.03
    sd = np.sqrt(weight @ (f - mean) ** 2)
    assert 0.65 < np.sqrt(states[0, 0, 3, 0]) / sd < 1.05


@pytest.mark.parametrize("kernels", KINDS)
def test_variances_stay_those_of_bounded_units(kernels: str) -> None:
    # pytagi's linearised gates let variances grow from step to step without bound.
    for covariance, bounded in (("full", True), ("peer", False)):
        net = network(nn.LSTM(3, 20, 60, covariance=covariance), (60, 3), kernels)
        for tensor in net.parameters.tensors.values():
            tensor.assign(tensor.mu, np.full(tensor.shape, 4.0))
        with np.errstate(all="ignore"):
            var = net(np.random.default_rng(0).normal(size=(5, 60, 3))).var
        assert (bool(np.isfinite(var).all()) and var.max() < 2) == bounded


@pytest.mark.parametrize("kernels", KINDS)
@pytest.mark.parametrize("covariance", ["full", "peer"])
def test_certain_parameters_give_the_deterministic_network(covariance: str, kernels: str) -> None:
    B, T, I, H = 3, 5, 2, 4
    layer = nn.LSTM(I, H, depth=2, bidirectional=True, covariance=covariance)
    net = network(layer, (T, I), kernels)
    certain(net)
    x = np.random.default_rng(0).normal(size=(B, T, I))
    want = x
    for level in layer.stack:
        want = np.concatenate(
            [window(want, r.weight.mu, r.bias.mu, reverse=r.reverse) for r in level], axis=2
        )
    mu, var = net(x)
    np.testing.assert_allclose(mu, want, atol=1e-12)
    np.testing.assert_array_equal(var, 0)


def test_a_window_remembers_and_its_rows_do_not_mix() -> None:
    T = 6
    net = network(nn.LSTM(1, 4), (T, 1))
    x = np.random.default_rng(0).normal(size=(3, T, 1))
    mu, var = net(x)
    x[1, 0] += 1
    changed, _ = net(x)
    assert (changed[1] != mu[1]).all()
    np.testing.assert_array_equal(changed[[0, 2]], mu[[0, 2]])
    alone = net(x[2:])
    np.testing.assert_allclose(alone.mu[0], mu[2], rtol=1e-12)
    np.testing.assert_allclose(alone.var[0], var[2], rtol=1e-12)


@pytest.mark.parametrize("kernels", KINDS)
def test_both_directions_are_two_windows(kernels: str) -> None:
    T, I, H = 5, 2, 3
    both = nn.LSTM(I, H, bidirectional=True)
    net = network(both, (T, I), kernels)
    x = np.random.default_rng(0).normal(size=(2, T, I))
    mu, var = net(x)
    for k, each in enumerate(both.recurrences):
        single = nn.LSTM(I, H)
        alone = network(single, (T, I), kernels)
        for name in ("weight", "bias"):
            parameter = getattr(each, name)
            getattr(single, name).assign(parameter.mu, parameter.var)
        one = alone(x[:, ::-1] if k else x)
        for got, want in zip((mu, var), one, strict=True):
            part = got[..., k * H : (k + 1) * H]
            np.testing.assert_allclose(part, want[:, ::-1] if k else want, rtol=1e-12)


@pytest.mark.parametrize("kernels", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("recurrent", [False, True])
def test_the_last_step_alone(recurrent: bool, bidirectional: bool, kernels: str) -> None:
    T, I, H = 4, 2, 3
    x = np.random.default_rng(0).normal(size=(2, T, I))
    options = {"depth": 2, "bidirectional": bidirectional, "recurrent": recurrent}
    every = network(nn.LSTM(I, H, **options), (T, I), kernels)
    last = network(nn.LSTM(I, H, output="last", **options), (T, I), kernels)
    assert last.output_shape == (2 * H if bidirectional else H,)
    for got, want in zip(last(x), every(x), strict=True):
        np.testing.assert_allclose(got[:, :H], want[:, -1, :H], rtol=1e-12)
        if bidirectional:
            step = 0 if recurrent else -1
            np.testing.assert_allclose(got[:, H:], want[:, step, H:], rtol=1e-12)


def test_steps_that_are_not_recurrent_stand_for_themselves() -> None:
    T, I, H = 4, 2, 3
    net = network(nn.LSTM(I, H, recurrent=False), (T, I))
    single = network(nn.LSTM(I, H), (1, I))
    single.load_state_dict(net.state_dict())
    x = np.random.default_rng(0).normal(size=(2, T, I))
    for got, want in zip(net(x), single(x.reshape(2 * T, 1, I)), strict=True):
        np.testing.assert_allclose(got.reshape(want.shape), want, rtol=1e-12)


def test_a_stack_is_layers_on_top_of_each_other_with_dropout_between() -> None:
    T, I, H = 3, 2, 4
    x = np.random.default_rng(0).normal(size=(2, T, I))
    stack = network(nn.LSTM(I, H, depth=2, dropout=0.3), (T, I))
    chain = network(nn.Sequential(nn.LSTM(I, H), nn.Dropout(0.7), nn.LSTM(H, H)), (T, I))
    chain.load_state_dict(dict(zip(chain.state_dict(), stack.state_dict().values(), strict=True)))
    for training in (True, False):
        stack.training = chain.training = training
        for got, want in zip(stack(x), chain(x), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize("shape", [(8,), (4, 2)])
def test_sizes_are_inferred(shape: tuple[int, ...]) -> None:
    for layer in (nn.LSTM(0, 3, 4), nn.LSTM(2, 3, 0), nn.LSTM(2, 3, 4)):
        assert network(layer, shape).output_shape == (4, 3)
        assert (layer.seq_len, layer.input_size) == (4, 2)
    assert network(nn.LSTM(0, 3), (5,)).output_shape == (1, 3)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.LSTM(2, 3, 4), (7,)),
        (nn.LSTM(2, 3, 4), (2, 4)),
        (nn.LSTM(3, 3), (7,)),
        (nn.LSTM(0, 3, 5), (4, 2)),
    ],
)
def test_a_window_that_does_not_fit_is_named(layer: nn.LSTM, shape: tuple[int, ...]) -> None:
    with pytest.raises(nn.ShapeError, match=r"LSTM\(\d,3\) takes windows of \d steps with \d inp"):
        network(layer, shape)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_size": 0}, "sizes must be positive"),
        ({"depth": 0}, "sizes must be positive"),
        ({"output": "first"}, "output 'first': allowed are all, last"),
        ({"dropout": 1.0}, "dropout 1.0 must lie in 0 to 1"),
        ({"covariance": "none"}, "covariance 'none': allowed are full, peer"),
        ({"internal_state": "ones"}, "internal_state 'ones': allowed are zeros, random, given"),
        ({"carry": "all"}, "carry 'all': allowed are posterior, prior"),
        ({"state_var": -1.0}, "state_var -1.0: a variance is not negative"),
        ({"tracking": True, "bidirectional": True}, "nothing to track in both directions"),
        ({"tracking": True, "recurrent": False}, "not recurrent have no internal_state"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nn.LSTM(**{"input_size": 2, "output_size": 3} | options)


def test_the_prior() -> None:
    I, H = 60, 40
    layer = nn.LSTM(I, H, gain_weight=0.5, gain_bias=2.0, forget_bias=3.0)
    network(layer, (2, I))
    assert layer.weight is not None
    assert layer.bias is not None
    assert layer.weight.shape == (4 * H, I + H)
    np.testing.assert_allclose(layer.weight.var, 0.25 / (I + H))
    np.testing.assert_allclose(layer.bias.var, 4 / (I + H))
    assert abs(layer.weight.mu.std() * np.sqrt(I + H) - 1) < 0.03
    assert abs(layer.bias.mu[:H].mean() - 3) < 0.05
    assert abs(layer.bias.mu[H:].mean()) < 0.05
    assert network(nn.LSTM(2, 3, bias=False), (2, 2)).parameters.size == 4 * 3 * 5


def test_a_batch_of_no_rows() -> None:
    net = network(nn.Sequential(nn.LSTM(2, 3, 4), nn.Linear(0, 1)), (4, 2), "auto")
    assert net(np.zeros((0, 4, 2))).mu.shape == (0, 1)
    nn.OutputUpdater(net).update(np.zeros((0, 1)), np.ones(1))
    net.backward()
    assert not net.parameters.G.any()


def test_the_number_of_threads_changes_nothing() -> None:
    results = []
    for count in (1, 2):
        with threads.limited(count):
            backend = select(precision="float32")
            net = nn.Network(
                nn.LSTM(30, 70, bidirectional=True), (6, 30), backend=backend,
                rng=np.random.default_rng(0), input_innovation=True,
            )  # fmt: skip
            mu, var = net(np.random.default_rng(1).normal(size=(37, 6, 30)))
            for k, d in enumerate(net.innovations()):
                d[...] = np.random.default_rng(k).normal(size=d.shape)
            net.backward()
            results.append((mu, var, *net.input_innovations(), net.parameters.L.copy()))
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)
