"""Angles between subspaces, canonical forms, and synthetic data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import subspace_angles

from tagi_cli.arch.latent.structure import Groups
from tagi_cli.arch.latent.subspaces import canonical, principal_angles
from tagi_cli.arch.latent.synthetic import DEFAULT, draw_rows, synthetic


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 4))
def test_angles_are_scipys(seed: int, j: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(7, j)), rng.normal(size=(7, k))
    want = np.sort(np.degrees(subspace_angles(a, b)))
    np.testing.assert_allclose(principal_angles(a, b), want, atol=1e-5)


@pytest.mark.parametrize("angle", [0.0, 1e-7, 30.0, 60.0, 90.0 - 1e-7, 90.0])
def test_small_and_large_angles_are_exact(angle: float) -> None:
    t = np.radians(angle)
    a, b = np.array([[3.0], [0.0]]), np.array([[np.cos(t)], [np.sin(t)]])
    np.testing.assert_allclose(principal_angles(a, b), [angle], rtol=1e-8, atol=1e-13)


def test_angles_do_not_depend_on_the_basis() -> None:
    rng = np.random.default_rng(0)
    a, mixing = rng.normal(size=(9, 3)), rng.normal(size=(3, 3))
    np.testing.assert_allclose(principal_angles(a, a @ mixing), 0, atol=1e-6)


def test_matrices_that_span_no_subspace_are_named() -> None:
    a = np.ones((4, 2))
    with pytest.raises(ValueError, match=r"second matrix .* dependent columns"):
        principal_angles(np.eye(4)[:, :1], a)
    with pytest.raises(ValueError, match=r"found \(4, 2\), \(3, 1\)"):
        principal_angles(a, np.ones((3, 1)))


def test_the_canonical_form_is_the_same_product() -> None:
    rng = np.random.default_rng(1)
    p, m, u = rng.normal(size=(6, 2)), rng.normal(size=(3, 2)), rng.normal(size=(5, 3))
    form = canonical(p, m, u)
    np.testing.assert_allclose((form.u * form.singular) @ form.p.T, u @ m @ p.T, atol=1e-12)
    np.testing.assert_allclose(form.p.T @ form.p, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(form.u.T @ form.u, np.eye(2), atol=1e-12)
    assert (np.diff(form.singular) <= 0).all()
    assert (form.p[np.abs(form.p).argmax(axis=0), range(2)] > 0).all()
    turned = canonical(p @ np.linalg.inv(m[:2]).T @ m[:2].T, m, u @ np.eye(3))
    assert turned.singular.shape == (2,)


def test_the_truth_does_not_depend_on_the_rows() -> None:
    few, many = synthetic(10, 5), synthetic(20, 5)
    for a, b in zip(few.truth, many.truth, strict=True):
        np.testing.assert_equal(a, b)
    assert [a.shape for a in few.x] == [(10, 25), (10, 12)]
    assert synthetic(10, 6).truth.noise_floor() != few.truth.noise_floor()


@pytest.mark.parametrize("groups", [DEFAULT, Groups((3,), (1, 4), (3,), (1, 2), ())])
def test_rows_follow_the_truth(groups: Groups) -> None:
    data = synthetic(5, 1, groups)
    for p in data.truth.p:
        np.testing.assert_allclose(p.T @ p, np.eye(p.shape[1]), atol=1e-12)
    x, y = draw_rows(data.truth, groups, 50_000, np.random.default_rng(0))
    mean = data.truth.mean(x, groups)
    residual = np.concatenate(y, axis=1) - np.concatenate(mean, axis=1)
    psi = np.concatenate(data.truth.psi)
    np.testing.assert_allclose(residual.var(axis=0), psi, rtol=6 * np.sqrt(2 / 50_000))
    np.testing.assert_allclose(data.truth.noise_floor() ** 2, psi.mean())
