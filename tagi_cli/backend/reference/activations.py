"""Moments of elementwise activations, and the one backward that they share.

Each forward writes `mu_a, var_a` and the Jacobian `jac = cov(a, z) / var_z` (at `var_z = 0` its
limit), for `n` elements. `var_z` and `var_a` are None together for a certain input.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, ndtr

from tagi_cli.backend.base import Array

_INV_SQRT_2PI = 0.3989422804014327
_WIDEST, _HIGHEST = 20.0, 40.0


def jacobian_backward(
    d_mu_z: Array,
    d_var_z: Array,
    d_mu_a: Array,
    d_var_a: Array,
    jac: Array,
    n: int,
    accumulate: int,
) -> None:
    """Innovations through `a = f(z)`: `d_mu_z = J d_mu_a`, `d_var_z = J^2 d_var_a`."""
    if accumulate:
        d_mu_z += jac * d_mu_a
        d_var_z += jac * jac * d_var_a
    else:
        np.multiply(jac, jac, out=d_var_z)
        np.multiply(d_var_z, d_var_a, out=d_var_z)
        np.multiply(jac, d_mu_a, out=d_mu_z)


def _linearised(var_a: Array | None, jac: Array, var_z: Array | None) -> None:
    """`var_a = J^2 var_z`, the first-order variance."""
    if var_a is not None and var_z is not None:
        np.multiply(jac, jac, out=var_a)
        np.multiply(var_a, var_z, out=var_a)


def relu_forward(
    mu_a: Array, var_a: Array | None, jac: Array, mu_z: Array, var_z: Array | None, n: int
) -> None:
    """ReLU linearised at the mean: `(mu, var, 1)` where `mu_z > 0`, else zeros."""
    np.greater(mu_z, 0, out=jac, casting="unsafe")
    np.multiply(mu_z, jac, out=mu_a)
    if var_a is not None and var_z is not None:
        np.multiply(var_z, jac, out=var_a)


def leaky_relu_forward(
    mu_a: Array,
    var_a: Array | None,
    jac: Array,
    mu_z: Array,
    var_z: Array | None,
    negative_slope: float,
    n: int,
) -> None:
    """Leaky ReLU linearised at the mean; the Jacobian is 1 or `negative_slope`."""
    np.copyto(jac, negative_slope)
    np.copyto(jac, 1, where=mu_z > 0)
    np.multiply(mu_z, jac, out=mu_a)
    _linearised(var_a, jac, var_z)


def sigmoid_forward(
    mu_a: Array, var_a: Array | None, jac: Array, mu_z: Array, var_z: Array | None, n: int
) -> None:
    """Logistic sigmoid linearised at the mean: `J = s (1 - s)`."""
    expit(mu_z, out=mu_a)
    np.subtract(1, mu_a, out=jac)
    np.multiply(jac, mu_a, out=jac)
    _linearised(var_a, jac, var_z)


def tanh_forward(
    mu_a: Array, var_a: Array | None, jac: Array, mu_z: Array, var_z: Array | None, n: int
) -> None:
    """Hyperbolic tangent linearised at the mean: `J = 1 - tanh^2`."""
    np.tanh(mu_z, out=mu_a)
    np.multiply(mu_a, mu_a, out=jac)
    np.subtract(1, jac, out=jac)
    _linearised(var_a, jac, var_z)


def softplus_forward(
    mu_a: Array, var_a: Array | None, jac: Array, mu_z: Array, var_z: Array | None, n: int
) -> None:
    """`log(1 + exp(z))` linearised at the mean: `J` is the logistic sigmoid."""
    np.logaddexp(0, mu_z, out=mu_a)
    expit(mu_z, out=jac)
    _linearised(var_a, jac, var_z)


def mixture_relu_forward(
    mu_a: Array, var_a: Array | None, jac: Array, mu_z: Array, var_z: Array | None, n: int
) -> None:
    """Exact moments of `max(0, Z)`, `Z ~ N(mu_z, var_z)`; `J = P(Z > 0)` (Stein's lemma).

    With `t = |mu_z| / s`, `Q = Phi(-t)` and `g = phi(t) - t Q`, the mean is `s g` plus the positive
    part of `mu_z`, and the variance `s^2 (P - t g - g^2)` with `P = Q` for a negative mean and
    `1 - Q` otherwise. Unlike differences of raw moments this loses no digits far from zero.
    """
    if var_z is None or var_a is None:
        relu_forward(mu_a, None, jac, mu_z, None, n)
        return
    s = np.sqrt(var_z)
    t = np.abs(mu_z) / np.where(s > 0, s, 1)
    q = np.where(s > 0, ndtr(-t), 0).astype(mu_z.dtype)
    g = np.where(s > 0, np.maximum(_INV_SQRT_2PI * np.exp(-0.5 * t * t) - t * q, 0), 0)
    positive = mu_z > 0
    np.copyto(jac, np.where(positive, 1 - q, q))
    np.copyto(mu_a, np.where(positive, mu_z, 0) + s * g)
    np.maximum(var_z * (jac - t * g - g * g), 0, out=var_a)


def even_exp_forward(
    mu_a: Array, var_a: Array | None, jac: Array, mu_z: Array, var_z: Array | None, n: int
) -> None:
    """Identity on even elements, exact log-normal moments on odd ones; there `J = mu_a`.

    `E[e^Z] = exp(mu + var/2)`, `var[e^Z] = E[e^Z]^2 (e^var - 1)`, `cov(Z, e^Z) = var E[e^Z]`.
    The variance enters as at most 20, and the mean as at most 40 less that: no moment and no square
    of `J` overflows.
    """
    even, odd = slice(0, None, 2), slice(1, None, 2)
    m, a, j = mu_z.reshape(-1), mu_a.reshape(-1), jac.reshape(-1)
    a[even], j[even] = m[even], 1
    if var_z is None or var_a is None:
        a[odd] = np.exp(np.minimum(m[odd], _HIGHEST))
    else:
        v, va = var_z.reshape(-1), var_a.reshape(-1)
        spread = np.minimum(v[odd], _WIDEST)
        a[odd] = np.exp(np.minimum(m[odd], _HIGHEST - spread) + 0.5 * spread)
        va[even] = v[even]
        va[odd] = a[odd] * a[odd] * np.expm1(spread)
    j[odd] = a[odd]
