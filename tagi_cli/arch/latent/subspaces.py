"""Subspaces of variables that latents see or move, and how far two of them are apart."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Host = np.ndarray[Any, Any]


def principal_angles(a: Host, b: Host) -> Host:
    """Angles between the column spaces of two matrices, in degrees, the smallest first.

    The sines of small angles and the cosines of large ones are used, so that both are exact to
    rounding (Björck & Golub 1973, Knyazev & Argentati 2002).

    Args:
        a: `(n, j)` of full column rank.
        b: `(n, k)` likewise.

    Returns:
        `min(j, k)` angles between 0 and 90.

    Raises:
        ValueError: numbers of rows differ, or columns are dependent.
    """
    if a.ndim != 2 or b.ndim != 2 or len(a) != len(b):
        raise ValueError(f"subspaces of one space have as many rows: found {a.shape}, {b.shape}")
    bases = []
    for name, matrix in (("first", a), ("second", b)):
        left, singular, _ = np.linalg.svd(np.asarray(matrix, np.float64), full_matrices=False)
        if singular[-1] <= singular[0] * max(matrix.shape) * np.finfo(np.float64).eps:
            raise ValueError(f"the {name} matrix {matrix.shape} has dependent columns")
        bases.append(left)
    wide, narrow = sorted(bases, key=lambda basis: -basis.shape[1])
    product = wide.T @ narrow
    cosines = np.clip(np.linalg.svd(product, compute_uv=False), 0, 1)
    sines = np.clip(np.linalg.svd(narrow - wide @ product, compute_uv=False)[::-1], 0, 1)
    small = cosines**2 > 0.5
    angles = np.where(small, np.arcsin(sines), np.arccos(cosines))
    return np.asarray(np.degrees(angles))


class Canonical(NamedTuple):
    """A low-rank matrix `u diag(s) p'` in its canonical form.

    Attributes:
        p: orthonormal columns, of input variables; the largest entry of each is positive.
        singular: singular values, the largest first.
        u: orthonormal columns, of output variables.
    """

    p: Host
    singular: Host
    u: Host


def canonical(p: Host, m: Host, u: Host) -> Canonical:
    """The canonical form of `u m p'`, from QR of both sides and an SVD of the small matrix.

    Args:
        p: `(d_in, j)`.
        m: `(k, j)`.
        u: `(d_out, k)`.
    """
    q_p, r_p = np.linalg.qr(p)
    q_u, r_u = np.linalg.qr(u)
    left, singular, right = np.linalg.svd(r_u @ m @ r_p.T, full_matrices=False)
    p_canonical, u_canonical = q_p @ right.T, q_u @ left
    largest = np.abs(p_canonical).argmax(axis=0)
    signs = np.sign(p_canonical[largest, np.arange(len(singular))])
    signs[signs == 0] = 1.0
    return Canonical(p_canonical * signs, singular, u_canonical * signs)
