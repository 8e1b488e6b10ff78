"""Maps in common: one subject's fit is the others' map."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tagi_cli import nn
from tagi_cli.arch.latent import group_maps
from tagi_cli.arch.latent_regression import SharedMLatentRegModel

RNG = np.random.default_rng(0)
X = [RNG.normal(size=(40, 4)), RNG.normal(size=(40, 3))]
Y = [RNG.normal(size=(40, 5))]


def shared_map() -> nn.Layer:
    return nn.Sequential(nn.Linear(0, 4), nn.MixtureReLU(), nn.Linear(0, 2))


def model(
    specific: nn.Layer | None, shared: nn.Layer | None, seed: int = 0, **options: Any
) -> SharedMLatentRegModel:
    return SharedMLatentRegModel(
        [4, 3], [5], [2, 1], [2], specific, shared, [None], seed=seed, precision="float64",
        **options,
    )  # fmt: skip


def values(made: SharedMLatentRegModel) -> dict[str, np.ndarray]:
    return {t.name: np.array(t.mu) for t in made.parameters()}


def test_what_one_learns_the_others_have() -> None:
    core = shared_map()
    one, two = model(None, core, 0), model(group_maps.identity(), core, 1)
    for a, b in zip(one.shared_m_parameters(), two.shared_m_parameters(), strict=True):
        np.testing.assert_array_equal(a.mu, b.mu)
    before, own = values(two), two.forward(X)
    one.fit(X, Y, 10, 10, epochs=1)
    after = values(two)
    assert not np.allclose(own[0], two.forward(X)[0])
    for name, old in before.items():
        assert np.array_equal(old, after[name]) == (not name.startswith("shared_m")), name
    for a, b in zip(one.shared_m_parameters(), two.shared_m_parameters(), strict=True):
        np.testing.assert_array_equal(a.mu, b.mu)
        np.testing.assert_array_equal(a.var, b.var)
    two.fit(X, Y, 10, 10, epochs=1)
    np.testing.assert_array_equal(values(one)["shared_m.linear_0.weight"],
                                  values(two)["shared_m.linear_0.weight"])  # fmt: skip


def test_layers_alike_are_not_shared() -> None:
    one, two = model(None, shared_map(), 0), model(None, shared_map(), 0)
    one.fit(X, Y, 10, 10, epochs=1)
    name = "shared_m.linear_0.weight"
    assert not np.array_equal(values(one)[name], values(two)[name])


@pytest.mark.parametrize("specific", [True, False])
def test_a_shared_map_is_replaced_whatever_else_there_is(specific: bool) -> None:
    """The original replaces part of the wrong layer, or fails, without a specific map."""
    first = nn.Linear(0, 3) if specific else None
    made, other = model(first, shared_map()), model(None, new := nn.Linear(0, 2), 7)
    made.fit(X, Y, 10, 10, epochs=1)
    other.fit(X, Y, 10, 10, epochs=1)
    before = values(made)
    made.update_shared_m(new)
    after = values(made)
    assert made.shared_m is new
    np.testing.assert_array_equal(after["shared_m.weight"], values(other)["shared_m.weight"])
    assert not any(name.startswith("shared_m.linear") for name in after)
    for name in before.keys() & after.keys():
        np.testing.assert_array_equal(before[name], after[name])
    assert {"p0.weight", "u0.weight", "psi0"} <= before.keys() & after.keys()
    assert ("specific_m.weight" in after) == specific
    other.fit(X, Y, 10, 10, epochs=1)
    np.testing.assert_array_equal(values(made)["shared_m.weight"], values(other)["shared_m.weight"])


def test_a_shared_map_can_be_added() -> None:
    made = model(nn.Linear(0, 2), None)
    assert made.shared_m_parameters() == []
    made.update_shared_m(nn.Linear(0, 2))
    assert [t.name for t in made.shared_m_parameters()] == ["shared_m.weight", "shared_m.bias"]
    made.fit(X, Y, 10, 10, epochs=1)


def test_parameters_come_in_order_with_or_without_the_shared_ones() -> None:
    """The original mixes their order, and fails without a shared map."""
    made = model(nn.Linear(0, 3), nn.Linear(0, 2))
    specific = ["specific_m.weight", "specific_m.bias"]
    shared = ["shared_m.weight", "shared_m.bias"]
    rest = ["p0.weight", "p1.weight", "u0.weight", "psi0"]

    def names(parameters: list[nn.Parameter]) -> list[str]:
        return [t.name for t in parameters]

    assert names(made.parameters()) == specific + shared + rest
    for spelling in ("return_shared_m_params", "returned_shared_m_params"):
        assert names(made.parameters(**{spelling: False})) == specific + rest
        assert names(made.parameters(**{spelling: True})) == specific + shared + rest
    assert names(made.parameters(recurse=False)) == rest
    assert names(made.specific_m_parameters()) == specific
    assert names(made.shared_m_parameters()) == shared
    without = model(nn.Linear(0, 2), None)
    assert names(without.parameters(return_shared_m_params=False)) == specific + rest
    assert names(model(None, nn.Linear(0, 2)).specific_m_parameters()) == []


def test_projections_go_through_the_specific_map_where_there_is_one() -> None:
    """The original fails without one."""
    made = model(specific := nn.Linear(0, 3), shared_map())
    bare = model(None, shared_map())
    plain = made.p_project(X, apply_specific_m=False)
    w = values(made)
    joined = np.concatenate(plain, axis=1) @ w["specific_m.weight"].T + w["specific_m.bias"]
    assert specific.weight is None
    for found, want in zip(made.p_project(X), np.split(joined, [2], axis=1), strict=True):
        np.testing.assert_allclose(found, want)
    for flag in (True, False):
        for g, found in enumerate(bare.p_project(X, apply_specific_m=flag)):
            np.testing.assert_allclose(found, X[g] @ values(bare)[f"p{g}.weight"].T)
    wide = model(nn.Linear(0, 5), shared_map())
    assert [a.shape for a in wide.p_project(X)] == [(40, 5)]


def test_restarts_draw_no_map_anew_that_others_have_learnt() -> None:
    core = shared_map()
    one, two = model(None, core, 0), model(None, core, 1)
    one.fit(X, Y, 10, 10, epochs=1)
    learnt = values(one)["shared_m.linear_0.weight"]
    own = [t for t in two.trainable_parameters() if not t.name.startswith("shared_m")]
    two.fit(X, Y, 10, 10, epochs=1, restarts=4, parameters=own)
    np.testing.assert_array_equal(values(one)["shared_m.linear_0.weight"], learnt)
    two.fit(X, Y, 10, 10, max_its=1, restarts=4)
    moved = values(one)["shared_m.linear_0.weight"] - learnt
    assert 0 < np.abs(moved).max() < 0.5 * np.abs(learnt).max()


def test_running_statistics_are_shared_too() -> None:
    core = nn.Sequential(nn.Linear(0, 4), nn.BatchNorm2d(4), nn.Linear(0, 2))
    one, two = model(None, core, 0), model(None, core, 1)
    one.fit(X, Y, 10, 10, epochs=2)
    shifted = [a + 5.0 for a in X]
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        if a.name.startswith(("p", "u")):
            b.assign(a.mu, a.var)
    np.testing.assert_allclose(two.forward(shifted)[0], one.forward(shifted)[0])


def test_no_map_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="both are None"):
        model(None, None)
    built = nn.Linear(0, 2)
    nn.Network(built, (3,))
    with pytest.raises(ValueError, match="already belongs to a network"):
        model(None, shared_map()).update_shared_m(built)
    with pytest.raises(nn.ShapeError, match="m gives 7 units"):
        model(None, shared_map()).update_shared_m(nn.Linear(0, 7))
