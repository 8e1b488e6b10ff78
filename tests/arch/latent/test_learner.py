"""Batches, chunks, what learns and what does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tagi_cli import nn
from tagi_cli.arch.latent.synthetic import synthetic
from tagi_cli.arch.latent_regression import LatentRegModel

DATA = synthetic(150, 0)


def model(**options: Any) -> LatentRegModel:
    groups = DATA.groups
    given: dict[str, Any] = {
        "m": nn.Sequential(nn.Linear(0, 4), nn.MixtureReLU(), nn.Linear(0, 3)),
        "s": [nn.LeakyReLU(0.5)],
        "use_scales": True,
        "use_offsets": True,
        "direct_pairs": groups.direct_pairs,
        "seed": 0,
        "precision": "float64",
    } | options
    return LatentRegModel(groups.d_in, groups.d_out, groups.d_proj, groups.d_trans, **given)


def state(fitted: LatentRegModel) -> dict[str, np.ndarray]:
    return {
        f"{i} {t.name} {what}": np.array(a)
        for i, t in enumerate(fitted.parameters())
        for what, a in (("mu", t.mu), ("var", t.var))
    }


@pytest.mark.parametrize("send_size", [1, 7, 25])
@pytest.mark.parametrize("damping", ["auto", "full"])
def test_chunks_change_nothing(send_size: int, damping: str) -> None:
    fitted = []
    for size in (40, send_size):
        made = model()
        y = DATA.y[0].copy()
        y[::5, ::3] = np.nan
        log = made.fit(DATA.x, [y], 40, size, epochs=3, damping=damping)
        fitted.append((state(made), log["obj"]))
    for name, want in fitted[0][0].items():
        np.testing.assert_allclose(fitted[1][0][name], want, rtol=1e-9, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(fitted[1][1], fitted[0][1], rtol=1e-12)


def test_obj_is_that_of_the_whole_batch_before_it_is_learnt() -> None:
    """And not of its last chunk alone: the predictive density of all rows of the batch."""
    made = model()
    made.assign(psi=[(np.full(25, 0.4), np.full(25, 0.1))])
    want = made.predictive_neg_ll(DATA.x, DATA.y) / 150
    log = made.fit(DATA.x, DATA.y, 150, 50, max_its=1)
    np.testing.assert_allclose(log["obj"], [want])
    assert log["elapsed_time"][0] > 0


@pytest.mark.parametrize(
    "role", ["p", "u", "scales", "offsets", "direct_mappings", "psi"]
)  # fmt: skip
def test_what_is_not_trainable_stays_and_spreads_its_variance(role: str) -> None:
    made = model()
    getattr(made, f"{role}_trainable")[0] = False
    before = state(made)
    kept = {t.name for t in made.parameters()} - {t.name for t in made.trainable_parameters()}
    assert len(kept) == 1
    made.fit(DATA.x, DATA.y, 25, 10, epochs=1)
    for name, old in before.items():
        same = np.array_equal(state(made)[name], old)
        assert same == (name.split()[1] in kept), name


def test_flags_are_independent_lists() -> None:
    made = model(assign_p_modes=[True, True])
    made.p_trainable[0] = False
    assert made.u_trainable == [True]
    assert made.p_trainable == [False, True]
    made.fit(DATA.x, DATA.y, 50, 50, max_its=1)
    assert all(moments is not None for moments in made.moments("p"))


def test_parameters_limits_what_learns() -> None:
    made = model()
    chosen = [t for t in made.parameters() if t.name in ("psi0", "u0.weight")]
    before = state(made)
    made.fit(DATA.x, DATA.y, 25, 25, epochs=1, parameters=chosen)
    changed = {n.split()[1] for n, old in before.items() if not np.array_equal(state(made)[n], old)}
    assert changed == {"psi0", "u0.weight"}
    with pytest.raises(ValueError, match="not this model's"):
        made.fit(DATA.x, DATA.y, 25, 25, parameters=model().parameters()[:1])


def test_given_tensors_are_not_learnt_but_gaussian_ones_are() -> None:
    made = model()
    p = np.random.default_rng(0).normal(size=(25, 2))
    made.assign(p=[p, None], u=[(np.ones((25, 3)), np.full((25, 3), 0.2))])
    made.fit(DATA.x, DATA.y, 25, 25, epochs=1)
    (first, second), (u,) = made.moments("p"), made.moments("u")
    assert first is not None
    assert second is not None
    assert u is not None
    np.testing.assert_array_equal(first.mu, p)
    np.testing.assert_array_equal(first.var, 0)
    assert (u.var < 0.2).all()


def test_error_variances_take_one_step_for_each_batch() -> None:
    """Batch AGVI by its closed form: squares of errors given residuals, then their mean."""
    made = model()
    m, q, rows = np.full(25, 0.4), np.full(25, 0.1), 40
    made.assign(psi=[(m, q)])
    x, y = [a[:rows] for a in DATA.x], DATA.y[0][:rows].copy()
    y[:10, 3] = np.nan
    (found,) = made.predict(x)
    made.fit(x, [y], rows, 15, max_its=1)
    share = m / (found.var_epistemic + m)
    error, spread = share * (y - found.mean), share * found.var_epistemic
    count = np.isfinite(y).sum(axis=0)
    mean = np.nansum(error**2 + spread, axis=0) / count
    var = np.nansum(2 * spread**2 + 4 * spread * error**2, axis=0) / count**2
    total = q + 2 * (m**2 + q) / count
    gain = q / total
    (psi,) = made.moments("psi")
    assert psi is not None
    np.testing.assert_allclose(psi.mu, m + gain * (mean - m), rtol=1e-9)
    np.testing.assert_allclose(psi.var, q + gain**2 * (var - total), rtol=1e-9)


def test_a_floor_holds_error_variances() -> None:
    made = model()
    made.fit(DATA.x, [0 * DATA.y[0]], 10, 10, epochs=30, min_var=0.01)
    (psi,) = made.moments("psi")
    assert psi is not None
    assert (psi.mu >= 0.01).all()
    assert (psi.mu < 0.1).all()


def test_the_best_restart_stays() -> None:
    fits = {n: model(seed=3) for n in (1, 3)}
    ends = {}
    for n, made in fits.items():
        ends[n] = made.fit(DATA.x, DATA.y, 25, 25, epochs=5, restarts=n)["obj"][-6:].mean()
    assert ends[3] <= ends[1]
    again = model(seed=3)
    again.fit(DATA.x, DATA.y, 25, 25, epochs=5, restarts=3)
    for name, value in state(fits[3]).items():
        np.testing.assert_array_equal(value, state(again)[name])


def test_restarts_leave_given_tensors() -> None:
    made = model()
    p = np.random.default_rng(0).normal(size=(12, 1))
    made.assign(p=[None, p], u=[(np.ones((25, 3)), np.full((25, 3), 1e-12))])
    made.fit(DATA.x, DATA.y, 25, 25, epochs=1, restarts=3)
    second = made.moments("p")[1]
    assert second is not None
    np.testing.assert_array_equal(second.mu, p)
    (u,) = made.moments("u")
    assert u is not None
    np.testing.assert_allclose(u.mu, 1, atol=1e-3)


def test_the_numpy_path_learns_the_same() -> None:
    from tagi_cli.backend import select

    fitted = [model(backend=select(kernels=kernels, precision="float64"))
              for kernels in ("numpy", "auto")]  # fmt: skip
    for made in fitted:
        made.fit(DATA.x, DATA.y, 16, 5, epochs=1)
    for name, want in state(fitted[0]).items():
        np.testing.assert_allclose(state(fitted[1])[name], want, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"send_size": 60}, "send_size: found 60. Allowed: 1 to batch_size, 50"),
        ({"batch_size": 151}, "batch_size: found 151. Allowed: 1 to 150"),
        ({"learning_rates": [(0, 0.1), (10, 0.01)]}, "no learning rate"),
        ({"learning_rates": 0.1}, "no learning rate"),
        ({"adam_params": {"betas": (0.9, 0.9)}}, "no Adam here"),
        ({"max_its": 0}, "max_its: found 0. Allowed: at least 1"),
        ({"epochs": 0}, "epochs: found 0"),
        ({"restarts": 0}, "restarts: found 0"),
        ({"update_rule": "adam"}, "update_rule: found 'adam'. Allowed: sum, capped"),
        ({"damping": "some"}, "damping: found 'some'. Allowed: auto, full, none"),
        ({"min_var": 0.0}, "min_var: found 0. Allowed: above 0"),
        ({"shrinkage": {"c": None}}, "shrinkage: found 'c'. Allowed: p, u"),
    ],
)
def test_what_cannot_be_done_is_refused(options: dict[str, Any], text: str) -> None:
    given = {"batch_size": 50, "send_size": 50} | options
    with pytest.raises(ValueError, match=r"found|no ") as caught:
        model().fit(DATA.x, DATA.y, **given)
    assert text in str(caught.value)


def test_arrays_that_do_not_fit_are_named() -> None:
    made = model()
    for x, y, text in (
        (DATA.x[:1], DATA.y, "x: found 1 arrays. Allowed: a list of 2"),
        (DATA.x[0], DATA.y, "x: found ndarray. Allowed: a list of 2"),
        (DATA.x, [DATA.y[0][:, :4]], "y[0]: found (150, 4). Allowed: (150, 25)"),
        (DATA.x, [DATA.y[0][:9]], "x has 150 rows, y 9"),
    ):
        with pytest.raises(ValueError, match=r"rows|found") as caught:
            made.fit(x, y, 50, 50)
        assert text in str(caught.value)


def test_what_is_not_finite_any_more_ends_the_fit() -> None:
    made = model()
    x = [DATA.x[0].copy(), DATA.x[1]]
    x[0][3] = np.inf
    with pytest.raises(ValueError, match=r"x\[0\]: row 3, column 0 is inf"):
        made.fit(x, DATA.y, 50, 50)
    made.assign(psi=[np.ones(25)])
    with pytest.raises(FloatingPointError, match="not finite any more"):
        made.fit(DATA.x, [1e200 * DATA.y[0]], 50, 50)


@pytest.mark.parametrize("regressors", [8, 40])
@pytest.mark.parametrize("batch", [16, 256, 2048])
def test_correlated_inputs_never_overshoot(regressors: int, batch: int) -> None:
    """Undamped, one batch of all rows ends further from the truth than nothing learnt at all."""
    rng = np.random.default_rng(0)
    common = np.sqrt(0.8) * rng.normal(size=(2048, 1))
    x = common + np.sqrt(0.2) * rng.normal(size=(2048, regressors))
    truth = x @ rng.normal(size=(regressors, 3))
    y = truth + 0.3 * rng.normal(size=truth.shape)
    errors = {}
    for damping in ("auto", "none"):
        made = LatentRegModel(
            [regressors], [3], [3], [3], nn.Sequential(), [None], seed=0, precision="float64"
        )
        made.assign(u=[np.eye(3)])
        made.fit([x], [y], batch, batch, epochs=10, damping=damping)
        errors[damping] = np.sqrt(((made([x])[0] - truth) ** 2).mean()) / truth.std()
    assert errors["auto"] < 0.5
    if (batch, regressors) == (2048, 40):
        assert errors["none"] > 1


def test_progress_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "tagi_cli.arch.latent_regression")
    model().fit(DATA.x, DATA.y, 10, 10, max_its=7, update_int=3)
    assert [r.args[0] for r in caplog.records if isinstance(r.args, tuple)] == [0, 3, 6]


def test_the_prior_of_modes_can_be_wider() -> None:
    for role in ("p", "u"):
        narrow, wide = model().moments(role)[0], model(var_gain=3.0).moments(role)[0]
        assert narrow is not None
        assert wide is not None
        np.testing.assert_allclose(wide.var, 9 * narrow.var)
        np.testing.assert_array_equal(wide.mu, narrow.mu)
