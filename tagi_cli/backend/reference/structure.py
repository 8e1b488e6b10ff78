"""Sums of branches and blocks of columns: moments and innovations that move without mixing."""

from __future__ import annotations

import numpy as np

from tagi_cli.backend.base import Array


def add_forward(
    mu_z: Array,
    var_z: Array | None,
    mu_a: Array,
    var_a: Array | None,
    mu_b: Array,
    var_b: Array | None,
    n: int,
) -> None:
    """Sum of two independent values of `n` elements: means add, and so do variances.

    A variance is None for a certain value; `z` may be `a` itself.
    """
    np.add(mu_a, mu_b, out=mu_z)
    if var_z is None:
        return
    if var_a is not None and var_b is not None:
        np.add(var_a, var_b, out=var_z)
    else:
        only = var_b if var_a is None else var_a
        assert only is not None
        np.copyto(var_z, only)


def pass_backward(
    d_mu_a: Array, d_var_a: Array, d_mu_z: Array, d_var_z: Array, n: int, accumulate: int
) -> None:
    """Innovations through `z = a + anything independent`: they pass on unchanged."""
    if accumulate:
        d_mu_a += d_mu_z
        d_var_a += d_var_z
    else:
        np.copyto(d_mu_a, d_mu_z)
        np.copyto(d_var_a, d_var_z)


def copy_columns(
    first: Array,
    second: Array | None,
    first_in: Array | None,
    second_in: Array | None,
    rows: int,
    width: int,
    width_in: int,
    start: int,
    start_in: int,
    n: int,
    accumulate: int,
) -> None:
    """Copy columns `start_in : start_in + n` of `rows` rows to columns from `start` on.

    `first` and `second` are a pair (means and variances, or innovations), `(rows, width)`; what is
    copied is `(rows, width_in)`, or None for zeros. `second` may be None, too.
    """
    for out, into in ((first, first_in), (second, second_in)):
        if out is None:
            continue
        part = out.reshape(rows, width)[:, start : start + n]
        if into is None:
            if not accumulate:
                part.fill(0)
            continue
        taken = into.reshape(rows, width_in)[:, start_in : start_in + n]
        if accumulate:
            part += taken
        else:
            np.copyto(part, taken)


def transpose(
    first: Array,
    second: Array | None,
    first_in: Array,
    second_in: Array | None,
    n0: int,
    n1: int,
    n2: int,
    n3: int,
    n4: int,
    step0: int,
    step1: int,
    step2: int,
    step3: int,
    step4: int,
    accumulate: int,
) -> None:
    """A pair of arrays with their axes in another order.

    The output is `(n0, n1, n2, n3, n4)`; neighbours along its axes are `step0` and so on elements
    apart in the input. `second` and `second_in` may be None.
    """
    sizes, steps = (n0, n1, n2, n3, n4), (step0, step1, step2, step3, step4)
    for out, into in ((first, first_in), (second, second_in)):
        if out is None or into is None:
            continue
        distances = [step * into.itemsize for step in steps]
        moved = np.lib.stride_tricks.as_strided(into, sizes, distances, writeable=False)
        if accumulate:
            out += moved.reshape(out.shape)
        else:
            np.copyto(out, moved.reshape(out.shape))
