"""Draws from the model, and recursions in which its outputs are its next inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tagi_cli.arch.latent import group_maps
from tagi_cli.arch.latent_regression import LatentRegModel


def model(**options: Any) -> LatentRegModel:
    """Two groups, (3, 2) to (2, 3): the first output feeds the second input, and so the others."""
    given: dict[str, Any] = {"direct_pairs": [(0, 1), (1, 0)], "seed": 0} | options
    made = LatentRegModel(
        [3, 2], [2, 3], [1, 1], [1, 1], group_maps.identity(), [None, None],
        precision="float64", **given,
    )  # fmt: skip
    small = [(0.3 * m.mu, 0.05 * m.var) for m in made.moments("u") if m is not None]
    made.assign(u=small, psi=[np.full(2, 0.2), np.full(3, 0.1)])
    return made


def inputs(rows: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(rows, n)) for n in (3, 2)]


MAP = [(1, 0), (0, 1)]


@pytest.mark.parametrize("mode", ["posterior", "plugin", "marginal"])
def test_draws_have_the_predictive_moments(mode: str) -> None:
    made = model()
    x = [a.repeat(20_000, axis=0) for a in inputs(1)]
    found = made.predict([a[:1] for a in x])
    if mode == "posterior":
        one = [a[:1] for a in x]
        y = [
            np.concatenate(a) for a in zip(*(made.generate(one) for _ in range(4000)), strict=True)
        ]
    else:
        y = made.generate(x, mode)
    for draws, (mean, epistemic, noise) in zip(y, found, strict=True):
        var = noise[0] + (0 if mode == "plugin" else epistemic[0])
        n = len(draws)
        assert (np.abs(draws.mean(axis=0) - mean[0]) < 6 * np.sqrt(var / n)).all()
        # Products of Gaussians have heavier tails than the normal that this error is of.
        assert (np.abs(draws.var(axis=0) / var - 1) < 12 * np.sqrt(2 / n)).all()


def test_parameters_are_drawn_once() -> None:
    """Equal rows differ by noise alone within a call, and by parameters from call to call."""
    made = model()
    x = [a.repeat(2000, axis=0) for a in inputs(1)]
    calls = [made.generate(x)[0] for _ in range(30)]
    for y in calls:
        np.testing.assert_allclose(y.var(axis=0), 0.2, rtol=0.25)
    epistemic = made.predict([a[:1] for a in x])[0].var_epistemic[0]
    between = np.var([y.mean(axis=0) for y in calls], axis=0)
    assert (between > 0.2 * epistemic).all()
    before = made.predict(x)[0]
    np.testing.assert_array_equal(made.predict(x)[0].mean, before.mean)
    np.testing.assert_array_equal(made.predict(x)[0].var_epistemic, before.var_epistemic)


@pytest.mark.parametrize("mode", ["posterior", "plugin", "marginal"])
@pytest.mark.parametrize("r_map", [None, MAP])
def test_without_gaps_a_recursion_is_generation(mode: str, r_map: list[Any] | None) -> None:
    """The original fails on its own default, no map."""
    made, x = model(), inputs(6)
    first = made.generate(x, mode, np.random.default_rng(1))
    second = made.recursive_generate(x, r_map, mode=mode, rng=np.random.default_rng(1))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_gaps_are_filled_with_the_step_before() -> None:
    """What is filled in is the drawn output, noise included; put there by hand it does the same."""
    made, x = model(), inputs(6)
    gaps = [x[0].copy(), x[1].copy()]
    gaps[0][2:, 1] = np.nan
    gaps[1][4] = np.nan
    kept = [a.copy() for a in gaps]
    y = made.recursive_generate(gaps, MAP, rng=np.random.default_rng(1))
    for a, b in zip(gaps, kept, strict=True):
        np.testing.assert_array_equal(a, b)
    filled = [x[0].copy(), x[1].copy()]
    filled[0][2:, 1] = y[1][1:-1, 1]
    filled[1][4] = y[0][3]
    again = made.generate(filled, rng=np.random.default_rng(1))
    # Row 5 of the second group is not a gap: what is given there is used.
    for a, b in zip(y, again, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_of_several_sources_the_first_counts() -> None:
    made = LatentRegModel([2], [2, 2], [1], [1, 1], group_maps.select([1], [[[0]], [[0]]]),
                          [None, None], seed=0)  # fmt: skip
    x = np.ones((3, 2))
    x[1:] = np.nan
    for order in ([(0, 0), (1, 0)], [(1, 0), (0, 0)]):
        y = made.recursive_generate([x], order, rng=np.random.default_rng(0))
        filled = np.concatenate([x[:1], y[order[0][0]][:-1]])
        again = made.generate([filled], rng=np.random.default_rng(0))
        for a, b in zip(y, again, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5)


def autoregression(c_var: float) -> LatentRegModel:
    made = LatentRegModel(
        [1], [1], [1], [1], group_maps.identity(), [None], direct_pairs=[(0, 0)], seed=0,
        precision="float64",
    )  # fmt: skip
    zero = np.zeros((1, 1))
    c = (np.array([0.8]), np.array([c_var]))
    made.assign(p=[zero], u=[zero], direct_mappings=[c], psi=[np.array([0.05])])
    return made


def test_moments_of_an_autoregression_are_exact() -> None:
    """`var_t = psi sum_k c^2k`, `mean_t = c^t x_0` where c is certain."""
    x = np.full((7, 1), np.nan)
    x[0] = 1.5
    (found,) = autoregression(0.0).recursive_moments([x], [(0, 0)])
    t = np.arange(1, 8)
    np.testing.assert_allclose(found.mu[:, 0], 1.5 * 0.8**t)
    np.testing.assert_allclose(found.var[:, 0], 0.05 * np.cumsum(0.8 ** (2 * (t - 1))))


def test_moments_take_an_uncertain_coupling_as_new_at_each_step() -> None:
    """So their variance is below that of trajectories, which keep one coupling each."""
    x = np.full((6, 1), np.nan)
    x[0] = 1.0
    made = autoregression(0.01)
    (found,) = made.recursive_moments([x], [(0, 0)])
    mean, var = 1.0, 0.0
    for _ in range(6):
        second = var + mean**2
        mean, var = 0.8 * mean, (0.64 + 0.01) * second - 0.64 * mean**2 + 0.05
    np.testing.assert_allclose(found.var[-1], var)
    ends = [made.recursive_generate([x], [(0, 0)])[0][-1, 0] for _ in range(4000)]
    assert np.var(ends) > 1.15 * var
    assert np.mean(ends) > 1.1 * found.mu[-1, 0]


@pytest.mark.parametrize(
    ("places", "r_map", "text"),
    [
        ([(0, 0, 1)], MAP, "input group 0: row 0, column 1 is NaN, and there is no step before"),
        ([(1, 3, 0)], [(1, 0)], "input group 1: row 3, column 0 is NaN, and no output group is"),
        ([(1, 3, 0)], None, "input group 1: row 3, column 0 is NaN, and no output group is"),
        ([], [(0, 0)], "output group 0 has 2 variables, input group 0 has 3"),
        ([], [(2, 0)], "found (2, 0). Allowed: output groups 0 to 1, input groups 0 to 1"),
    ],
)
def test_recursions_that_cannot_be_are_refused(
    places: list[tuple[int, int, int]], r_map: list[Any] | None, text: str
) -> None:
    x = inputs(5)
    for g, row, column in places:
        x[g][row, column] = np.nan
    made = model()
    for run in (made.recursive_generate, made.recursive_moments):
        with pytest.raises(ValueError, match=r"group") as caught:
            run(x, r_map)
        assert text in str(caught.value)


def test_unknown_modes_and_gaps_elsewhere_are_refused() -> None:
    made, x = model(), inputs(3)
    with pytest.raises(ValueError, match=r"mode: found 'mean'. Allowed: posterior, plugin"):
        made.generate(x, "mean")
    x[1][2, 1] = np.nan
    for run in (made.forward, made.predict, made.p_project):
        with pytest.raises(ValueError, match=r"x\[1\]: row 2, column 1 is NaN"):
            run(x)
