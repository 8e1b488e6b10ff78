"""Normalisation of rows: layer norm and root-mean-square norm."""

from __future__ import annotations

import numpy as np
import pytest
from affine_oracle import assert_sampled, build, units

from tagi_cli import nn

# Row shape, normalised shape, and how the layer sees a batch of 4: rows, features, positions.
SHAPES = [
    ((5,), (5,), (4, 5, 1)),
    ((3, 2, 4), (3, 2, 4), (4, 3, 8)),
    ((3, 2, 4), (24,), (4, 24, 1)),
    ((24,), (3, 2, 4), (4, 3, 8)),
    ((3, 5), (5,), (12, 5, 1)),
    ((6,), (), (4, 6, 1)),
]
MAKERS = [nn.LayerNorm, nn.RMSNorm]


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(("shape", "normalized", "elements"), SHAPES)
def test_moments_and_innovations_by_sampling(
    shape: tuple[int, ...],
    normalized: tuple[int, ...],
    elements: tuple[int, int, int],
    make: object,
    kernels: str,
) -> None:
    """RMSNorm of pytagi fails this in variance, input and parameter innovations."""
    layer = make(normalized)
    net = build(layer, shape, kernels)
    assert_sampled(net, layer, units(4, *shape), elements, per_row=True)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("scale", [1e-10, 1e-4, 1e4])
def test_moments_and_innovations_at_other_scales(scale: float, make: type) -> None:
    """Of the input's variances, from next to none to far more than the means are apart."""
    layer = make((3, 2, 4))
    net = build(layer, (3, 2, 4), "auto")
    mu, var = units(4, 3, 2, 4)
    assert_sampled(net, layer, (mu, scale * var), (4, 3, 8), per_row=True)


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize(("shape", "normalized", "elements"), SHAPES)
def test_statistics_of_rows(
    shape: tuple[int, ...],
    normalized: tuple[int, ...],
    elements: tuple[int, int, int],
    kernels: str,
) -> None:
    mu, var = units(4, *shape)
    rows = mu.reshape(elements[0], -1)
    n, total = rows.shape[1], var.reshape(elements[0], -1).sum(axis=1)
    centred = ((rows - rows.mean(axis=1, keepdims=True)) ** 2).sum(axis=1) + total
    cases = [
        (nn.LayerNorm(normalized), rows.mean(axis=1), centred / (n - 1)),
        (nn.LayerNorm(normalized, statistics="mixture"), rows.mean(axis=1), centred / n),
        (nn.RMSNorm(normalized), np.zeros(len(rows)), ((rows**2).sum(axis=1) + total) / n),
    ]
    for layer, mean, spread in cases:
        net = build(layer, shape, kernels)
        net(mu, var)
        got = net.current.plan.statistics[layer]
        np.testing.assert_allclose(got[0], mean, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(got[1], spread, rtol=1e-12)


def test_without_any_variance_they_are_the_deterministic_layers() -> None:
    x = np.random.default_rng(0).normal(2, 3, size=(5, 7))
    centred = x - x.mean(axis=1, keepdims=True)
    plain = {
        nn.LayerNorm((7,), eps=1e-3, statistics="mixture"): centred
        / np.sqrt(x.var(axis=1, keepdims=True) + 1e-3),
        nn.RMSNorm((7,), eps=1e-3): x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-3),
    }
    for layer, standardised in plain.items():
        net = build(layer, (7,))
        for tensor in net.parameters.tensors.values():
            tensor.assign(tensor.mu, np.zeros(7))
        mu, var = net(x)
        bias = 0 if layer.bias is None else layer.bias.mu
        np.testing.assert_allclose(mu, layer.weight.mu * standardised + bias, rtol=1e-12)
        assert (var == 0).all()


@pytest.mark.parametrize("make", MAKERS)
def test_training_and_prediction_agree_and_leave_no_state(make: object) -> None:
    """What pytagi saved after a forward pass could not be loaded into a fresh network."""
    net = build(make((4,)), (4,))
    x = units(3, 4)
    seen = net(*x)
    net.eval()
    np.testing.assert_array_equal(net(*x), seen)
    assert not net.parameters.states
    fresh = build(make((4,)), (4,))
    fresh.load_state_dict(net.state_dict())


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("kernels", ["numpy", "auto"])
def test_one_unit_and_no_rows_are_finite(make: object, kernels: str) -> None:
    for rows, n in ((2, 1), (0, 3)):
        net = build(make((n,)), (n,), kernels)
        assert np.isfinite(net(*units(rows, n))).all()


