"""Innovations of a normalisation on their way through the batch's own mean and deviation.

Of `z = w t + b` with `t_i = (a_i - m) / s`, `m` and `s` the mean and deviation of n elements, the
Jacobian is `dz_i / da_j = w / s ([i = j] - 1 / n - t_i t_j / n)` (Ioffe & Szegedy 2015).
Innovations of the means go back by its transpose: less their own mean and their share along `t`.
"""

from __future__ import annotations

from tagi_cli.backend.base import Array


def channel_sums(
    sums: Array, mu_a: Array, mean: Array, scale: Array, d_mu_z: Array, B: int, C: int, P: int
) -> None:
    """`sums (1 + 2 C,)`: the count, and of each channel the sums of `d` and of `t d`."""
    d = d_mu_z.reshape(B, C, P).astype("f8")
    t = (mu_a.reshape(B, C, P) - mean[:, None]) * scale[:, None]
    sums[0] = B * P
    sums[1 : 1 + C] = d.sum(axis=(0, 2))
    sums[1 + C :] = (t * d).sum(axis=(0, 2))


def project_innovation(
    d_mu_a: Array,
    sums: Array,
    mu_a: Array,
    mean: Array,
    scale: Array,
    mu_w: Array,
    B: int,
    C: int,
    P: int,
) -> None:
    """Take off `w / s (sum d + t sum t d) / n`, what comes by way of mean and deviation."""
    share = 1 / sums[0] if sums[0] > 0 else 0.0
    t = (mu_a.reshape(B, C, P) - mean[:, None]) * scale[:, None]
    gain = (scale * mu_w)[:, None]
    along = (sums[1 : 1 + C, None] + t * sums[1 + C :, None]) * share
    d_mu_a.reshape(B, C, P)[...] -= (gain * along).astype(d_mu_a.dtype)
