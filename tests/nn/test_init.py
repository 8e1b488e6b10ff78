"""Priors of new parameters: distributions, gains, and who inherits them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tagi_cli import nn
from tagi_cli.nn import init
from tagi_cli.nn.init import InitOptions, Prior

BOUNDS = [(-2.0, 2.0), (-1.0, 3.0), (0.0, 1.0), (3.0, 4.0), (-6.0, -5.0), (-np.inf, 1.0)]


@pytest.mark.parametrize(("lower", "upper"), BOUNDS)
def test_the_deviation_of_a_truncated_normal_is_scipys(lower: float, upper: float) -> None:
    want = stats.truncnorm.std(lower, upper)
    np.testing.assert_allclose(init.truncated_std(lower, upper), want, rtol=1e-9)


def test_the_deviation_within_two_deviations() -> None:
    assert init.truncated_std(-2, 2) == pytest.approx(0.8796256610342398, rel=1e-15)


@pytest.mark.parametrize(("lower", "upper"), [*BOUNDS, (30.0, 31.0)])
def test_a_truncated_normal_is_scipys(lower: float, upper: float) -> None:
    c = init.truncated_std(lower, upper)
    drawn = init.truncated_normal((4000,), lower, upper, np.random.default_rng(0))
    assert drawn.min() * c >= lower - 1e-12 * abs(lower)
    assert drawn.max() * c <= upper + 1e-12 * abs(upper)
    assert stats.kstest(drawn * c, stats.truncnorm(lower, upper).cdf).pvalue > 1e-3


def test_bounds_that_hold_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="the lower bound 2 is not below 2"):
        init.truncated_std(2, 2)
    for bounds in ((1, 1 + 1e-5), (50, 51)):
        with pytest.raises(ValueError, match="too close to each other or too far out"):
            init.truncated_std(*bounds)


@pytest.mark.parametrize(
    ("options", "want"),
    [
        (InitOptions(), 0.1),
        (InitOptions(weights="kaiming_normal"), 0.1),
        (InitOptions(weights="kaiming_truncated_normal"), 0.1),
        (InitOptions(weights="xavier_normal"), np.sqrt(2 / 400)),
        (InitOptions(weights="xavier_truncated_normal", lower=-1, upper=1), np.sqrt(2 / 400)),
        (InitOptions(weights="truncated_normal", gain=0.3), 0.3),
        (InitOptions(gain=2), 0.2),
        (InitOptions(gain="leaky_relu"), 0.1 * np.sqrt(2 / 1.01)),
        (InitOptions(gain="leaky_relu", slope=0.5), 0.1 * np.sqrt(2 / 1.25)),
    ],
)
def test_means_and_variances_have_the_scale_of_the_gain(options: InitOptions, want: float) -> None:
    prior = Prior("He", 100, 300, options)
    rng = np.random.default_rng(1)
    mu, var = prior.weights((300, 100), rng, gain=0.5, gain_mean=2)
    np.testing.assert_allclose(mu.std(), 2 * want, rtol=0.03)
    np.testing.assert_allclose(var, (0.5 * want) ** 2, rtol=1e-12)
    mu, var = prior.bias((10_000,), rng, gain=3, gain_mean=1)
    np.testing.assert_allclose(mu.std(), want, rtol=0.03)
    np.testing.assert_allclose(var, (3 * want) ** 2, rtol=1e-12)


def test_variances_and_biases_have_options_of_their_own() -> None:
    rng = np.random.default_rng(0)
    for weights in (None, "kaiming_truncated_normal"):
        plain = Prior("He", 9, 9, InitOptions(weights=weights))
        prior = Prior("He", 9, 9, InitOptions(weights=weights, var_gain=2, bias="zeros"))
        for part in ("weights", "bias"):
            _, var = getattr(plain, part)((3,), rng, gain=1, gain_mean=1)
            mu, more = getattr(prior, part)((3,), rng, gain=1, gain_mean=1)
            np.testing.assert_allclose(more, 4 * var)
            assert mu.any() is np.bool_(part == "weights")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "he"}, "found weights 'he'. Allowed: kaiming_normal"),
        ({"bias": "ones"}, "found bias 'ones'. Allowed: random, zeros"),
        ({"gain": "relu"}, "found gain 'relu'. Allowed: a number above 0, leaky_relu"),
        ({"slope": 0.2}, "slope 0.2 means something with gain: leaky_relu only"),
        ({"lower": 0.0}, "lower 0 mean something with truncated weights only: kaiming_trunc"),
        ({"weights": "truncated_normal", "upper": -3.0}, "the lower bound -2 is not below -3"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    options: dict[str, float | str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        nn.Linear(3, 2, init=InitOptions(**options)).draw(np.random.default_rng(0))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda i: nn.Linear(0, 50, init=i), (60,)),
        (lambda i: nn.Conv2d(4, 16, 3, init=i), (4, 6, 6)),
        (lambda i: nn.ConvTranspose2d(4, 16, 3, init=i), (4, 6, 6)),
    ],
)
def test_layers_draw_from_what_they_are_told(layer: object, shape: tuple[int, ...]) -> None:
    made = layer(InitOptions(weights="truncated_normal", gain=0.2, bias="zeros"))  # type: ignore
    nn.Network(made, shape, rng=np.random.default_rng(0))
    np.testing.assert_allclose(made.weight.var, 0.04, rtol=1e-6)
    assert np.abs(made.weight.mu).max() <= 2 * 0.2 / init.truncated_std(-2, 2) * (1 + 1e-6)
    assert not made.bias.mu.any()
    np.testing.assert_allclose(made.bias.var, 0.04, rtol=1e-6)


def options(kind: str, **values: object) -> object:
    return nn.registry[kind].options(**values)


def build(outer: object) -> list[nn.Linear]:
    """The fully connected layers that options describe."""
    found, pending = [], [nn.build_layer(outer)]
    while pending:
        layer = pending.pop(0)
        pending = [child for _, child in layer.children()] + pending
        found += [layer] if isinstance(layer, nn.Linear) else []
    return found


def test_layers_inherit_what_they_do_not_set() -> None:
    outer, own = InitOptions(gain=2), InitOptions(bias="zeros")
    free, bound = options("linear", output_size=3), options("linear", output_size=3, init=own)
    inner = options("sequential", layers=(free, options("relu")))
    block = options("resnet_block", main=(free,), shortcut=(bound,))
    nodes = nn.composites.nodes
    node = nodes["linear"].options(name="a", output_size=3)
    graph = options("graph", nodes=(node, nodes["relu"].options(name="b")))
    chain = options("sequential", layers=(free, bound, inner, block, graph), init=outer)
    assert [layer.init for layer in build(chain)] == [outer, own, outer, outer, own, outer]
    assert [layer.init for layer in build(inner)] == [None]
    nested = options("sequential", layers=(options("sequential", layers=(free,), init=own),))
    assert [layer.init for layer in build(nested)] == [own]