def test_the_step_moves_a_gain_by_its_variance() -> None:
    """Deltas are `var G` and `var^2 L`; pytagi's RMSNorm leaves the variance out."""
    layer = nn.RMSNorm((4,))
    net = build(layer, (4,))
    net(*units(5, 4))
    for d, sign in zip(net.innovations(), (1, -1), strict=True):
        d.fill(0.01 * sign)
    net.backward()
    mu, var, G, L = (np.array(getattr(layer.weight, name)) for name in ("mu", "var", "G", "L"))
    net.step()
    np.testing.assert_allclose(layer.weight.mu, mu + var * G, rtol=1e-12)
    np.testing.assert_allclose(layer.weight.var, var + var**2 * L, rtol=1e-12)


# Root mean square error of mean, standard deviation and J over 20 rows of standard normal means, by
# the number of units and their variance; docs/theory/normalisation.md tells the same.
ERRORS = [
    (nn.LayerNorm, 8, 0.1, (0.02, 0.06, 0.28)),
    (nn.LayerNorm, 8, 1.0, (0.03, 0.06, 0.12)),
    (nn.LayerNorm, 32, 0.1, (0.008, 0.015, 0.09)),
    (nn.LayerNorm, 32, 1.0, (0.015, 0.018, 0.04)),
    (nn.RMSNorm, 8, 0.1, (0.01, 0.04, 0.19)),
    (nn.RMSNorm, 32, 1.0, (0.015, 0.018, 0.03)),
]


def plain(layer: nn.Normalisation, a: np.ndarray) -> np.ndarray:
    """The deterministic layer with gain 1 and bias 0."""
    middle = 0 if isinstance(layer, nn.RMSNorm) else a.mean(axis=-1, keepdims=True)
    n = a.shape[-1] - layer.unbiased
    return (a - middle) / np.sqrt(((a - middle) ** 2).sum(axis=-1, keepdims=True) / n + layer.eps)


@pytest.mark.parametrize(("make", "n", "v", "bounds"), ERRORS)
def test_errors_of_statistics_as_constants(
    make: type, n: int, v: float, bounds: tuple[float, ...]
) -> None:
    layer = make()
    net = build(layer, (n,))
    for tensor, value in zip(net.parameters.tensors.values(), (1, 0), strict=False):
        tensor.assign(np.full(n, value), np.zeros(n))
    rng = np.random.default_rng(0)
    m, var = rng.normal(size=(20, n)), v * (0.5 + rng.random((20, n)))
    mu, var_z = net(m, var)
    jac = 1 / np.sqrt(net.current.plan.statistics[layer][1] + layer.eps)
    squares = np.zeros(3)
    for row in range(20):
        a = m[row] + np.sqrt(var[row]) * rng.standard_normal((4000, n))
        z = plain(layer, a)
        slope = ((z - z.mean(axis=0)) * (a - m[row])).mean(axis=0) / var[row]
        pairs = (mu[row], z.mean(axis=0)), (np.sqrt(var_z[row]), z.std(axis=0)), (jac[row], slope)
        squares += [float(np.mean((ours - theirs) ** 2)) for ours, theirs in pairs]
    assert (np.sqrt(squares / 20) < bounds).all(), np.sqrt(squares / 20)


def test_wrong_sizes_and_options_are_refused() -> None:
    with pytest.raises(nn.ShapeError, match=r"LayerNorm\(\[5\]\) takes 5 units, or rows of them"):
        build(nn.LayerNorm((5,)), (4,))
    with pytest.raises(ValueError, match="sizes must be positive"):
        nn.RMSNorm((0,))
    with pytest.raises(ValueError, match="eps is -1"):
        nn.LayerNorm((3,), eps=-1)


def test_priors() -> None:
    layer = nn.LayerNorm((3, 5, 5))
    nn.Network(layer, (3, 5, 5))
    np.testing.assert_array_equal(layer.weight.mu, np.ones(3))
    np.testing.assert_allclose(layer.weight.var, 1 / 3)
    np.testing.assert_allclose(layer.bias.var, 1 / 3)
    assert nn.Network(nn.LayerNorm((5,), bias=False), (5,)).parameters.size == 5
    assert nn.Network(nn.RMSNorm((5,), gain_weight=2), (5,)).parameters.var[0] == pytest.approx(0.8)
