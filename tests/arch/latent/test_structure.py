"""The graph of a latent regression: its algebra, its moments, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from monte_carlo import assert_moments

from tagi_cli import nn
from tagi_cli.arch.latent import group_maps
from tagi_cli.arch.latent.structure import Groups, LatentRegression, Priors
from tagi_cli.backend import select

GROUPS = Groups((5, 3), (4, 5, 3), (2, 1), (2, 1, 1), ((0, 1), (1, 2)))


def network(groups: Groups, maps: list[tuple[str, nn.Layer]], s: list[nn.Layer | None],
            **options: object) -> nn.Network:  # fmt: skip
    layer = LatentRegression(groups, maps, s, **options)  # type: ignore[arg-type]
    backend = select(precision="float64")
    return nn.Network(layer, (sum(groups.d_in),), rng=np.random.default_rng(0), backend=backend)


def test_without_variances_it_is_plain_algebra() -> None:
    d_latent = sum(GROUPS.d_trans)
    hidden = nn.Sequential(nn.Linear(0, 6), nn.Tanh(), nn.Linear(0, d_latent))
    net = network(
        GROUPS, [("m", hidden)], [None, nn.Tanh(), nn.MixtureReLU()], use_scales=True,
        use_offsets=True, priors=Priors(scale_spread=0.5),
    )  # fmt: skip
    store = net.parameters
    rng = np.random.default_rng(1)
    for tensor in store.tensors.values():
        tensor.assign(rng.normal(size=tensor.shape), np.zeros(tensor.shape))
    w = {name.removesuffix(".weight"): t.mu for name, t in store.tensors.items()}
    x = [rng.normal(size=(7, n)) for n in GROUPS.d_in]
    latents = np.concatenate([x[g] @ w[f"p{g}"].T for g in range(2)], axis=1)
    first, last = "m.linear_0", "m.linear_2"
    a = np.tanh(latents @ w[first].T + w[f"{first}.bias"])
    t = np.split(a @ w[last].T + w[f"{last}.bias"], [2, 3], axis=1)
    relu = lambda z: np.maximum(z, 0)  # noqa: E731
    y = [s(t[h] @ w[f"u{h}"].T) for h, s in enumerate((lambda z: z, np.tanh, relu))]
    y = [w[f"sc{h}"] * y[h] + w[f"o{h}"] for h in range(3)]
    y[1] = y[1] + w["c0_1"] * x[0]
    y[2] = y[2] + w["c1_2"] * x[1]
    found = net(np.concatenate(x, axis=1))
    np.testing.assert_allclose(found.mu, np.concatenate(y, axis=1), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found.var, 0)


def test_moments_of_a_linear_model_by_sampling() -> None:
    """For certain inputs and a linear map, mean and variance of each output are exact."""
    groups = Groups((4, 2), (3,), (2, 1), (3,), ())
    linear = group_maps.linear(groups.d_proj, groups.d_trans)
    net = network(groups, [("m", linear)], [None], use_scales=True, use_offsets=True)
    tensors = {name: (t.mu.copy(), t.var.copy()) for name, t in net.parameters.tensors.items()}
    rng = np.random.default_rng(2)
    x = rng.normal(size=6)
    n = 100_000
    draw = {
        name.removesuffix(".weight"): mu + np.sqrt(var) * rng.standard_normal((n, *mu.shape))
        for name, (mu, var) in tensors.items()
    }
    latents = np.concatenate([draw["p0"] @ x[:4], draw["p1"] @ x[4:]], axis=1)
    t = np.einsum("nij,nj->ni", draw["m"], latents)
    y = np.einsum("nij,nj->ni", draw["u0"], t) * draw["sc0"] + draw["o0"]
    found = net(x[None])
    assert_moments(y, found.mu[0], found.var[0])


def test_direct_couplings_have_exact_moments() -> None:
    groups = Groups((3,), (3,), (1,), (1,), ((0, 0),))
    net = network(groups, [("m", group_maps.identity())], [None])
    for name, tensor in net.parameters.tensors.items():
        if not name.startswith("c"):
            tensor.assign(np.zeros(tensor.shape), np.zeros(tensor.shape))
    c = net.parameters.tensors["c0_0.weight"]
    x = np.array([1.0, -2.0, 0.5])
    found = net(x[None])
    np.testing.assert_allclose(found.mu[0], c.mu * x)
    np.testing.assert_allclose(found.var[0], c.var * x**2)


@pytest.mark.parametrize(
    ("groups", "text"),
    [
        (Groups((3, 4), (4,), (1, 1), (1,), ((0, 0),)),
         "input group 0 has 3 variables, output group 0 has 4. Allowed: groups of one size"),
        (Groups((4,), (4,), (1,), (1,), ((0, 1),)), "found (0, 1). Allowed: input groups 0 to 0"),
        (Groups((4,), (4,), (1,), (1,), ((0, 0), (0, 0))), "stands there already"),
        (Groups((4, 4), (4,), (1,), (1,)), "d_proj: found 1 sizes. Allowed: 2"),
        (Groups((4,), (4,), (1,), (0,)), "d_trans[0]: found 0. Allowed: at least 1"),
        (Groups((), (4,), (), (1,)), "d_in: the list is empty"),
    ],
)  # fmt: skip
def test_sizes_that_do_not_go_together_are_named(groups: Groups, text: str) -> None:
    assert any(text in fault for fault in groups.faults()), groups.faults()
    with pytest.raises(ValueError, match="Allowed"):
        LatentRegression(groups, [], [None] * len(groups.d_out))


def test_layers_that_give_other_sizes_are_named() -> None:
    groups = Groups((4,), (3, 2), (2,), (2, 1))
    for maps, s, text in (
        ([("m", nn.Linear(0, 4))], [None, None], r"m gives 4 units \(4,\), d_trans \[2, 1\] asks"),
        ([("m", nn.Linear(0, 3))], [None, nn.Linear(0, 3)], r"s\[1\] gives 3 units.*d_out\[1\]"),
    ):
        with pytest.raises(nn.ShapeError, match=text):
            network(groups, maps, s)
    with pytest.raises(nn.ShapeError, match="groups hold 4 variables, a row of input"):
        nn.Network(LatentRegression(groups, [("m", nn.Linear(0, 3))], [None, None]), (5,))
    with pytest.raises(ValueError, match=r"s: found 1 layers. Allowed: 2"):
        LatentRegression(groups, [], [None])


def test_the_order_of_groups_makes_no_difference() -> None:
    """Swapping two input groups swaps their modes, and changes no output."""
    x = np.random.default_rng(3).normal(size=(6, 5))
    values: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    found = []
    for order in ([0, 1], [1, 0]):
        sizes, latents = np.array([2, 3])[order], np.array([1, 2])[order]
        groups = Groups(tuple(sizes), (4,), tuple(latents), (3,), ())
        net = network(groups, [("m", group_maps.identity())], [None])
        rows = np.concatenate([np.split(x, [2], axis=1)[g] for g in order], axis=1)
        tensors = net.parameters.tensors
        if order == [0, 1]:
            values = {name: (t.mu.copy(), t.var.copy()) for name, t in tensors.items()}
        else:
            tensors["p0.weight"].assign(*values["p1.weight"])
            tensors["p1.weight"].assign(*values["p0.weight"])
            columns = [1, 2, 0]
            tensors["u0.weight"].assign(*(a[:, columns] for a in values["u0.weight"]))
        found.append(net(rows))
    np.testing.assert_allclose(found[0].mu, found[1].mu, rtol=1e-12)
    np.testing.assert_allclose(found[0].var, found[1].var, rtol=1e-12)
