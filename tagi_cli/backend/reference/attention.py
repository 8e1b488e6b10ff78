"""Attention: moments and innovations of weighted sums of values, by independent products.

`B` rows of `T` tokens. Projections `p` are `(B, T, (H + 2 G) d)`: queries of `H` heads of size `d`,
then keys and values of `G` heads, each for `H / G` heads of queries. Scores and weights are
`(B, H, T, T)`: a row holds one query's with all keys; with `causal` those of later keys are zero.
Outputs `y` are `(B, T, H d)`.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, softmax

from tagi_cli.backend.base import Array

_INV_SQRT_2PI = 0.3989422804014327


def rotate_pairs(
    first: Array,
    second: Array,
    cosine: Array,
    sine: Array,
    rows: int,
    T: int,
    width: int,
    n: int,
    half: int,
    inverse: int,
) -> None:
    """Turn columns `2 i, 2 i + 1` by an angle of their own, in place: a rotary encoding.

    Means, or their innovations, turn: `(c a - s b, s a + c b)`, back with `inverse`. Variances, or
    their innovations, mix with the squares: `(c^2 v + s^2 w, s^2 v + c^2 w)`.

    Shapes: `first, second (rows, width)`, of which the first `n` columns turn; row `r` is token
    `r mod T`; `cosine, sine (T, half)` repeat every `2 half` columns.
    """
    shape = (rows // T, T, n // (2 * half), half, 2)
    c = cosine.reshape(T, 1, half)
    s = -sine.reshape(T, 1, half) if inverse else sine.reshape(T, 1, half)
    for array, (same, other) in ((first, (c, s)), (second, (c * c, s * s))):
        part = array.reshape(rows, width)[:, :n]
        pair = part.reshape(shape)
        a, b = pair[..., 0].copy(), pair[..., 1].copy()
        turned = np.empty_like(pair)
        turned[..., 0] = same * a - other * b if array is first else same * a + other * b
        turned[..., 1] = other * a + same * b
        part[...] = turned.reshape(rows, n)


def _heads(p: Array, B: int, T: int, H: int, G: int, d: int) -> tuple[Array, Array, Array]:
    """Views of queries `(B, T, G, H / G, d)`, and of keys and values `(B, T, G, d)`."""
    p = p.reshape(B, T, (H + 2 * G) * d)
    queries = p[..., : H * d].reshape(B, T, G, H // G, d)
    keys = p[..., H * d : (H + G) * d].reshape(B, T, G, d)
    values = p[..., (H + G) * d :].reshape(B, T, G, d)
    return queries, keys, values


def _grouped(a: Array, B: int, T: int, H: int, G: int) -> Array:
    """A view `(B, G, H / G, T, T)` of scores or weights."""
    return a.reshape(B, G, H // G, T, T)


def _kept(a: Array, T: int, causal: int) -> Array:
    """Scores or weights, with zeros for later keys."""
    return np.tril(a) if causal else a


def attention_scores(
    mu_s: Array,
    var_s: Array,
    mu_p: Array,
    var_p: Array,
    scale: float,
    B: int,
    T: int,
    H: int,
    G: int,
    d: int,
    causal: int,
) -> None:
    """Moments of `s = scale q'k`: sums of products of independent Gaussians.

    `mu_s = scale sum mu_q mu_k`, `var_s = scale^2 sum (var_q (mu_k^2 + var_k) + mu_q^2 var_k)`.
    """
    (q, k, _), (vq, vk, _) = (_heads(p, B, T, H, G, d) for p in (mu_p, var_p))
    form = "btghm,bugm->bghtu"
    mean = np.einsum(form, q, k, optimize=True) * scale
    var = np.einsum(form, vq, k * k + vk, optimize=True)
    var += np.einsum(form, q * q, vk, optimize=True)
    _grouped(mu_s, B, T, H, G)[...] = _kept(mean, T, causal)
    _grouped(var_s, B, T, H, G)[...] = _kept(var * (scale * scale), T, causal)


def attention_softmax(
    mu: Array, var: Array, slope: Array, second: Array, rows: int, T: int, causal: int
) -> None:
    """Weights `A_k = exp(s_k) / sum exp(s_l)` of each row of scores; see `_weigh`.

    `exp(s)` has relative variance `w = var_s` and relative slope 1 to first order.
    """
    m, w, kept = _scores(mu, var, rows, T, causal)
    x = softmax(np.where(kept, m, -np.inf), axis=1)
    a = x / (1 + x * w)
    a /= a.sum(axis=1, keepdims=True)
    t = a * w
    damped = 1 / (1 + t)
    _weigh(mu, var, slope, second, a, a * t * damped, a * damped)


def attention_remax(
    mu: Array, var: Array, slope: Array, second: Array, rows: int, T: int, causal: int
) -> None:
    """Weights `A_k = max(0, s_k) / sum max(0, s_l)` of each row of scores; see `_weigh`.

    Rectified scores have their exact moments. Where all vanish, the weights are equal and certain.
    """
    m, v, kept = _scores(mu, var, rows, T, causal)
    s, positive, uncertain = np.sqrt(v), m > 0, v > 0
    t = np.abs(m) / np.where(uncertain, s, 1)
    q = np.where(uncertain, ndtr(-t), 0)
    g = np.where(uncertain, np.maximum(_INV_SQRT_2PI * np.exp(-0.5 * t * t) - t * q, 0), 0)
    p = np.where(positive, 1 - q, q)
    part = np.maximum(p - t * g - g * g, 0)
    means = np.where(kept, np.where(positive, m, 0) + s * g, 0)
    total = means.sum(axis=1, keepdims=True)
    unit = 1 / np.where(total == 0, 1, total)
    x, y = means * unit, v * part * unit * unit
    w = np.where(x > 0, x / np.where(x > 0, x + y, 1), x)
    weight = (x * w).sum(axis=1, keepdims=True)
    decided = weight != 0
    w = w / np.where(decided, weight, 1)
    a = np.where(decided, x * w, kept / kept.sum(axis=1, keepdims=True))
    r = np.where(decided & (x > 0), w * y / np.where(x > 0, x, 1), 0)
    root = 1 / np.sqrt(1 + np.minimum(r, 1 / np.where(r > 0, r, 1)) ** 2)
    saturated, damped = np.where(r < 1, (r * root, root), (root, root / np.where(r > 0, r, 1)))
    _weigh(mu, var, slope, second, a, a * saturated, np.where(decided, w * unit * p * damped, 0))


def _scores(mu: Array, var: Array, rows: int, T: int, causal: int) -> tuple[Array, Array, Array]:
    """Scores and variances in double precision, and which keys each row may look at."""
    kept = np.ones((rows, T), bool)
    if causal:
        kept = np.arange(T) <= (np.arange(rows) % T)[:, None]
    m, v = (a.reshape(rows, T).astype(np.float64) for a in (mu, var))
    return m, np.where(kept, v, 0), kept


def _weigh(
    mu: Array, var: Array, slope: Array, second: Array, a: Array, c: Array, r: Array
) -> None:
    """Put weights in the place of scores.

    A row of weights is a ratio: a change of `s_k` moves it along `e_k - A`, so that it goes on to
    sum to one. `cov(A, s_k) = r_k var_s_k (e_k - A)` and
    `cov(A, A) = sum_k c_k (e_k - A) (e_k - A)'`.

    `mu` becomes `A`, `var` the strengths `c`, `slope` `r`, and `second` is `E[A_k^2]`.
    """
    full = a * a * (1 + c.sum(axis=1, keepdims=True) - c) + c * (1 - a) ** 2
    for out, value in ((mu, a), (var, c), (slope, r), (second, full)):
        np.copyto(out.reshape(a.shape), value, casting="same_kind")


def attention_values(
    mu_y: Array,
    var_y: Array,
    mu_a: Array,
    strength: Array,
    second: Array,
    mu_p: Array,
    var_p: Array,
    B: int,
    T: int,
    H: int,
    G: int,
    d: int,
    causal: int,
) -> None:
    """Moments of `y = sum A_u v_u`, the weights independent of the values.

    `mu_y = sum A mu_v`, `var_y = sum (E[A^2] var_v + c (mu_v - mu_y)^2)`: the second term is
    `mu_v' cov(A, A) mu_v`.
    """
    values, spread = (_heads(p, B, T, H, G, d)[2] for p in (mu_p, var_p))
    a, c, e = (_grouped(x, B, T, H, G) for x in (mu_a, strength, second))
    form = "bghtu,bugm->btghm"
    mean = np.einsum(form, a, values, optimize=True)
    var = np.einsum(form, e, spread, optimize=True)
    for t in range(T):
        gap = values[:, :, :, None] - mean[:, t, None]
        var[:, t] += np.einsum("bghu,bughm->bghm", c[:, :, :, t], gap * gap)
    mu_y.reshape(mean.shape)[...] = mean
    var_y.reshape(var.shape)[...] = var


def attention_values_backward(
    d_mu_p: Array,
    d_var_p: Array,
    d_mu_y: Array,
    d_var_y: Array,
    mu_a: Array,
    B: int,
    T: int,
    H: int,
    G: int,
    d: int,
    causal: int,
) -> None:
    """Innovations of values: `d_mu_v = sum A d_mu_y`, `d_var_v = sum A^2 d_var_y`.

    Sums run over the tokens that look, and over the heads that share the values.
    """
    a = _grouped(mu_a, B, T, H, G)
    for d_p, d_y, weight in ((d_mu_p, d_mu_y, a), (d_var_p, d_var_y, a * a)):
        d_y = d_y.reshape(B, T, G, H // G, d)
        out = _heads(d_p, B, T, H, G, d)[2]
        out[...] = np.einsum("bghtu,btghm->bugm", weight, d_y, optimize=True)


def attention_weights_backward(
    d_mu_s: Array,
    d_var_s: Array,
    d_mu_y: Array,
    d_var_y: Array,
    mu_y: Array,
    slope: Array,
    mu_p: Array,
    B: int,
    T: int,
    H: int,
    G: int,
    d: int,
    causal: int,
) -> None:
    """Innovations of scores, straight from the outputs: `cov(y, s_u) = r_u (mu_v - mu_y) var_s_u`.

    `d_mu_s = r sum (mu_v - mu_y) d_mu_y`, `d_var_s = r^2 sum (mu_v - mu_y)^2 d_var_y`, sums over
    the units of a head.
    """
    values = _heads(mu_p, B, T, H, G, d)[2]
    y, d_mu, d_var = (x.reshape(B, T, G, H // G, d) for x in (mu_y, d_mu_y, d_var_y))
    r = _grouped(slope, B, T, H, G)
    out_mu, out_var = (_grouped(x, B, T, H, G) for x in (d_mu_s, d_var_s))
    for t in range(T):
        gap = values[:, :, :, None] - y[:, t, None]
        factor = r[:, :, :, t]
        out_mu[:, :, :, t] = factor * np.einsum("bughm,bghm->bghu", gap, d_mu[:, t])
        out_var[:, :, :, t] = factor**2 * np.einsum("bughm,bghm->bghu", gap * gap, d_var[:, t])


def attention_scores_backward(
    d_mu_p: Array,
    d_var_p: Array,
    d_mu_s: Array,
    d_var_s: Array,
    mu_p: Array,
    scale: float,
    B: int,
    T: int,
    H: int,
    G: int,
    d: int,
    causal: int,
) -> None:
    """Innovations of queries and keys: `cov(s, q) = scale mu_k var_q` and the like.

    `d_mu_q = scale sum mu_k d_mu_s`, `d_var_q = scale^2 sum mu_k^2 d_var_s`, sums over keys; for
    keys with `mu_q` over the tokens that look, and over the heads that share the keys.
    """
    q, k, _ = _heads(mu_p, B, T, H, G, d)
    d_mu, d_var = (_grouped(x, B, T, H, G) for x in (d_mu_s, d_var_s))
    for d_p, d_s, factor, power in ((d_mu_p, d_mu, scale, 1), (d_var_p, d_var, scale * scale, 2)):
        d_q, d_k, _ = _heads(d_p, B, T, H, G, d)
        d_q[...] = factor * np.einsum("bghtu,bugm->btghm", d_s, k**power, optimize=True)
        d_k[...] = factor * np.einsum("bghtu,btghm->bugm", d_s, q**power, optimize=True)
