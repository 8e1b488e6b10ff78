"""Rows of a latent regression whose parameters are known: groups of variables, few latents."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy.stats import ortho_group

Host = np.ndarray[Any, Any]
Sizes = tuple[int, ...]


class Groups(Protocol):
    """Sizes of groups of variables and of their latents."""

    @property
    def d_in(self) -> Sizes:
        """Variables of each input group."""

    @property
    def d_out(self) -> Sizes:
        """Variables of each output group."""

    @property
    def d_proj(self) -> Sizes:
        """Projected latents of each input group."""

    @property
    def d_trans(self) -> Sizes:
        """Transformed latents of each output group."""

    @property
    def direct_pairs(self) -> tuple[tuple[int, int], ...]:
        """Pairs (input group, output group) of one size with direct couplings."""


class Populations(NamedTuple):
    """Sizes of the usual example: two input groups, and one that is coupled to the first."""

    d_in: Sizes = (25, 12)
    d_out: Sizes = (25,)
    d_proj: Sizes = (2, 1)
    d_trans: Sizes = (3,)
    direct_pairs: tuple[tuple[int, int], ...] = ((0, 0),)


class Truth(NamedTuple):
    """What the data were drawn from; the map between the latents is linear.

    Attributes:
        p: projections with orthonormal columns, `(d_in, d_proj)` each.
        m: matrix from all projected to all transformed latents.
        u: orthonormal columns, `(d_out, d_trans)` each.
        c: direct couplings, one vector for each pair.
        psi: error variances, `(d_out,)` each.
    """

    p: list[Host]
    m: Host
    u: list[Host]
    c: list[Host]
    psi: list[Host]

    def mean(self, x: list[Host], groups: Groups) -> list[Host]:
        """Means of the outputs, `(n, d_out)` each."""
        latents = np.concatenate([a @ p for a, p in zip(x, self.p, strict=True)], axis=1) @ self.m.T
        parts = np.split(latents, np.cumsum(groups.d_trans)[:-1], axis=1)
        y = [t @ u.T for t, u in zip(parts, self.u, strict=True)]
        for (g, h), c in zip(groups.direct_pairs, self.c, strict=True):
            y[h] = y[h] + c * x[g]
        return y

    def noise_floor(self) -> float:
        """Root mean error variance over the outputs: the least RMSE that a model can have."""
        return float(np.sqrt(np.concatenate(self.psi).mean()))


def draw_truth(groups: Groups, rng: np.random.Generator) -> Truth:
    """Parameters at random: outputs have variances of about 1 to 2, a tenth to two fifths noise."""
    p = [_orthonormal(n, k, rng) for n, k in zip(groups.d_in, groups.d_proj, strict=True)]
    u = [_orthonormal(n, k, rng) for n, k in zip(groups.d_out, groups.d_trans, strict=True)]
    latents_in, latents_out = sum(groups.d_proj), sum(groups.d_trans)
    # Singular values from 2 to 3: every direction can be found, none is unlike the others.
    k = min(latents_in, latents_out)
    left = _orthonormal(latents_out, k, rng)
    right = _orthonormal(latents_in, k, rng)
    outputs = sum(groups.d_out)
    m = (left * rng.uniform(2.0, 3.0, k) * np.sqrt(outputs / k / 5.0)) @ right.T
    c = [rng.normal(0.0, 0.5, groups.d_out[h]) for _, h in groups.direct_pairs]
    psi = [rng.uniform(0.1, 0.3, n) for n in groups.d_out]
    return Truth(p, m, u, c, psi)


def draw_rows(
    truth: Truth, groups: Groups, rows: int, rng: np.random.Generator
) -> tuple[list[Host], list[Host]]:
    """Inputs of independent standard normals, and outputs for them."""
    x = [rng.standard_normal((rows, n)) for n in groups.d_in]
    y = [
        mean + rng.standard_normal(mean.shape) * np.sqrt(psi)
        for mean, psi in zip(truth.mean(x, groups), truth.psi, strict=True)
    ]
    return x, y


def draw(groups: Groups, rows: int, seed: int) -> tuple[list[Host], list[Host], Truth]:
    """Inputs, outputs and truth; the truth does not depend on the number of rows."""
    first, second = np.random.SeedSequence(seed).spawn(2)
    truth = draw_truth(groups, np.random.default_rng(first))
    return *draw_rows(truth, groups, rows, np.random.default_rng(second)), truth


def _orthonormal(rows: int, columns: int, rng: np.random.Generator) -> Host:
    """A matrix with orthonormal columns; where there are too few rows, with orthonormal rows."""
    square = (
        ortho_group.rvs(max(rows, columns), random_state=rng)
        if max(rows, columns) > 1
        else (np.ones((1, 1)))
    )
    return np.asarray(square)[:rows, :columns]
