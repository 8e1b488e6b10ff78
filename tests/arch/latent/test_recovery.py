"""What a fit finds again of data whose truth is known."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.stats import norm

from tagi_cli.arch.latent import group_maps
from tagi_cli.arch.latent.structure import Groups
from tagi_cli.arch.latent.subspaces import principal_angles
from tagi_cli.arch.latent.synthetic import Synthetic, draw_rows, synthetic
from tagi_cli.arch.latent_regression import LatentRegModel

EPOCHS = {1: 2, 16: 6, 64: 6, 256: 20, 4000: 200}


class Found(NamedTuple):
    rmse: float
    angle: float
    psi: float
    coverage: float


def recover(data: Synthetic, seed: int, batch: int, init: str = "tagi", **options: Any) -> Found:
    """Errors of a fit on 4000 fresh rows: RMSE over the noise floor, angle, psi ratio, coverage."""
    groups, truth = data.groups, data.truth
    model = LatentRegModel(
        groups.d_in, groups.d_out, groups.d_proj, groups.d_trans,
        group_maps.linear(groups.d_proj, groups.d_trans), [None], use_scales=True,
        direct_pairs=groups.direct_pairs, seed=seed, init=init,
    )  # fmt: skip
    model.fit(data.x, data.y, batch, batch, epochs=EPOCHS[batch], **options)
    x, (y,) = draw_rows(truth, groups, 4000, np.random.default_rng(1000 + seed))
    (found,) = model.predict(x)
    sd = np.sqrt(found.var_epistemic + found.var_noise)
    (psi,) = model.moments("psi")
    assert psi is not None
    true = {"p0": truth.p[0], "p1": truth.p[1], "u0": truth.u[0]}
    spaces = model.subspaces()
    assert spaces.keys() == true.keys()
    angles = [principal_angles(spaces[name], true[name]) for name in true]
    return Found(
        float(np.sqrt(((found.mean - y) ** 2).mean()) / truth.noise_floor()),
        max(float(a.max()) for a in angles),
        float(np.median(psi.mu / truth.psi[0])),
        float((np.abs(y - found.mean) < norm.ppf(0.95) * sd).mean()),
    )


@pytest.mark.parametrize("batch", [1, 16, 64])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_truth_is_found_again_at_any_batch_size(batch: int, seed: int) -> None:
    found = recover(synthetic(4000, seed), seed, batch)
    assert found.rmse < 1.02
    assert found.angle < 3
    assert abs(found.psi - 1) < 0.05
    assert 0.88 < found.coverage < 0.92


@pytest.mark.parametrize("batch", [256, 4000])
def test_large_batches_need_more_epochs_and_nothing_else(batch: int) -> None:
    found = recover(synthetic(4000, 1), 1, batch)
    assert found.rmse < 1.02
    assert found.angle < 3


def test_the_initial_values_of_the_original_do_as_well() -> None:
    """Scales that start from zero are no dead point, as latents are not zero."""
    found = recover(synthetic(4000, 1), 1, 16, init="janelia")
    assert found.rmse < 1.02
    assert found.angle < 3


@pytest.mark.parametrize("rule", ["sum", "capped"])
def test_summed_steps_collapse_which_is_why_precisions_are_added(rule: str) -> None:
    """The rule that is exact for one row loses the latents with 16, caps or no caps."""
    data = synthetic(4000, 2)
    assert recover(data, 2, 1, update_rule="sum", damping="none").angle < 3
    summed = recover(data, 2, 16, update_rule=rule, damping="none")
    assert summed.rmse > 1.1
    assert summed.angle > 10
    assert recover(data, 2, 16, update_rule="information", damping="none").angle < 3


def test_missing_outputs_are_left_out() -> None:
    data = synthetic(4000, 0)
    y = data.y[0].copy()
    y[np.random.default_rng(0).random(y.shape) < 0.3] = np.nan
    y[:100] = np.nan
    found = recover(data._replace(y=[y]), 0, 16)
    assert found.rmse < 1.02
    assert found.angle < 3


def test_a_linear_map_gives_reduced_rank_regression() -> None:
    """The oracle: fitted values of least squares, cut to their leading directions."""
    groups = Groups((20,), (15,), (3,), (3,))
    data = synthetic(3000, 4, groups)
    (x,), (y,) = data.x, data.y
    model = LatentRegModel(
        [20], [15], [3], [3], group_maps.identity(), [None], seed=0, precision="float64"
    )
    model.fit([x], [y], 30, 30, epochs=8)
    coefficients = np.linalg.lstsq(x, y, rcond=None)[0]
    _, _, right = np.linalg.svd(x @ coefficients, full_matrices=False)
    reduced = coefficients @ right[:3].T @ right[:3]
    (x_new,), (y_new,) = draw_rows(data.truth, groups, 3000, np.random.default_rng(5))
    (mean,) = model.forward([x_new])
    want = x_new @ reduced
    errors = [np.sqrt(((a - y_new) ** 2).mean()) for a in (mean, want)]
    assert abs(errors[0] / errors[1] - 1) < 0.01
    assert np.sqrt(((mean - want) ** 2).mean()) < 0.03 * want.std()
    (p,) = model.moments("p")
    assert p is not None
    assert principal_angles(p.mu, np.linalg.svd(reduced)[0][:, :3]).max() < 3


def test_latents_of_any_strength_are_found_through_a_matrix() -> None:
    """With as wide a prior of the matrix as between several groups, weak ones are lost."""
    rng = np.random.default_rng(1)
    p, u = rng.normal(size=(60, 8)) / np.sqrt(60), rng.normal(size=(60, 8)) / np.sqrt(8)
    x = rng.normal(size=(10_000, 60))
    y = x @ p @ u.T + 0.5 * rng.normal(size=x.shape)
    errors = []
    for sd in (None, 0.2):
        m = group_maps.linear([8], [8], sd=sd)
        model = LatentRegModel([60], [60], [8], [8], m, [None], seed=11)
        model.fit([x[:8000]], [y[:8000]], 64, 64, epochs=6)
        (mean,) = model.forward([x[8000:]])
        errors.append(float(np.sqrt(((mean - y[8000:]) ** 2).mean())) / 0.5)
    assert errors[0] < 1.02
    assert errors[1] > 1.06


def test_couplings_alone_are_scalar_regressions() -> None:
    """With no latents, known noise and one row at a time each coupling has the exact posterior."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    y = 0.7 * x + 0.3 * rng.normal(size=x.shape)
    model = LatentRegModel(
        [3], [3], [1], [1], group_maps.identity(), [None], direct_pairs=[(0, 0)], seed=0,
        precision="float64",
    )  # fmt: skip
    zeros, prior = np.zeros((3, 1)), (np.zeros(3), np.full(3, 0.25))
    model.assign(p=[zeros], u=[zeros], direct_mappings=[prior], psi=[np.full(3, 0.09)])
    model.psi_trainable[0] = False
    model.fit([x], [y], 1, 1, epochs=1, update_rule="sum", damping="none")
    precision = 1 / 0.25 + (x**2).sum(axis=0) / 0.09
    (c,) = model.moments("direct_mappings")
    assert c is not None
    np.testing.assert_allclose(c.var, 1 / precision, rtol=1e-10)
    np.testing.assert_allclose(c.mu, (x * y).sum(axis=0) / 0.09 / precision, rtol=1e-10)
    (psi,), (p,) = model.moments("psi"), model.moments("p")
    assert psi is not None
    assert p is not None
    np.testing.assert_array_equal(psi.mu, 0.09)
    np.testing.assert_array_equal(p.mu, 0)
    np.testing.assert_array_equal(p.var, 0)


