"""The way back over the steps of one recurrent layer (Rauch, Tung & Striebel 1965)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tagi_cli.nn.parameters import Host

_BLOCK = 1 << 18
"""Entries of the transitions that are worked on at a time."""


class Call(NamedTuple):
    """What one call left in a layer, as the network computed it.

    Attributes:
        states: `(B, T, 4, H)`, as in `Window`.
        d_states: innovations of `states`.
        jac: `(B, T, 6, H)`.
        hidden: mean weights of h of the step before, `(4, H, H)`; calls with the same ones share
            them.
    """

    states: Host
    d_states: Host
    jac: Host
    hidden: Host


class _Moments(NamedTuple):
    """Of h and then c in n steps, `(n, B, 2 H)`: means, variances, and `cov(h, c)` `(n, B, H)`."""

    mu: Host
    var: Host
    cov: Host

    def where(self, chosen: Host, other: _Moments) -> _Moments:
        """These moments in the steps chosen `(n,)`, those of `other` elsewhere."""
        mask = chosen[:, None, None]
        return _Moments(*(np.where(mask, *pair) for pair in zip(self, other, strict=True)))


class _Steps(NamedTuple):
    """Steps of a layer, one after the other.

    Attributes:
        prior: as they were predicted.
        posterior: given the observations up to and in the step's own call.
        source: of the state before each, what it was predicted from: its posterior at the first
            step of a call, elsewhere its prior.
        before: posterior of the state before each.
        transition: Jacobian with respect to the state before, `(n, B, 2 H, 2 H)`.
        first: whether it is the first step of a call `(n,)`.
    """

    prior: _Moments
    posterior: _Moments
    source: _Moments
    before: _Moments
    transition: Host
    first: Host


def _blocks(start: Host, calls: Sequence[Call]) -> Iterator[_Steps]:
    """Steps in blocks of whole calls, from the last block to the first.

    A transition takes much more room than what it is computed from, so that there is only one
    block of them at a time.

    Args:
        start: states before the first step, `(B, 4, H)`.
        calls: what was recorded.
    """
    B, T, _, H = calls[0].states.shape
    most = max(1, _BLOCK // (T * B * (2 * H) ** 2))
    nothing = np.zeros_like(start)
    for end in range(len(calls), 0, -most):
        part = calls[max(end - most, 0) : end]
        if end > most:
            last = calls[end - most - 1]
            before = last.states[:, -1], last.d_states[:, -1], last.jac[:, -1, 4]
        else:
            # Before the first step: a step of its own, that nothing is seen of.
            before = start, nothing, nothing[:, 0]
        states, d_states, jac = (
            np.concatenate(arrays, axis=1).swapaxes(0, 1).astype(np.float64)
            for arrays in list(zip(*part, strict=True))[:3]
        )
        slope = jac[:, :, 4]
        chain = zip(before, (states, d_states, slope), strict=True)
        prior, posterior = _moments(*(np.concatenate([a[None], b]) for a, b in chain))
        first = np.arange(len(states)) % T == 0
        ahead, behind = slice(1, None), slice(None, -1)
        own_prior, own_posterior = (_Moments(*(a[ahead] for a in m)) for m in (prior, posterior))
        prior, posterior = (_Moments(*(a[behind] for a in m)) for m in (prior, posterior))
        source = posterior.where(first, prior)
        transition = np.concatenate(
            [_transition(jac[k * T : k * T + T], call.hidden) for k, call in enumerate(part)]
            if part[0].hidden is not part[-1].hidden
            else [_transition(jac, part[0].hidden)]
        )
        yield _Steps(own_prior, own_posterior, source, posterior, transition, first)


def _transition(jac: Host, hidden: Host) -> Host:
    """Jacobian of (h, c) with respect to (h, c) of the step before, `(n, B, 2 H, 2 H)`.

    Args:
        jac: `(n, B, 6, H)`, as in `Window`.
        hidden: mean weights of h of the step before, `(4, H, H)`.
    """
    n, B, _, H = jac.shape
    F = np.zeros((n, B, 2 * H, 2 * H))
    r, keep = jac[:, :, 4, :, None], jac[:, :, 5]
    unit = np.arange(H)
    cell = np.einsum("nbgj,gja->nbja", jac[:, :, :3], hidden[:3].astype(np.float64))
    F[..., :H, :H] = r * cell + jac[:, :, 3, :, None] * hidden[3]
    F[..., H:, :H] = cell
    F[..., H + unit, H + unit] = keep
    F[..., unit, H + unit] = jac[:, :, 4] * keep
    return F


def _moments(state: Host, innovation: Host, slope: Host) -> tuple[_Moments, _Moments]:
    """Moments of steps before and after their observations.

    Args:
        state: mu_h, var_h, mu_c, var_c, `(n, B, 4, H)`.
        innovation: `d_mu, d_var` of h and of c.
        slope: dh/dc `(n, B, H)`.
    """
    n, B, _, H = state.shape
    mu, var, d_mu, d_var = (a[:, :, k::2] for a in (state, innovation) for k in (0, 1))
    after = np.maximum(var + var * var * d_var, 0)
    # What reaches c by h leaves its correlation with h as it is; the rest lowers it once more.
    later = d_var[:, :, 1] - slope**2 * d_var[:, :, 0]
    cov = _bounded(slope * var[:, :, 1], var)
    cov_after = cov * (1 + var[:, :, 0] * d_var[:, :, 0]) * (1 + var[:, :, 1] * later)
    flat = (n, B, 2 * H)
    prior = _Moments(mu.reshape(flat), var.reshape(flat), cov)
    mu_after = (mu + var * d_mu).reshape(flat)
    return prior, _Moments(mu_after, after.reshape(flat), _bounded(cov_after, after))


def _bounded(cov: Host, var: Host) -> Host:
    """A covariance of h and c, not beyond what their variances `(n, B, 2, H)` allow."""
    most = np.sqrt(var[:, :, 0] * var[:, :, 1])
    return np.clip(cov, -most, most)


def together(start: Host, calls: Sequence[Call]) -> tuple[Host, Host]:
    """Smoothed means and variances `(N + 1, B, 2 H)`, hidden and cell states jointly."""
    means: list[Host] = []
    variances: list[Host] = []
    for steps in _blocks(start, calls):
        if not means:
            mu, var, _ = last = _Moments(*(part[-1] for part in steps.posterior))
            cov = _covariance(last)
            means, variances = [mu], [var]
        spread = steps.transition @ _covariance(steps.source)
        predicted = spread @ steps.transition.swapaxes(-1, -2)
        predicted += _unexplained(steps.prior, predicted)
        gain = _solve(predicted, spread).swapaxes(-1, -2)
        first = steps.first[:, None, None]
        base_mu = np.where(first, steps.prior.mu, steps.posterior.mu)
        base = predicted
        if not steps.first.all():
            base = np.where(first[..., None], predicted, _covariance(steps.posterior))
        before = _covariance(steps.before)
        for t in range(len(gain) - 1, -1, -1):
            G = gain[t]
            mu = steps.before.mu[t] + _shift(
                G, mu - base_mu[t], steps.prior.var[t], steps.source.var[t]
            )
            cov = before[t] + G @ (cov - base[t]) @ G.swapaxes(1, 2)
            # A copy, as a view would keep all of the matrix.
            var = np.diagonal(cov, axis1=1, axis2=2).copy()
            if (var > steps.before.var[t]).any():
                cov = _scaled(cov, var, steps.before.var[t])
                var = np.minimum(var, steps.before.var[t])
            means.append(mu)
            variances.append(var)
    return np.stack(means[::-1]), np.stack(variances[::-1])


def _shift(gain: Host, later: Host, var: Host, var_before: Host) -> Host:
    """What is learnt of means `(B, n)` from what was learnt of those of the next step, `later`.

    In units of what each step varies by (`var` of the next one, `var_before`) it is never more: so
    it is for exact laws, and so nothing is blown up where a network amplifies.
    """
    shift: Host = (gain @ later[:, :, None])[:, :, 0]
    most, size = _size(later, var), _size(shift, var_before)
    factor: Host = np.where(size > most, most / np.where(size > 0, size, 1), 1)
    return shift * factor[:, None]


def _size(shift: Host, var: Host) -> Host:
    """Length `(B,)` of shifts `(B, n)` in units of standard deviations; certain units count not."""
    size: Host = np.sqrt((shift**2 / np.where(var > 0, var, np.inf)).sum(axis=1))
    return size


def _scaled(cov: Host, var: Host, most: Host) -> Host:
    """A covariance `(B, n, n)` whose variances `(B, n)` are not beyond `most`.

    Observations take nothing away from what is known. What is not kept of correlations between
    units could, and would do so more with each step back.
    """
    factor = np.sqrt(np.minimum(most / np.where(var > most, var, 1), 1))
    factor[var <= most] = 1
    return cov * factor[:, :, None] * factor[:, None, :]


def _unexplained(prior: _Moments, explained: Host) -> Host:
    """What weights and inputs add to a predicted covariance, independently for each unit."""
    H = prior.cov.shape[-1]
    unit = np.arange(H)
    var = np.maximum(prior.var - np.diagonal(explained, axis1=-2, axis2=-1), 0)
    by_unit = var.reshape(*var.shape[:2], 2, H)
    cov = _bounded(prior.cov - explained[..., unit, H + unit], by_unit)
    return _covariance(_Moments(prior.mu, var, cov))


def apart(start: Host, calls: Sequence[Call]) -> tuple[Host, Host]:
    """Smoothed means and variances `(N + 1, B, 2 H)`, hidden and cell states as if independent."""
    means: list[Host] = []
    variances: list[Host] = []
    H = start.shape[-1]
    own = np.eye(2 * H)
    own[:H, :H] = 1
    for steps in _blocks(start, calls):
        if not means:
            mu, var, _ = (part[-1] for part in steps.posterior)
            means, variances = [mu], [var]
        base = steps.prior.where(steps.first, steps.posterior)
        scale = np.where(steps.prior.var > 0, steps.prior.var, 1)
        gain = own * steps.transition * steps.source.var[..., None, :] / scale[..., None]
        gain = gain.swapaxes(-1, -2)
        for t in range(len(gain) - 1, -1, -1):
            G, before = gain[t], steps.before
            mu = before.mu[t] + (G @ (mu - base.mu[t])[:, :, None])[:, :, 0]
            var = before.var[t] + (G * G @ (var - base.var[t])[:, :, None])[:, :, 0]
            means.append(mu)
            variances.append(var)
    return np.stack(means[::-1]), np.stack(variances[::-1])


def _covariance(moments: _Moments) -> Host:
    """Matrices `(..., 2 H, 2 H)`: hidden and cell state of a unit are correlated, units are not."""
    H = moments.cov.shape[-1]
    matrix = np.zeros((*moments.var.shape, 2 * H))
    both, unit = np.arange(2 * H), np.arange(H)
    matrix[..., both, both] = moments.var
    matrix[..., unit, H + unit] = matrix[..., H + unit, unit] = moments.cov
    return matrix


def _solve(covariance: Host, right: Host) -> Host:
    """Solve with covariance matrices `(..., n, n)`, some of whose variances may be zero."""
    sd = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    sd = np.where(sd > 0, sd, 1)[..., None]
    correlation = covariance / sd / sd.swapaxes(-1, -2)
    # As much as rounding could have taken off.
    correlation += 1e-10 * np.eye(covariance.shape[-1])
    return np.linalg.solve(correlation, right / sd) / sd
