"""What a model does besides learning, and where the original goes wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from tagi_cli import nn
from tagi_cli.arch.latent import group_maps
from tagi_cli.arch.latent_regression import LatentRegModel

RNG = np.random.default_rng(0)
X = [RNG.normal(size=(6, 4)), RNG.normal(size=(6, 3))]
Y = [RNG.normal(size=(6, 3)), RNG.normal(size=(6, 4))]


def model(**options: Any) -> LatentRegModel:
    given: dict[str, Any] = {
        "use_scales": True, "use_offsets": True, "direct_pairs": [(0, 1), (1, 0)],
        "s": [None, nn.Sequential(nn.Linear(0, 4), nn.Tanh())], "seed": 0, "precision": "float64",
    } | options  # fmt: skip
    linear = group_maps.linear((2, 1), (1, 2))
    return LatentRegModel([4, 3], [3, 4], [2, 1], [1, 2], linear, **given)


def means(made: LatentRegModel, role: str) -> list[np.ndarray]:
    return [moments.mu for moments in made.moments(role) if moments is not None]


def algebra(made: LatentRegModel, **given: Any) -> list[np.ndarray]:
    """The model's formula, with a linear map, on means and what is given in their place."""
    w = {role: given.get(role) or means(made, role)
         for role in ("p", "u", "scales", "offsets", "direct_mappings")}  # fmt: skip
    named = {t.name: np.array(t.mu) for t in made.parameters()}
    latents = np.concatenate([x @ p for x, p in zip(X, w["p"], strict=True)], axis=1)
    t = np.split(latents @ named["m.weight"].T, [1], axis=1)
    z = [a @ u.T for a, u in zip(t, w["u"], strict=True)]
    z[1] = np.tanh(z[1] @ named["s1.linear_0.weight"].T + named["s1.linear_0.bias"])
    y = [s * a + o for s, a, o in zip(w["scales"], z, w["offsets"], strict=True)]
    c01, c10 = w["direct_mappings"]
    return [y[0] + c10 * X[1], y[1] + c01 * X[0]]


def test_forward_is_the_formula_on_means() -> None:
    made = model()
    for found, want in zip(made(X), algebra(made), strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-6)
    for found, want in zip(made(X), made.predict(X), strict=True):
        np.testing.assert_array_equal(found, want.mean)
        assert (want.var_epistemic > 0).all()
        np.testing.assert_array_equal(want.var_noise, 1.0)