def test_modes_of_mean_zero_stay_zero() -> None:
    """Two factors that are both zero teach each other nothing: initial means have to be random."""
    data = synthetic(200, 0)
    groups = data.groups
    model = LatentRegModel(
        groups.d_in, groups.d_out, groups.d_proj, groups.d_trans, group_maps.identity(), [None]
    )
    u = (np.zeros((25, 3)), np.full((25, 3), 0.1))
    model.assign(p=[(np.zeros((25, 2)), np.full((25, 2), 0.1)),
                    (np.zeros((12, 1)), np.full((12, 1), 0.1))], u=[u])  # fmt: skip
    model.fit(data.x, data.y, 20, 20, epochs=2)
    for role in ("p", "u"):
        for moments in model.moments(role):
            assert moments is not None
            np.testing.assert_array_equal(moments.mu, 0)


def test_scales_and_modes_share_a_factor() -> None:
    """Another start of the scales gives the same predictions and subspace, but other modes."""
    data = synthetic(4000, 0)
    groups = data.groups
    fits = []
    for scale in (1.0, 2.5):
        model = LatentRegModel(
            groups.d_in, groups.d_out, groups.d_proj, groups.d_trans, group_maps.identity(),
            [None], use_scales=True, direct_pairs=groups.direct_pairs, seed=0,
        )  # fmt: skip
        factors = scale * np.where(np.arange(25) % 2, 0.6, 1.4)
        model.assign(scales=[(factors, np.full(25, 0.05))])
        model.fit(data.x, data.y, 16, 16, epochs=6)
        (u,), (found,) = model.moments("u"), model.moments("scales")
        assert u is not None
        assert found is not None
        fits.append((u.mu, found.mu[:, None] * u.mu, model.forward(data.x)[0]))
    (u, product, mean), (other_u, other_product, other_mean) = fits
    assert np.sqrt(((mean - other_mean) ** 2).mean()) < 0.05 * mean.std()
    assert principal_angles(product, other_product).max() < 3
    assert abs(u / other_u - 1).max() > 0.2
    assert principal_angles(u, product).max() > 10
