"""Generation in which missing inputs are what the model gave one step earlier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tagi_cli import nn
from tagi_cli.arch.latent.structure import Groups

Host = np.ndarray[Any, Any]
Pair = tuple[int, int]


class Fed(NamedTuple):
    """An output y that is fed back becomes the input `factor y + shift`, `(I,)` each."""

    factor: Host
    shift: Host


def faults(x: Sequence[Host], pairs: Sequence[Pair], groups: Groups) -> list[str]:
    """What stands in the way of a recursion, one message each.

    Args:
        x: inputs of each group, `(steps, d_in)`, NaN where the step before is to be taken.
        pairs: (output group, input group) that it is taken from and put into.
        groups: sizes.
    """
    found = []
    G, H = len(groups.d_in), len(groups.d_out)
    for i, (h, g) in enumerate(pairs):
        pair = f"r_map[{i}]: found ({h}, {g})"
        if not (0 <= h < H and 0 <= g < G):
            found.append(f"{pair}. Allowed: output groups 0 to {H - 1}, input groups 0 to {G - 1}")
        elif groups.d_out[h] != groups.d_in[g]:
            found.append(
                f"{pair}: output group {h} has {groups.d_out[h]} variables, input group {g} has "
                f"{groups.d_in[g]}. Allowed: groups of one size"
            )
    mapped = {g for _, g in pairs}
    for g, values in enumerate(x):
        missing = np.argwhere(np.isnan(values))
        if not len(missing):
            continue
        step, column = (int(i) for i in missing[0])
        if g not in mapped:
            found.append(
                f"input group {g}: row {step}, column {column} is NaN, and no output group is "
                "mapped to it. Allowed: numbers"
            )
        elif step == 0:
            found.append(
                f"input group {g}: row 0, column {column} is NaN, and there is no step before. "
                "Allowed: numbers in the first row"
            )
    return found


def recurse(
    x: Sequence[Host],
    pairs: Sequence[Pair],
    groups: Groups,
    step: Callable[[Host, Host | None, int], nn.Moments],
    scaled: Fed | None = None,
) -> nn.Moments:
    """Run the model step by step.

    Args:
        x: see `faults`, of which there must be none.
        pairs: likewise; where several give the same input, the first one counts.
        groups: sizes.
        step: from a row of all inputs, its variances (None where all are certain) and the number
            of the step to the outputs, `(K,)` each, that are fed back with their variances.
        scaled: how outputs become inputs; None takes them as they are.

    Returns:
        All outputs, `(steps, K)`.
    """
    rows = np.concatenate(x, axis=1)
    starts_in = np.concatenate(([0], np.cumsum(groups.d_in)))
    starts_out = np.concatenate(([0], np.cumsum(groups.d_out)))
    source = np.full(rows.shape[1], -1)
    for h, g in reversed(pairs):
        source[starts_in[g] : starts_in[g + 1]] = np.arange(starts_out[h], starts_out[h + 1])
    mu = np.empty((len(rows), starts_out[-1]))
    var = np.empty_like(mu)
    for t, row in enumerate(rows):
        fed = np.isnan(row)
        row_mu, row_var = row.copy(), None
        if fed.any():
            row_mu[fed] = mu[t - 1, source[fed]]
            if scaled is not None:
                row_mu[fed] = row_mu[fed] * scaled.factor[fed] + scaled.shift[fed]
            if var[t - 1].any():
                row_var = np.zeros(len(row))
                row_var[fed] = var[t - 1, source[fed]]
                if scaled is not None:
                    row_var[fed] *= scaled.factor[fed] ** 2
        mu[t], var[t] = step(row_mu, row_var, t)
    return nn.Moments(mu, var)
