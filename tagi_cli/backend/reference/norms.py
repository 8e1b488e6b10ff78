"""Normalisation by statistics that are treated as constants.

Activations are `(B, C, P)`: `C` features or channels, each with `P` positions. Statistics are per
channel, `(C,)`, or per row, `(B,)`. With `t = (a - mean) scale` the layer is `z = w t + b` with
Gaussian `w, b (C,)`.
"""

from __future__ import annotations

import numpy as np

from tagi_cli.backend.base import Array


def _spread(x: Array, per_row: int) -> Array:
    """Statistics of rows or of channels, shaped to act on `(B, C, P)`."""
    return x.reshape(-1, 1, 1) if per_row else x.reshape(1, -1, 1)


def channel_moments(moments: Array, mu: Array, var: Array | None, B: int, C: int, P: int) -> None:
    """Moments of each channel over one shard of a batch, in double precision.

    Writes `moments (1 + 2 C)`: the count `B P`, then per channel the mean of `mu` and
    `sum (mu - mean)^2 + var`: a unit's variance adds to the spread that it is expected to show.
    """
    flat = moments.reshape(1 + 2 * C)
    flat[0] = B * P
    mean, squares = flat[1 : 1 + C], flat[1 + C :]
    if not B * P:
        flat[1:] = 0
        return
    elements = mu.reshape(B, C, P)
    np.mean(elements, axis=(0, 2), dtype=np.float64, out=mean)
    centred = elements - mean.reshape(1, C, 1)
    np.sum(centred * centred, axis=(0, 2), out=squares)
    if var is not None:
        squares += var.reshape(B, C, P).sum(axis=(0, 2), dtype=np.float64)


def batch_norm_statistics(
    mean: Array,
    var: Array,
    scale: Array,
    running_mean: Array,
    running_var: Array,
    seen: Array,
    moments: Array,
    shards: int,
    C: int,
    unbiased: int,
    eps: float,
    momentum: float,
) -> None:
    """Statistics of a batch, from the moments `(shards, 1 + 2 C)` of its shards.

    Shards of any sizes are merged exactly (Chan, Golub & LeVeque 1979). The variance divides by the
    count, or with `unbiased` by one less. Running values become `momentum old + (1 - momentum)
    new`; while `seen` (one number) is 0 they are set to the batch's.
    """
    rows = moments.reshape(shards, 1 + 2 * C)
    count, means, squares = rows[:, :1], rows[:, 1 : 1 + C], rows[:, 1 + C :]
    total = float(count.sum())
    middle = (count * means).sum(axis=0) / max(total, 1)
    spread = (squares + count * (means - middle) ** 2).sum(axis=0) / max(total - unbiased, 1)
    np.copyto(mean, middle, casting="same_kind")
    np.copyto(var, spread, casting="same_kind")
    norm_scale(scale, var, eps, C)
    if total:
        keep = momentum if seen[0] > 0 else 0
        running_mean *= keep
        running_mean += (1 - keep) * mean
        running_var *= keep
        running_var += (1 - keep) * var


def norm_scale(scale: Array, var: Array, eps: float, n: int) -> None:
    """`scale = 1 / sqrt(var + eps)`."""
    np.add(var, eps, out=scale)
    np.sqrt(scale, out=scale)
    np.divide(1, scale, out=scale)


def row_statistics(
    mean: Array,
    var: Array,
    scale: Array,
    mu_a: Array,
    var_a: Array | None,
    rows: int,
    n: int,
    centred: int,
    unbiased: int,
    eps: float,
) -> None:
    """Mean, variance (a unit's own added) and `1 / sqrt(variance + eps)` of each row of `n` units.

    With `centred` the mean counts as 0 and the variance is the mean square.
    """
    units = mu_a.reshape(rows, n)
    if centred:
        mean.fill(0)
    else:
        np.mean(units, axis=1, out=mean)
    squares = units - mean.reshape(rows, 1)
    np.multiply(squares, squares, out=squares)
    np.sum(squares, axis=1, out=var)
    if var_a is not None:
        var += var_a.reshape(rows, n).sum(axis=1)
    var /= max(n - unbiased, 1)
    norm_scale(scale, var, eps, rows)


def norm_forward(
    mu_z: Array,
    var_z: Array,
    mu_a: Array,
    var_a: Array | None,
    mean: Array,
    scale: Array,
    mu_w: Array,
    var_w: Array,
    mu_b: Array | None,
    var_b: Array | None,
    B: int,
    C: int,
    P: int,
    per_row: int,
) -> None:
    """Moments of `z = w t + b`, `t = (a - mean) scale`.

    `mu_z = mu_w mu_t + mu_b`, `var_z = (mu_w^2 + var_w) var_t + var_w mu_t^2 + var_b` with
    `var_t = scale^2 var_a`.
    """
    shape = (B, C, P)
    m, v, a = mu_z.reshape(shape), var_z.reshape(shape), mu_a.reshape(shape)
    middle, factor = _spread(mean, per_row), _spread(scale, per_row)
    w, w_var = _spread(mu_w, 0), _spread(var_w, 0)
    np.subtract(a, middle, out=v)
    np.multiply(v, factor, out=v)
    np.multiply(v, v, out=v)
    if var_a is not None:
        # The mean's place serves as work space until the variance is done.
        np.multiply(var_a.reshape(shape), factor * factor, out=m)
        np.add(v, m, out=v)
    np.multiply(v, w_var, out=v)
    if var_a is not None:
        np.multiply(m, w * w, out=m)
        np.add(v, m, out=v)
    np.subtract(a, middle, out=m)
    np.multiply(m, factor, out=m)
    np.multiply(m, w, out=m)
    if mu_b is not None and var_b is not None:
        np.add(m, _spread(mu_b, 0), out=m)
        np.add(v, _spread(var_b, 0), out=v)


def norm_backward(
    d_mu_a: Array,
    d_var_a: Array,
    d_mu_z: Array,
    d_var_z: Array,
    scale: Array,
    mu_w: Array,
    B: int,
    C: int,
    P: int,
    per_row: int,
    accumulate: int,
) -> None:
    """Innovations of the input, `d_mu_a = J d_mu_z`, `d_var_a = J^2 d_var_z`, `J = scale mu_w`."""
    shape = (B, C, P)
    factor, w = _spread(scale, per_row), _spread(mu_w, 0)
    for out, d, s, g in (
        (d_mu_a, d_mu_z, factor, w),
        (d_var_a, d_var_z, factor * factor, w * w),
    ):
        target = out.reshape(shape)
        if accumulate:
            product = d.reshape(shape) * s
            product *= g
            target += product
        else:
            np.multiply(d.reshape(shape), s, out=target)
            np.multiply(target, g, out=target)


def norm_innovation(
    G_w: Array,
    L_w: Array,
    G_b: Array | None,
    L_b: Array | None,
    mu_a: Array,
    mean: Array,
    scale: Array,
    d_mu_z: Array,
    d_var_z: Array,
    B: int,
    C: int,
    P: int,
    per_row: int,
    accumulate: int,
) -> None:
    """Sums over batch and positions, with weights `mu_t` and `mu_t^2` for `w`, plain for `b`."""
    shape = (B, C, P)
    t = mu_a.reshape(shape) - _spread(mean, per_row)
    t *= _spread(scale, per_row)
    d, e = d_mu_z.reshape(shape), d_var_z.reshape(shape)
    for out, values in ((G_w, t * d), (L_w, t * t * e), (G_b, d), (L_b, e)):
        if out is None:
            continue
        total = values.sum(axis=(0, 2))
        if accumulate:
            out += total
        else:
            np.copyto(out, total)