@pytest.mark.parametrize("role", ["p", "u", "scales", "offsets", "direct_mappings"])
def test_cond_forward_takes_what_is_given_and_the_rest_from_the_model(role: str) -> None:
    made = model()
    own = means(made, role)
    other = [np.random.default_rng(5).normal(size=a.shape) for a in own]
    before = made(X)
    for given in ([other[0], None], [None, other[1]], other):
        mixed = [b if a is None else a for a, b in zip(given, own, strict=True)]
        want = algebra(made, **{role: mixed})
        for a, b in zip(made.cond_forward(X, **{role: given}), want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)
    for a, b in zip(made(X), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_more_pairs_than_output_groups() -> None:
    """The original looks its couplings up in a list as long as that of the output groups."""
    made = LatentRegModel(
        [2, 2, 2], [2], [1, 1, 1], [3], group_maps.identity(), [None],
        direct_pairs=[(0, 0), (1, 0), (2, 0)], seed=0, precision="float64",
    )  # fmt: skip
    x = [np.full((1, 2), float(g)) for g in range(3)]
    zeros = [np.zeros((2, 1))] * 3
    c = means(made, "direct_mappings")
    (y,) = made.cond_forward(x, p=zeros)
    np.testing.assert_allclose(y[0], c[1] + 2 * c[2])


def test_projections_need_no_modes_to_be_given() -> None:
    """The original fails on its own default, None."""
    made = model()
    p = means(made, "p")
    for g, latents in enumerate(made.p_project(X)):
        np.testing.assert_allclose(latents, X[g] @ p[g])
    other = np.ones((3, 1))
    found = made.p_project(X, [None, other])
    np.testing.assert_allclose(found[0], X[0] @ p[0])
    np.testing.assert_allclose(found[1], X[1] @ other)
    (first, _) = made.project(X)
    (moments, _) = made.moments("p")
    assert moments is not None
    np.testing.assert_allclose(first.var, X[0] ** 2 @ moments.var)


def test_tensors_without_a_value_can_be_anywhere() -> None:
    """The original reads its device from p[0] and clamps all psi, and so fails without them."""
    made = model(assign_p_modes=[False, True], assign_psi=False, assign_u_modes=[True, False])
    assert made.p_trainable == [False, True]
    assert made.moments("p")[0] is None
    assert len(made.parameters()) == len(model().parameters()) - 4
    with pytest.raises(ValueError, match=r"no value for p\[0\], u\[1\]"):
        made(X)
    p, u = np.ones((4, 2)), np.ones((4, 2))
    assert [a.shape for a in made.cond_forward(X, p=[p, None], u=[None, u])] == [(6, 3), (6, 4)]
    with pytest.raises(ValueError, match=r"no value for p\[0\], psi\[0\], psi\[1\], u\[1\]"):
        made.fit(X, Y, 3, 3)
    with pytest.raises(ValueError, match=r"no value for psi\[0\]"):
        made.neg_ll(Y, Y)
    made.assign(p=[p, None], u=[None, u], psi=[np.ones(3), np.ones(4)])
    made.fit(X, Y, 3, 3)
    (first, _) = made.moments("p")
    assert first is not None
    np.testing.assert_array_equal(first.mu, p)
    made.neg_ll(Y, Y, psi=[None, np.ones(4)])


def test_neg_ll_is_that_of_normals() -> None:
    made = model()
    psi = [np.array([0.5, 1.0, 2.0]), np.array([0.1, 0.2, 0.3, 0.4])]
    made.assign(psi=[(v, 0.1 * v) for v in psi])
    mean = made(X)
    want = [-norm.logpdf(y, m, np.sqrt(v)) for y, m, v in zip(Y, mean, psi, strict=True)]
    np.testing.assert_allclose(made.neg_ll(Y, mean), sum(a.sum() for a in want))
    gaps = [Y[0].copy(), Y[1]]
    gaps[0][2, 1] = np.nan
    np.testing.assert_allclose(made.neg_ll(gaps, mean), sum(a.sum() for a in want) - want[0][2, 1])
    unit = [None, np.ones(4)]
    np.testing.assert_allclose(
        made.neg_ll(Y, mean, unit), want[0].sum() - norm.logpdf(Y[1], mean[1], 1).sum()
    )
    for found, own in zip(means(made, "psi"), psi, strict=True):
        np.testing.assert_array_equal(found, own)
    total = [
        -norm.logpdf(y, f.mean, np.sqrt(f.var_epistemic + f.var_noise)).sum()
        for y, f in zip(Y, made.predict(X), strict=True)
    ]
    np.testing.assert_allclose(made.predictive_neg_ll(X, Y), sum(total))


def test_parameters_stand_in_a_fixed_order() -> None:
    names = [
        "m.weight", "s1.linear_0.weight", "s1.linear_0.bias", "p0.weight", "p1.weight", "u0.weight",
        "u1.weight", "sc0.weight", "sc1.weight", "o0.weight", "o1.weight", "c0_1.weight",
        "c1_0.weight", "psi0", "psi1",
    ]  # fmt: skip
    made = model()
    assert [t.name for t in made.parameters()] == names
    made.offsets_trainable = [False, True]
    made.direct_mappings_trainable[0] = False
    rest = [name for name in names if name not in ("o0.weight", "c0_1.weight")]
    assert [t.name for t in made.trainable_parameters()] == rest
    assert [[t.name for t in group] for group in made.s_parameters()] == [[], names[1:3]]


def test_subspaces_are_modes_times_scales() -> None:
    made = model(assign_p_modes=[False, True])
    made.assign(scales=[np.array([1.0, 2.0, 3.0]), None])
    spaces = made.subspaces()
    assert list(spaces) == ["p1", "u0", "u1"]
    np.testing.assert_allclose(spaces["u0"], np.array([[1.0], [2.0], [3.0]]) * means(made, "u")[0])
    np.testing.assert_allclose(spaces["p1"], means(made, "p")[0])


def test_the_state_is_all_that_predictions_depend_on() -> None:
    made, other = model(), model(seed=5, assign_psi=False)
    made.fit(X, Y, 3, 3, epochs=2)
    other.load_state_dict(made.state_dict())
    for a, b in zip(made.predict(X), other.predict(X), strict=True):
        for first, second in zip(a, b, strict=True):
            np.testing.assert_array_equal(first, second)
    before = other.state_dict()
    other.psi_trainable = [False, False]
    other.fit(X, Y, 6, 6, max_its=1)
    np.testing.assert_array_equal(other.state_dict()["psi0.mu"], before["psi0.mu"])
    state = made.state_dict()
    for name in ("psi1.mu", "p0.weight.var"):
        with pytest.raises(ValueError, match="missing"):
            other.load_state_dict({k: v for k, v in state.items() if k != name})


def test_initial_values_of_the_original() -> None:
    made = model(init="janelia", sc_std=0.02, noise_range=[0.3, 0.4], dm_std=0.5, w_gain=2.0)
    ours = model(dm_std=0.5, w_gain=2.0)
    scales, couplings = np.concatenate(means(made, "scales")), means(made, "direct_mappings")
    assert (np.abs(scales) < 0.1).all()
    assert (np.concatenate(means(ours, "scales")) == 1).all()
    psi = np.concatenate(means(made, "psi"))
    assert ((psi >= 0.3) & (psi <= 0.4)).all()
    assert np.abs(np.concatenate(couplings)).max() > 0.5
    many = LatentRegModel([300], [3], [20], [3], nn.Linear(0, 3), [None], w_gain=2.0, seed=0)
    (p,) = means(many, "p")
    np.testing.assert_allclose(p.std(), 2 * np.sqrt(2 / 320), rtol=0.05)
    np.testing.assert_array_equal(np.concatenate(means(made, "offsets")), 0)


def test_error_variances_start_from_those_of_the_outputs() -> None:
    """So the first batch is scored under them, and given ones are kept."""
    y = [3 * Y[0], 0.1 * Y[1]]
    made = model()
    made.assign(psi=[None, np.full(4, 0.7)])
    made.psi_trainable = [False, False]
    made.fit(X, y, 6, 6, max_its=1)
    assert [float(a[0]) for a in means(made, "psi")] == [1.0, 0.7]
    made = model()
    before = made.predict(X)[0]
    total = y[0].var(axis=0) + before.var_epistemic
    score = -norm.logpdf(y[0], before.mean, np.sqrt(total)).sum() / 6
    other = made.predict(X)[1]
    total = y[1].var(axis=0) + other.var_epistemic
    score += -norm.logpdf(y[1], other.mean, np.sqrt(total)).sum() / 6
    np.testing.assert_allclose(made.fit(X, y, 6, 6, max_its=1)["obj"], [score])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"init": "zeros"}, "init: found 'zeros'. Allowed: tagi, janelia"),
        ({"sc_std": 0.1}, "mean something with init='janelia' only"),
        ({"noise_range": [0.0, 1.0], "init": "janelia"}, "Allowed: 0 < low <= high"),
        ({"assign_psi": [True]}, "assign_psi: found 1 flags. Allowed: one, or 2"),
        ({"direct_pairs": [(0, 0)]}, "input group 0 has 4 variables, output group 0 has 3"),
        ({"s": [None]}, "s: found 1 layers. Allowed: 2"),
    ],
)
def test_what_cannot_be_made_is_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=r"found|mean") as caught:
        model(**options)
    assert text in str(caught.value)


def test_layers_of_another_network_are_refused() -> None:
    layer = nn.Linear(0, 3)
    nn.Network(layer, (2,))
    with pytest.raises(ValueError, match="already belongs to a network"):
        LatentRegModel([2], [2], [2], [3], layer, [None])


def test_values_that_do_not_fit_are_named() -> None:
    made = model()
    for given, text in (
        ({"p": [np.ones((4, 2))]}, "p: 1 values given, the model has 2"),
        ({"p": [np.ones((2, 4)), None]}, "p[0]: mean (2, 4), expected (4, 2)"),
        ({"psi": [np.zeros(3), None]}, "psi[0]: an error variance is not above 0"),
        ({"u": [(np.ones((3, 1)), -np.ones((3, 1))), None]}, "a variance is negative"),
    ):
        with pytest.raises(ValueError, match=r"values|mean|variance") as caught:
            made.assign(**given)
        assert text in str(caught.value)
    with pytest.raises(ValueError, match=r"role: found 'q'. Allowed: p, u"):
        made.moments("q")
