"""Classes: scores, innovations, and trees of binary decisions.

Labels `y (B, K)` are one-hot, with NaN in each element of a row whose label is missing.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from tagi_cli.backend.base import Array

_LEAST = float(np.finfo(np.float32).tiny)


def class_score(scores: Array, mu: Array, y: Array, B: int, K: int) -> None:
    """Add the scores of the labels under class probabilities `mu (B, K)`, before they are learnt.

    `scores (K, 3)` holds, per class, the count of rows with that label, and of these the sum of the
    negative log-likelihood and the number taken for another class, in double precision. A row of
    `mu` counts in units of its sum; probabilities below the smallest float count as that.
    """
    p = mu.reshape(B, K).astype(np.float64)
    row, label = np.nonzero(y.reshape(B, K) > 0.5)
    p = p[row]
    share = p[np.arange(len(row)), label] / p.sum(axis=1)
    wrong = p.argmax(axis=1) != label
    for column, values in enumerate((1.0, -np.log(np.maximum(share, _LEAST)), wrong)):
        np.add.at(scores[:, column], label, values)


def categorical_update(
    d_mu: Array, d_var: Array, mu: Array, var: Array | None, y: Array, error: float, B: int, K: int
) -> None:
    """Condition class probabilities `(B, K)` on labels.

    What is seen of a class is 1 with its probability `p`, else 0, so its variance is `p (1 - p)`:
    that is the predictive variance `S` of the observation, of which `var` is the part that is not
    noise. `d_mu = (y - p) / S`, `d_var = -1 / S`; `S` is at least `var`, and `error` more, which
    is the variance of what `p` is off by where its formula is an approximation. Of probabilities
    that are a softmax linearised at certain logits, and without `error`, the innovations of the
    logits are `y - p` and `-p (1 - p)`: the first two derivatives of the log-likelihood.
    Probabilities that do not sum to one count in units of their sum, and `1 - p` is the sum of the
    others, so that a row that is as good as decided still learns from its mistake.
    """
    a = mu.reshape(B, K).astype(np.float64)
    total = a.sum(axis=1, keepdims=True)
    unit = 1 / np.where(total > 0, total, 1)
    p = a * unit
    left = (a @ (1 - np.eye(K))) * unit
    spread = p * left
    if var is not None:
        spread = np.maximum(spread, var.reshape(B, K) * unit**2)
    spread = spread + error
    labels = y.reshape(B, K)
    known = ~np.isnan(labels) & (spread > 0) & np.isfinite(spread) & (total > 0)
    gain = np.where(known, unit / np.where(known, spread, 1), 0)
    residual = np.where(labels > 0.5, left, -p)
    np.copyto(d_mu.reshape(B, K), np.where(known, gain * residual, 0), casting="same_kind")
    np.copyto(d_var.reshape(B, K), -gain * unit, casting="same_kind")


def softmax_update(
    d_mu: Array, d_var: Array, mu: Array, var: Array | None, y: Array, B: int, K: int
) -> None:
    """Innovations of logits, given their softmax `mu, var (B, K)`, in units of the row's sum.

    With `J = p (1 - p)` the innovations of the probabilities times `J` and `J^2` are `g (y - p)`
    and `-g J` with `g = J / S`, which is 1, or `J / var` where that is less. This holds where `J`
    is too small for a number, so that a row that was taken for another class with certainty still
    learns.
    """
    a = mu.reshape(B, K).astype(np.float64)
    unit = 1 / a.sum(axis=1, keepdims=True)
    p, left = a * unit, (a @ (1 - np.eye(K))) * unit
    jac = p * left
    own = np.zeros_like(p) if var is None else var.reshape(B, K) * unit**2
    labels = y.reshape(B, K)
    known = np.isfinite(p) & np.isfinite(left) & np.isfinite(own) & ~np.isnan(labels)
    gain = np.where(own > jac, jac / np.where(own > jac, own, 1), 1)
    error = np.where(labels > 0.5, left, -p)
    np.copyto(d_mu.reshape(B, K), np.where(known, gain * error, 0), casting="same_kind")
    np.copyto(d_var.reshape(B, K), np.where(known, -gain * jac, 0), casting="same_kind")


def tree_targets(target: Array, y: Array, codes: Array, B: int, K: int, U: int) -> None:
    """What each row observes of the units of a tree: `target (B, U)`, NaN for what it does not.

    `codes (K, U)` are the observations of each class, +1, -1 or NaN.
    """
    labels = y.reshape(B, K)
    missing = np.isnan(labels).any(axis=1, keepdims=True)
    found = codes[labels.argmax(axis=1)]
    np.copyto(target.reshape(B, U), np.where(missing, np.nan, found), casting="same_kind")


def tree_probabilities(
    p: Array, mu: Array, var: Array, codes: Array, spread: float, B: int, K: int, U: int
) -> None:
    """Class probabilities `(B, K)` of units `(B, U)`: products of `Phi(code mu / sqrt(S))`.

    `S = spread + var`. The units of a class are those where `codes (K, U)` is a number.
    """
    unit = mu.reshape(B, 1, U) / np.sqrt(spread + var.reshape(B, 1, U))
    seen = ~np.isnan(codes)
    chosen = np.where(seen, ndtr(np.where(seen, codes, 0) * unit), 1)
    np.copyto(p.reshape(B, K), chosen.prod(axis=2), casting="same_kind")


def weigh_labels(
    d_mu: Array, d_var: Array, var: Array | None, y: Array, weight: Array, B: int, K: int, U: int
) -> None:
    """Let the label of each row count `weight (K,)` times, in innovations `(B, U)`.

    An innovation `-d_var = 1 / S` is that of an observation of predictive variance `S = var + R`.
    With the error variance `R / w` in the place of `R` it becomes `1 / (var + R / w)`, which is
    `w / (1 + (w - 1) var / S)` times as large, and so does `d_mu`. A row without a label has no
    innovations.
    """
    labels = y.reshape(B, K)
    label = np.where(labels > 0.5, np.arange(K), -1).max(axis=1)
    w = np.where(label >= 0, weight.astype(np.float64)[label], 1)[:, None]
    mu, v = d_mu.reshape(B, U), d_var.reshape(B, U)
    known = np.zeros((B, U)) if var is None else np.minimum(-var.reshape(B, U) * v, 1)
    gain = w / (1 + (w - 1) * known)
    np.copyto(mu, mu * gain, casting="same_kind")
    np.copyto(v, v * gain, casting="same_kind")
