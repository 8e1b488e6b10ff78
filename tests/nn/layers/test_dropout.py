"""Dropout as moments and as a drawn mask."""

from __future__ import annotations

import numpy as np
import pytest
from monte_carlo import assert_covariance, assert_moments

from tagi_cli import nn
from tagi_cli.backend import select

# Mean and variance of a unit: certain, narrow, wide.
POINTS = [(2.0, 0.0), (-1.0, 1e-6), (0.5, 1.0), (3.0, 25.0)]


def network(layer: nn.Layer, n: int = 4, kernels: str = "numpy", seed: int = 0) -> nn.Network:
    return nn.Network(
        layer,
        (n,),
        backend=select(kernels=kernels, precision="float64"),
        input_innovation=True,
        rng=np.random.default_rng(seed),
    )


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("keep", [0.3, 0.8])
@pytest.mark.parametrize(("m", "v"), POINTS)
def test_moments_by_sampling(m: float, v: float, keep: float, kernels: str) -> None:
    net = network(nn.Dropout(keep), 1, kernels)
    mu, var = net([[m]], [[v]])
    rng = np.random.default_rng(1)
    a = m + np.sqrt(v) * rng.standard_normal(200_000)
    z = a * (rng.random(200_000) < keep) / keep
    assert_moments(z, mu[0, 0], var[0, 0])
    assert_covariance(a, z, np.float64(v))  # J = 1


def test_moments_pass_innovations_on() -> None:
    net = network(nn.Dropout(0.4))
    net(np.ones((3, 4)), np.ones((3, 4)))
    d = net.innovations()
    d[0][...], d[1][...] = np.random.default_rng(0).normal(size=(2, 3, 4))
    net.backward()
    np.testing.assert_array_equal(net.input_innovations(), d)


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("certain", [False, True])
def test_a_sample_drops_units_and_their_innovations(certain: bool, kernels: str) -> None:
    keep, shape = 0.7, (50, 40)
    net = network(nn.Dropout(keep, mode="sample"), 40, kernels)
    rng = np.random.default_rng(0)
    x, v = rng.normal(size=shape), rng.random(shape)
    mu, var = net(x, None if certain else v)
    d_mu, d_var = net.innovations()
    d_mu.fill(1)
    d_var.fill(-1)
    net.backward()
    jac, squared = net.input_innovations()
    kept = jac != 0
    np.testing.assert_allclose(jac[kept], 1 / keep, rtol=1e-12)
    np.testing.assert_allclose(squared, -(jac**2), rtol=1e-12)
    np.testing.assert_allclose(mu, jac * x, rtol=1e-12)
    np.testing.assert_allclose(var, 0 * v if certain else jac**2 * v, rtol=1e-12)
    assert abs(kept.mean() - keep) < 6 * np.sqrt(keep * (1 - keep) / kept.size)


def masks(net: nn.Network, count: int) -> np.ndarray:
    return np.stack([net(np.ones((20, 50)))[0] != 0 for _ in range(count)])


def test_masks_are_independent_over_units_rows_and_batches() -> None:
    net = network(nn.Dropout(0.5, mode="sample"), 50)
    drawn = masks(net, 200).reshape(200, -1) - 0.5
    n = drawn.size
    for a, b in (
        (drawn[1:], drawn[:-1]),
        (drawn[:, 1:], drawn[:, :-1]),
        (drawn[:, 50:], drawn[:, :-50]),
    ):
        assert abs((a * b).mean()) < 6 * 0.25 / np.sqrt(n)
    assert np.abs(drawn.mean(axis=0)).max() < 6 * 0.5 / np.sqrt(200)


def test_both_modes_agree_on_average() -> None:
    """Law of total variance, over the drawn masks."""
    m, v = np.full((1, 3), 1.5), np.full((1, 3), 0.4)
    net = network(nn.Dropout(0.6, mode="sample"), 3)
    drawn = [net(m, v) for _ in range(20_000)]
    mu = np.concatenate([d.mu for d in drawn])
    var = np.concatenate([d.var for d in drawn])
    want = network(nn.Dropout(0.6), 3)(m, v)
    np.testing.assert_allclose(mu.mean(axis=0), want.mu[0], rtol=0.03)
    np.testing.assert_allclose(mu.var(axis=0) + var.mean(axis=0), want.var[0], rtol=0.03)


def test_a_loaded_network_draws_the_next_mask() -> None:
    nets = [network(nn.Dropout(0.5, mode="sample"), 50, seed=s) for s in (1, 2)]
    assert (masks(nets[0], 2) != masks(nets[1], 2)).any()
    nets[1].load_state_dict(nets[0].state_dict())
    np.testing.assert_array_equal(masks(nets[0], 3), masks(nets[1], 3))


def test_masks_are_the_same_on_every_backend_and_in_any_precision() -> None:
    drawn = []
    for kernels, precision in (("numpy", "float64"), ("numpy", "float32"), ("auto", "float32")):
        backend = select(kernels=kernels, precision=precision)
        layer = nn.Dropout(0.3, mode="sample")
        net = nn.Network(layer, (50,), backend=backend, rng=np.random.default_rng(0))
        drawn.append(masks(net, 3))
    assert (drawn[0] == drawn[1]).all()
    assert (drawn[0] == drawn[2]).all()


@pytest.mark.parametrize("mode", ["moments", "sample"])
def test_prediction_drops_nothing_unless_asked(mode: str) -> None:
    x, v = np.full((5, 40), 2.0), np.ones((5, 40))
    for at_eval in (False, True):
        net = network(nn.Dropout(0.5, mode=mode, at_eval=at_eval), 40)
        net.eval()
        mu, var = net(x, v)
        assert ((mu == x).all() and (var == v).all()) is not at_eval


def test_keeping_all_is_the_identity() -> None:
    x, v = np.random.default_rng(0).random((2, 3, 4))
    for mode in ("moments", "sample"):
        np.testing.assert_array_equal(network(nn.Dropout(1.0, mode=mode))(x, v), (x, v))


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("mode", ["moments", "sample"])
def test_keeping_nothing_gives_zeros_that_teach_nothing(mode: str, kernels: str) -> None:
    net = network(nn.Sequential(nn.Linear(4, 3), nn.Dropout(0, mode=mode)), 4, kernels)
    mu, var = net(np.ones((2, 4)))
    assert not mu.any()
    assert not var.any()
    for d in net.innovations():
        d.fill(1)
    net.backward()
    assert not net.parameters.G.any()
    assert not np.any(net.input_innovations())


def test_wrong_options_are_refused() -> None:
    for keep in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match=r"probability to keep a unit lies in 0 to 1"):
            nn.Dropout(keep)
    with pytest.raises(ValueError, match="mode 'mean': allowed are moments, sample"):
        nn.Dropout(0.5, mode="mean")
