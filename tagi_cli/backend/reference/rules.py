"""Update rules: what a parameter makes of its accumulated innovations.

`G = sum C d_mu` and `L = sum C^2 d_var` over the batch, `C = cov(parameter, z) / var`. All tensors
lie in one flat buffer of `n` elements; tensor `t` ends at `ends[t]`. A variance that would not stay
positive becomes `FLOOR` and is counted in `floored[t]`; what is certain, variance 0, stays so.
`rows` is a one-element array with the number of rows of the (global) batch. All rules take the same
arguments.
"""

from __future__ import annotations

import numpy as np

from tagi_cli.backend.base import Array

FLOOR = 1e-5


def _store(var: Array, new: Array, floored: Array, ends: Array, tensors: int) -> None:
    bad = ~(new > 0) & ~np.isnan(new) & (var > 0)
    if bad.any():
        starts = np.concatenate(([0], ends[:-1]))
        for t in range(tensors):
            floored[t] += np.count_nonzero(bad[starts[t] : ends[t]])
        new = np.where(bad, FLOOR, new)
    np.copyto(var, new, casting="same_kind")


def _add_precisions(var: Array, G: Array, L: Array) -> None:
    """Turn `L` into the variance `var / (1 - var L)`, and `G` into the mean's step with it."""
    L *= var
    np.subtract(1, L, out=L)
    np.divide(var, L, out=L)
    G *= L


def _limit(bar: Array, *steps: Array) -> None:
    """Keep steps between `-bar` and `bar`; the memory of `bar` is used up."""
    for step in steps:
        np.minimum(step, bar, out=step)
    np.negative(bar, out=bar)
    for step in steps:
        np.maximum(step, bar, out=step)


def step_sum(
    mu: Array,
    var: Array,
    G: Array,
    L: Array,
    floored: Array,
    ends: Array,
    rows: Array,
    cap: float,
    tensors: int,
    n: int,
) -> None:
    """`mu += var G`, `var += var^2 L`: exact for one row at a time."""
    G *= var
    mu += G
    L *= var
    L *= var
    L += var
    _store(var, L, floored, ends, tensors)


def step_capped(
    mu: Array,
    var: Array,
    G: Array,
    L: Array,
    floored: Array,
    ends: Array,
    rows: Array,
    cap: float,
    tensors: int,
    n: int,
) -> None:
    """The sum with both steps limited to `sqrt(var) / cap`."""
    bar = np.sqrt(var)
    bar /= cap
    G *= var
    L *= var
    L *= var
    _limit(bar, G, L)
    mu += G
    L += var
    _store(var, L, floored, ends, tensors)


def step_information(
    mu: Array,
    var: Array,
    G: Array,
    L: Array,
    floored: Array,
    ends: Array,
    rows: Array,
    cap: float,
    tensors: int,
    n: int,
) -> None:
    """`var' = var / (1 - var L)`, `mu += var' G`: precisions add, so variances stay positive."""
    _add_precisions(var, G, L)
    mu += G
    _store(var, L, floored, ends, tensors)


def step_information_capped(
    mu: Array,
    var: Array,
    G: Array,
    L: Array,
    floored: Array,
    ends: Array,
    rows: Array,
    cap: float,
    tensors: int,
    n: int,
) -> None:
    """`step_information` with the mean's step limited to `sqrt(var) / cap`."""
    bar = np.sqrt(var)
    bar /= cap
    _add_precisions(var, G, L)
    _limit(bar, G)
    mu += G
    _store(var, L, floored, ends, tensors)


def step_site(
    mu: Array,
    var: Array,
    G: Array,
    L: Array,
    floored: Array,
    ends: Array,
    rows: Array,
    cap: float,
    tensors: int,
    n: int,
) -> None:
    """Rows as `B` equal sites.

    `t = -var L / B`, `var' = var (1-t) / (1-t+B t)`, `mu += var' G / (1-t)`. Equal to `step_sum` at
    one row, and exact for one weight seen through equal rows. `t` is a mean share of explained
    variance, below one where moments are exact; it is kept there.
    """
    B = rows[0]
    t = L
    t *= var
    t /= -B
    np.clip(t, 0, 1 - 1e-6, out=t)
    new = var * (1 - t) / (1 - t + B * t)
    G *= new
    G /= 1 - t
    mu += G
    _store(var, new, floored, ends, tensors)
