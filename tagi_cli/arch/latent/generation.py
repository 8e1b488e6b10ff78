"""Outputs of a latent regression, drawn or as moments, step by step where inputs are missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.arch.latent.core import Core
from tagi_cli.arch.latent.recursion import Fed, Pair, recurse

Host = np.ndarray[Any, Any]

MODES = ("posterior", "plugin", "marginal")


def generate(
    core: Core,
    x: Sequence[Host],
    pairs: Sequence[Pair],
    mode: str,
    rng: np.random.Generator,
    fed: Fed | None = None,
) -> Host:
    """Draw outputs, `(n, K)`.

    Args:
        core: the model.
        x: inputs by group, `(n, d_in)`, NaN where the output of the step before is to be taken.
        pairs: (output group, input group) that it is taken from and put into.
        mode: `posterior`, `plugin` or `marginal`; parameters are drawn once.
        rng: draws.
        fed: how outputs become inputs; None takes them as they are.

    Raises:
        ValueError: unknown mode.
    """
    if mode not in MODES:
        raise ValueError(f"mode: found '{mode}'. Allowed: {', '.join(MODES)}")
    noise = _noise(core)
    with core.tensors.kept():
        if mode == "posterior":
            core.tensors.draw(rng)
        elif mode == "plugin":
            core.tensors.make_certain()
        draws = rng.standard_normal((len(x[0]), noise.size))
        if not any(np.isnan(group).any() for group in x):
            mu, var = core.outputs(np.concatenate(x, axis=1))
            return np.asarray(mu + np.sqrt(var + noise) * draws)

        def step(row: Host, var_row: Host | None, t: int) -> nn.Moments:
            mu, var = core.outputs(row[None])
            return nn.Moments(mu[0] + np.sqrt(var[0] + noise) * draws[t], np.zeros(noise.size))

        return recurse(x, pairs, core.groups, step, fed).mu


def propagate(core: Core, x: Sequence[Host], pairs: Sequence[Pair]) -> nn.Moments:
    """Moments of the outputs, noise included, `(n, K)`; arguments as in `generate`."""
    noise = _noise(core)

    def step(row: Host, var_row: Host | None, t: int) -> nn.Moments:
        mu, var = core.outputs(row[None], None if var_row is None else var_row[None])
        return nn.Moments(mu[0], var[0] + noise)

    return recurse(x, pairs, core.groups, step)


def _noise(core: Core) -> Host:
    return np.asarray(core.network.backend.to_host(core.psi.mean), np.float64)
