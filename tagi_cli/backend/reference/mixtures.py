"""Exact moments of piecewise linear activations of a Gaussian.

Signatures and conventions are those of `activations`. Everything is computed in double precision.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from tagi_cli.backend.base import Array

_INV_SQRT_2PI = 0.3989422804014327
_WIDE = 100.0


def _tail(t: Array) -> tuple[Array, Array]:
    """For `t >= 0`: `q = P(N(0, 1) > t)` and `g = E[max(0, N(0, 1) - t)] = phi(t) - t q`."""
    q: Array = ndtr(-t)
    return q, np.maximum(_INV_SQRT_2PI * np.exp(-0.5 * t * t) - t * q, 0)


class _Clipped(NamedTuple):
    """Moments of `clip(Z, -1, 1)`, and the distance of the mean to 1, without cancellation."""

    mean: Array
    short_of_one: Array
    var: Array
    jac: Array


def _clipped(a: Array, v: Array) -> _Clipped:
    """Moments of `W = clip(Z, -1, 1)`, `Z ~ N(a, v)`, for `a >= 0`.

    With `t = |1 - a| / s`, `u = (1 + a) / s` and tails `q, g` of each, the distance of the mean to
    1 is `s (g_t - g_u)`, plus `1 - a` where `a < 1`; the variance is `v` times
    `P_t - t g_t - g_t^2 - q_u - g_u (u + g_u - 2 e)` with `P_t, e` equal to `1 - q_t, g_t` inside
    and `q_t, t + g_t` outside; `J = P_t - q_u = P(|Z| < 1)`. All are sums about the mean, so
    nothing of the size of 1 is subtracted where the variance is small. Where `s` is large, they
    follow from `I_k = int y^k P(Z < -y) dy` over `[-1, 1]`: mean `1 - I_0`, variance
    `2 (I_0 + I_1) - I_0^2`, expanded about `y = 0` in powers of `1 / s`.
    """
    s = np.sqrt(v)
    spread = v > 0
    h = 1 / np.where(spread, s, 1)
    inside, wide = a < 1, s > _WIDE
    near = np.abs(1 - a)
    t = np.minimum(np.where(wide, a, near) * h, 1e4)
    u = np.minimum((1 + a) * h, 1e4)
    (q, g), (q_far, g_far) = _tail(t), _tail(u)
    q, g, q_far, g_far = q * spread, g * spread, q_far * spread, g_far * spread
    upper = np.where(inside, g, t + g)
    inner = np.where(inside, 1 - q, q)
    part = inner - t * g - g * g - q_far - g_far * (u + g_far - 2 * upper)
    lost = s * (g - g_far)

    phi = _INV_SQRT_2PI * np.exp(-0.5 * t * t)
    second, third, fourth = t**2 - 1, t**3 - 3 * t, t**4 - 6 * t**2 + 3
    below = 2 * q + phi * (t * h**2 / 3 + third * h**4 / 60)
    moment = -2 * phi * (h / 3 + second * h**3 / 30 + fourth * h**5 / 840)
    slope = 2 * phi * (h + second * h**3 / 6 + fourth * h**5 / 120)
    return _Clipped(
        np.where(wide, 1 - below, np.where(inside, a - lost, 1 - lost)),
        np.where(wide, below, np.where(inside, near + lost, lost)),
        np.maximum(np.where(wide, 2 * (below + moment) - below * below, v * part), 0),
        np.where(wide, slope, inner - q_far),
    )


def mixture_tanh_forward(
    mu_a: Array, var_a: Array | None, jac: Array, mu_z: Array, var_z: Array | None, n: int
) -> None:
    """Exact moments of `clip(Z, -1, 1)`; `J = P(|Z| < 1)` (Stein's lemma)."""
    if var_z is None or var_a is None:
        np.clip(mu_z, -1, 1, out=mu_a)
        np.less(np.abs(mu_z), 1, out=jac, casting="unsafe")
        return
    m = mu_z.astype(np.float64)
    clipped = _clipped(np.abs(m), var_z.astype(np.float64))
    np.copyto(mu_a, np.where(m < 0, -clipped.mean, clipped.mean), casting="same_kind")
    np.copyto(var_a, clipped.var, casting="same_kind")
    np.copyto(jac, clipped.jac, casting="same_kind")


def mixture_sigmoid_forward(
    mu_a: Array, var_a: Array | None, jac: Array, mu_z: Array, var_z: Array | None, n: int
) -> None:
    """Exact moments of `clip((Z + 1) / 2, 0, 1)`."""
    if var_z is None or var_a is None:
        np.clip(0.5 + 0.5 * mu_z, 0, 1, out=mu_a)
        np.less(np.abs(mu_z), 1, out=jac, casting="unsafe")
        jac *= 0.5
        return
    m = mu_z.astype(np.float64)
    clipped = _clipped(np.abs(m), var_z.astype(np.float64))
    half = 0.5 * clipped.short_of_one
    np.copyto(mu_a, np.where(m < 0, half, 1 - half), casting="same_kind")
    np.copyto(var_a, 0.25 * clipped.var, casting="same_kind")
    np.copyto(jac, 0.5 * clipped.jac, casting="same_kind")


def mixture_leaky_relu_forward(
    mu_a: Array,
    var_a: Array | None,
    jac: Array,
    mu_z: Array,
    var_z: Array | None,
    negative_slope: float,
    n: int,
) -> None:
    """Exact moments of `c Z + (1 - c) max(0, Z)` with `c = negative_slope`.

    With mean `r`, variance `v_r` and slope `P` of the rectified part, `cov(Z, max(0, Z)) = v P`:
    variance `c^2 v + (1 - c)^2 v_r + 2 c (1 - c) v P`, `J = c + (1 - c) P`.
    """
    c, d = float(negative_slope), 1 - float(negative_slope)
    if var_z is None or var_a is None:
        np.copyto(jac, c)
        np.copyto(jac, 1, where=mu_z > 0)
        np.multiply(mu_z, jac, out=mu_a)
        return
    m, v = mu_z.astype(np.float64), var_z.astype(np.float64)
    s = np.sqrt(v)
    t = np.abs(m) / np.where(s > 0, s, 1)
    q, g = _tail(t)
    q, g = np.where(s > 0, q, 0), np.where(s > 0, g, 0)
    p = np.where(m > 0, 1 - q, q)
    np.copyto(mu_a, c * m + d * (np.maximum(m, 0) + s * g), casting="same_kind")
    part = np.maximum(p - t * g - g * g, 0)
    share = np.maximum(c * c + d * (d * part + 2 * c * p), 0)
    np.copyto(var_a, v * share, casting="same_kind")
    np.copyto(jac, c + d * p, casting="same_kind")
