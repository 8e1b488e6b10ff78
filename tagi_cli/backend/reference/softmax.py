"""Moments of class probabilities, row by row: `K` logits `z` to `K` probabilities `a`.

Shapes `(rows, K)`; `var_z` and `var_a` are None together for certain logits. `jac` is
`cov(a_k, z_k) / var_z_k`; covariance with the other logits is not passed on, as all units are
treated as independent. Everything is computed in double precision.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, softmax

from tagi_cli.backend.base import Array

_INV_SQRT_2PI = 0.3989422804014327
_LARGEST_VARIANCE = 20.0


def softmax_forward(
    mu_a: Array,
    var_a: Array | None,
    jac: Array,
    mu_z: Array,
    var_z: Array | None,
    rows: int,
    K: int,
) -> None:
    """Softmax linearised at the means: with `p = softmax(mu_z)`, `da_k/dz_l = p_k (1[k=l] - p_l)`.

    Variance `p_k^2 ((1 - p_k)^2 v_k + sum_{l != k} p_l^2 v_l)`, `J_k = p_k (1 - p_k)`.
    """
    p = softmax(mu_z.reshape(rows, K).astype(np.float64), axis=1)
    left = _others(p)
    np.copyto(mu_a.reshape(rows, K), p, casting="same_kind")
    np.copyto(jac.reshape(rows, K), p * left, casting="same_kind")
    if var_z is not None and var_a is not None:
        v = var_z.reshape(rows, K).astype(np.float64)
        var = p * p * (left * left * v + _others(p * p * v))
        np.copyto(var_a.reshape(rows, K), var, casting="same_kind")


def _others(x: Array) -> Array:
    """For each element the sum of the rest of its row.

    Computed about the largest element, so that nothing is lost where that outweighs all others.
    """
    largest = x.argmax(axis=1, keepdims=True)
    small = x.copy()
    np.put_along_axis(small, largest, 0, axis=1)
    rest = small.sum(axis=1, keepdims=True)
    others: Array = rest - x + np.take_along_axis(x, largest, axis=1)
    np.put_along_axis(others, largest, rest, axis=1)
    return others


def closed_form_softmax_forward(
    mu_a: Array,
    var_a: Array | None,
    jac: Array,
    mu_z: Array,
    var_z: Array | None,
    rows: int,
    K: int,
) -> None:
    """Ratio of log-normals: `a_k = exp(z_k) / S`, with `S = sum exp(z_l)` taken as log-normal too.

    With `p = softmax(mu_z + var_z / 2)`, `c = exp(var_z) - 1`, `R = sum p^2 c = Var[S] / E[S]^2`
    and `cov(z_k, ln S) = ln(1 + p_k c_k)`, the mean is `p_k (1 + R) / (1 + p_k c_k)`, the variance
    `mean^2 (c_k (1 - p_k)^2 + (R - p_k^2 c_k) (1 + c_k)) / (1 + p_k c_k)^2` and
    `J_k = mean ln(1 + (1 - p_k) c_k / (1 + p_k c_k)) / var_z_k`. This is the textbook form
    `exp(E + Var/2)` with all differences of equal numbers cancelled on paper, and the largest
    exponent taken out. `J` is at most `sqrt(var_a / var_z)`, as any covariance is: the log-normals
    alone would exceed it for variances above 1. Variances enter as at most 20.
    """
    if var_z is None or var_a is None:
        softmax_forward(mu_a, None, jac, mu_z, None, rows, K)
        return
    full = var_z.reshape(rows, K).astype(np.float64)
    v = np.minimum(full, _LARGEST_VARIANCE)
    p = softmax(mu_z.reshape(rows, K).astype(np.float64) + 0.5 * v, axis=1)
    left, c = _others(p), np.expm1(v)
    weights = p * p * c
    joint = 1 + p * c
    mean = p * (1 + weights.sum(axis=1, keepdims=True)) / joint
    ratio = mean / joint
    spread = c * left * left + _others(weights) * (1 + c)
    slope = np.where(v > 0, np.log1p(left * c / joint) / np.where(v > 0, v, 1), left)
    bound = np.where(v > 0, ratio * np.sqrt(spread / np.where(v > 0, full, 1)), np.inf)
    for out, value in (
        (mu_a, mean),
        (var_a, ratio * ratio * spread),
        (jac, np.minimum(mean * slope, bound)),
    ):
        np.copyto(out.reshape(rows, K), value, casting="same_kind")


def remax_forward(
    mu_a: Array,
    var_a: Array | None,
    jac: Array,
    mu_z: Array,
    var_z: Array | None,
    rows: int,
    K: int,
) -> None:
    """Share of each rectified logit in their sum: `a_k = M_k / sum M_l`, `M = max(0, z)`.

    `M` has the exact moments of a rectified Gaussian; the ratio is that of two log-normals. In
    units of `sum E[M]`, with mean `x` and variance `y` of each `M` and `w = x / (x + y)`, the means
    are `x w / sum x w`, the variances
    `(y (1 - x)^2 + (sum of the other y) (x^2 + y)) w^4 / (sum x w)^2`, and `J` is the smaller of
    `sqrt(var_a / var_z)` and `cov(a, M) / (P var_z)` with
    `cov(a, M) = y (1 - x) w^2 sum E[M] / sum x w` and `P = P(z > 0)`. This is the textbook form in
    logarithms, rearranged so that it holds without floors. Where all rectified logits vanish, the
    classes are equally probable.
    """
    m = mu_z.reshape(rows, K).astype(np.float64)
    v = np.zeros_like(m) if var_z is None else var_z.reshape(rows, K).astype(np.float64)
    s, positive, uncertain = np.sqrt(v), m > 0, v > 0
    t = np.abs(m) / np.where(uncertain, s, 1)
    q = np.where(uncertain, ndtr(-t), 0)
    g = np.where(uncertain, np.maximum(_INV_SQRT_2PI * np.exp(-0.5 * t * t) - t * q, 0), 0)
    p = np.where(positive, 1 - q, q)
    part = np.maximum(p - t * g - g * g, 0)
    means = np.where(positive, m, 0) + s * g
    total = means.sum(axis=1, keepdims=True)
    unit = 1 / np.where(total == 0, 1, total)
    x, y = means * unit, v * part * unit * unit
    safe = np.where(x > 0, x + y, 1)
    w, both = x / safe, x * (y / safe)
    top = w.max(axis=1, keepdims=True)
    decided = (total != 0) & (top != 0)
    f = w / np.where(decided, top, 1)
    f = f / np.where(decided, (x * f).sum(axis=1, keepdims=True), 1)
    left = _others(x)
    var = (both * w * left**2 + _others(y) * w * (x * x * w + both)) * f * f
    slope = part / np.where(p > 0, p, 1) * left * w * unit * f
    bound = np.where(uncertain, np.sqrt(var / np.where(uncertain, v, 1)), np.inf)
    np.copyto(mu_a.reshape(rows, K), np.where(decided, x * f, 1 / K), casting="same_kind")
    slope = np.where(decided, np.minimum(slope, bound), 0)
    np.copyto(jac.reshape(rows, K), slope, casting="same_kind")
    if var_a is not None:
        np.copyto(var_a.reshape(rows, K), np.where(decided, var, 0), casting="same_kind")
