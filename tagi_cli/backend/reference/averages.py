"""Running averages over the rows of consecutive batches, taken as steps in time, and of posteriors.

Rows are treated as independent, as all units are. `mu, var` are `(B, n)`; `var_a` is None for a
certain input.
"""

from __future__ import annotations

import numpy as np

from tagi_cli.backend.base import Array


def moving_average_forward(
    mu_z: Array,
    var_z: Array,
    mu_a: Array,
    var_a: Array | None,
    window_mu: Array,
    window_var: Array,
    B: int,
    W: int,
    n: int,
) -> None:
    """Mean over each row and the `W - 1` before it.

    `mu_z = sum mu / W`, `var_z = sum var / W^2`. `window (W, n)` holds the rows before the batch,
    oldest first, and moves on by the batch.
    """
    for out, new, window, divisor in (
        (mu_z, mu_a, window_mu, W),
        (var_z, var_a, window_var, W * W),
    ):
        rows = np.zeros((B, n), out.dtype) if new is None else new.reshape(B, n)
        steps = np.concatenate((window.reshape(W, n), rows))
        target = out.reshape(B, n)
        for b in range(B):
            np.sum(steps[b + 1 : b + 1 + W], axis=0, out=target[b])
        target /= divisor
        window.reshape(W, n)[...] = steps[B:]


def moving_average_backward(
    d_mu_a: Array,
    d_var_a: Array,
    d_mu_z: Array,
    d_var_z: Array,
    B: int,
    W: int,
    n: int,
    accumulate: int,
) -> None:
    """Each row reaches itself and the `W - 1` rows behind it, with weight `1 / W`."""
    for out, d, divisor in ((d_mu_a, d_mu_z, W), (d_var_a, d_var_z, W * W)):
        target, later = out.reshape(B, n), d.reshape(B, n)
        for b in range(B):
            total = later[b : b + W].sum(axis=0) / divisor
            target[b] = target[b] + total if accumulate else total


def exponential_average_forward(
    mu_z: Array,
    var_z: Array,
    mu_a: Array,
    var_a: Array | None,
    average_mu: Array,
    average_var: Array,
    momentum: float,
    B: int,
    n: int,
) -> None:
    """Row by row `average = momentum average + (1 - momentum) a`; the output is the new average."""
    rest = 1 - momentum
    for out, new, average, old, share in (
        (mu_z, mu_a, average_mu, momentum, rest),
        (var_z, var_a, average_var, momentum * momentum, rest * rest),
    ):
        target, running = out.reshape(B, n), average.reshape(n)
        for b in range(B):
            running *= old
            if new is not None:
                running += share * new.reshape(B, n)[b]
            target[b] = running


def exponential_average_backward(
    d_mu_a: Array,
    d_var_a: Array,
    d_mu_z: Array,
    d_var_z: Array,
    momentum: float,
    B: int,
    n: int,
    accumulate: int,
) -> None:
    """The adjoint recursion, from the last row of the batch to its first."""
    rest = 1 - momentum
    for out, d, old, share in (
        (d_mu_a, d_mu_z, momentum, rest),
        (d_var_a, d_var_z, momentum * momentum, rest * rest),
    ):
        target, later = out.reshape(B, n), d.reshape(B, n)
        total = np.zeros(n, out.dtype)
        for b in range(B - 1, -1, -1):
            total = later[b] + old * total
            target[b] = target[b] + share * total if accumulate else share * total


def mixture_average(
    average_mu: Array, average_var: Array, mu: Array, var: Array, momentum: float, n: int
) -> None:
    """One more Gaussian in a mixture whose older members count for `momentum` in all.

    With `d = mu - average_mu`: `average_var = momentum average_var + (1 - momentum) (var + momentum
    d^2)`, `average_mu += (1 - momentum) d`: the exact moments of the mixture.
    """
    rest = 1 - momentum
    difference = mu - average_mu
    average_var *= momentum
    average_var += rest * (var + momentum * difference * difference)
    average_mu += rest * difference
