"""States of recurrent layers given the whole series, and the outputs that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tagi_cli.nn.network import Network
from tagi_cli.nn.parameters import Host
from tagi_cli.nn.plan import Plan
from tagi_cli.nn.recurrent_state import CellState, RecurrentStates
from tagi_cli.nn.sequential import Sequential
from tagi_cli.nn.slstm import SLSTM


class Smoothed(NamedTuple):
    """States and outputs given the whole series of `N` steps in `B` rows.

    Attributes:
        mu: means of the output `(N, B, ...)`.
        var: its variances, without the noise of observations.
        states: of each recurrent layer, from the input up, arrays `(N, B, H)`.
        initial: the same before the first step, `(B, H)`.
        floored: variances of states that came out negative and were set to zero.
    """

    mu: Host
    var: Host
    states: list[CellState]
    initial: list[CellState]
    floored: int


class _Moments(NamedTuple):
    """Of h and then c, `(B, 2 H)`: means, variances, and `cov(h, c)` of each unit `(B, H)`."""

    mu: Host
    var: Host
    cov: Host


class _Step(NamedTuple):
    """One step of a layer.

    Attributes:
        prior: as it was predicted.
        posterior: given the observations up to and in the step's own call.
        transition: Jacobian with respect to the state before, `(B, 2 H, 2 H)`.
        first: whether it is the first step of a call, predicted from the posterior of the state
            before; the others are predicted from its prior.
    """

    prior: _Moments
    posterior: _Moments
    transition: Host
    first: bool


class Smoother:
    """Rauch-Tung-Striebel smoothing of a chain of `SLSTM` layers and what follows them.

    ```python
    smoother = Smoother(net)
    for x, y in series:                 # steps in order, NaN where y is missing
        net(x); updater.update(y, var_v)
        net.backward(); smoother.record(); net.step()
    mu, var, *_ = smoother.smooth()
    smoother.restart()                  # before the series is gone through again
    ```

    Gains rest on the weights of their own step, outputs on the present ones. States are linearised
    round their predictions. With `covariance: full`, hidden and cell states of a layer are smoothed
    together with all their covariances, so that variances stay positive; with `peer`, each by
    itself as in pytagi. Layers are smoothed one by one. Where a call holds several steps, their
    observations have moved each other's states already, and smoothing adds what later calls say.

    Args:
        network: a network whose layer is a `Sequential` with an `SLSTM` in it.

    Raises:
        ValueError: there is none.
    """

    def __init__(self, network: Network) -> None:
        chain = network.layer
        layers = list(chain) if isinstance(chain, Sequential) else [chain]
        places = [i for i, layer in enumerate(layers) if isinstance(layer, SLSTM)]
        if not places:
            raise ValueError(f"{chain.describe()} has no SLSTM: there are no states to smooth")
        self._network = network
        self._layers = [each for i in places for each in layers[i].recurrences]  # type: ignore[attr-defined]
        self._head = Sequential(*layers[places[-1] + 1 :])
        self._window = layers[places[-1]].output_shape
        self._head.build(self._window, network.parameters, np.random.default_rng(0))  # type: ignore[arg-type]
        self._states = RecurrentStates(chain, network.parameters)
        self._steps: list[list[_Step]] = [[] for _ in self._layers]

    def __len__(self) -> int:
        """Number of steps recorded."""
        return max(len(self._steps[0]) - 1, 0)

    def record(self) -> None:
        """Keep the steps of the latest forward and backward call, before the parameter step.

        Raises:
            ValueError: the call has another number of rows than those before.
        """
        windows = self._network.current.plan.recurrences
        for layer, steps in zip(self._layers, self._steps, strict=True):
            host = self._network.backend.to_host
            window = windows[layer]
            assert layer.weight is not None
            states, d_states, jac = (
                host(array).astype(np.float64)
                for array in (window.states, window.d_states, window.jac)
            )
            if steps and len(states) != len(steps[0].prior.mu):
                raise ValueError(f"{len(states)} rows after calls with {len(steps[0].prior.mu)}")
            H = layer.cell.units
            weight = host(layer.weight.mu).astype(np.float64).reshape(4, H, -1)
            if not steps:
                # Before the first step: a step of its own, that nothing is seen of.
                assert window.initial is not None
                start = host(window.initial).astype(np.float64)
                nothing = np.zeros((len(start), 2 * H, 2 * H))
                steps.append(_Step(*_moments(start, 0 * start, 0 * start[:, 0]), nothing, True))
            for t in range(states.shape[1]):
                prior, posterior = _moments(states[:, t], d_states[:, t], jac[:, t, 4])
                transition = _transition(jac[:, t], weight[:, :, layer.inputs :])
                steps.append(_Step(prior, posterior, transition, not t))

    def smooth(self) -> Smoothed:
        """Go back over all steps recorded.

        Raises:
            ValueError: no step was recorded.
        """
        if not len(self):
            raise ValueError("no step was recorded: nothing to smooth")
        states, initial, floored = [], [], 0
        for layer, steps in zip(self._layers, self._steps, strict=True):
            backwards = _together if layer.cell.covariance == "full" else _apart
            mu, var = backwards(steps)
            floored += int((var < 0).sum())
            var = np.maximum(var, 0)
            H = layer.cell.units
            parts = mu[..., :H], var[..., :H], mu[..., H:], var[..., H:]
            states.append(CellState(*(part[1:] for part in parts)))
            initial.append(CellState(*(part[0] for part in parts)))
        return Smoothed(*self._outputs(states[-1]), states, initial, floored)

    def restart(self, states: Sequence[CellState] | None = None) -> None:
        """Forget all steps: the series starts anew, from the layers' own states or from `states`.

        Args:
            states: for each recurrent layer, such as `Smoothed.initial`.
        """
        for steps in self._steps:
            steps.clear()
        self._states.reset()
        if states is not None:
            self._states.set(states)

    def _outputs(self, state: CellState) -> tuple[Host, Host]:
        """What the layers behind the last recurrent one make of its hidden states."""
        assert self._window is not None
        backend, (T, H) = self._network.backend, self._window
        N, B, _ = state.mu_h.shape
        # Calls and rows become rows, as the layers take windows of one call.
        arrays = [
            part.reshape(N // T, T, B, H).swapaxes(1, 2).reshape(-1, T, H) for part in state[:2]
        ]
        plan = Plan(
            backend, self._network.parameters, len(arrays[0]), training=False, differentiable=False
        )
        x = plan.value((T, H))
        z = self._head.trace(plan, x)
        backend.write(x.mu, arrays[0])
        assert x.var is not None
        backend.write(x.var, arrays[1])
        backend.bind(plan.take()).run()
        assert z.var is not None
        result = []
        for part in (z.mu, z.var):
            value = backend.to_host(part)
            if value.ndim > 2 and value.shape[1] == T:
                value = value.reshape(N // T, B, *value.shape[1:]).swapaxes(1, 2)
                result.append(value.reshape(N, B, *value.shape[3:]))
            else:
                result.append(value.reshape(N // T, B, *value.shape[1:]))
        return result[0], result[1]


def _transition(jac: Host, hidden: Host) -> Host:
    """Jacobian of (h, c) with respect to (h, c) of the step before, `(B, 2 H, 2 H)`.

    Args:
        jac: `(B, 6, H)`, as in `Window`.
        hidden: mean weights of h of the step before, `(4, H, H)`.
    """
    B, _, H = jac.shape
    F = np.zeros((B, 2 * H, 2 * H))
    r, keep = jac[:, 4, :, None], jac[:, 5]
    unit = np.arange(H)
    cell = np.einsum("bgj,gja->bja", jac[:, :3], hidden[:3])
    F[:, :H, :H] = r * cell + jac[:, 3, :, None] * hidden[3]
    F[:, H:, :H] = cell
    F[:, H + unit, H + unit] = keep
    F[:, unit, H + unit] = jac[:, 4] * keep
    return F


def _moments(state: Host, innovation: Host, slope: Host) -> tuple[_Moments, _Moments]:
    """A step's moments before and after its observations.

    Args:
        state: mu_h, var_h, mu_c, var_c, `(B, 4, H)`.
        innovation: `d_mu, d_var` of h and of c.
        slope: dh/dc `(B, H)`.
    """
    B, _, H = state.shape
    mu, var, d_mu, d_var = (a[:, k::2] for a in (state, innovation) for k in (0, 1))
    after = np.maximum(var + var * var * d_var, 0)
    # What reaches c by h leaves its correlation with h as it is; the rest lowers it once more.
    later = d_var[:, 1] - slope**2 * d_var[:, 0]
    cov = _bounded(slope * var[:, 1], var)
    cov_after = _bounded(cov * (1 + var[:, 0] * d_var[:, 0]) * (1 + var[:, 1] * later), after)
    flat = (B, 2 * H)
    prior = _Moments(mu.reshape(flat), var.reshape(flat), cov)
    return prior, _Moments((mu + var * d_mu).reshape(flat), after.reshape(flat), cov_after)


def _bounded(cov: Host, var: Host) -> Host:
    """A covariance of h and c, not beyond what their variances `(B, 2, H)` allow."""
    most = np.sqrt(var[:, 0] * var[:, 1])
    return np.clip(cov, -most, most)


def _together(steps: list[_Step]) -> tuple[Host, Host]:
    """Smoothed means and variances `(N, B, 2 H)`, hidden and cell states jointly."""
    mu, cov = steps[-1].posterior.mu, _covariance(steps[-1].posterior)
    means, variances = [mu], [steps[-1].posterior.var]
    for t in range(len(steps) - 1, 0, -1):
        step, before = steps[t], steps[t - 1]
        source = before.posterior if step.first else before.prior
        spread = step.transition @ _covariance(source)
        predicted = spread @ step.transition.swapaxes(1, 2)
        predicted += _unexplained(step.prior, predicted)
        base_mu, base = step.prior.mu, predicted
        if not step.first:
            base_mu, base = step.posterior.mu, _covariance(step.posterior)
        gain = _solve(predicted, spread).swapaxes(1, 2)
        mu = before.posterior.mu + (gain @ (mu - base_mu)[:, :, None])[:, :, 0]
        cov = _covariance(before.posterior) + gain @ (cov - base) @ gain.swapaxes(1, 2)
        means.append(mu)
        variances.append(np.diagonal(cov, axis1=1, axis2=2))
    return np.stack(means[::-1]), np.stack(variances[::-1])


def _unexplained(prior: _Moments, explained: Host) -> Host:
    """What weights and inputs add to a predicted covariance, independently for each unit."""
    H = prior.cov.shape[1]
    unit = np.arange(H)
    var = np.maximum(prior.var - np.diagonal(explained, axis1=1, axis2=2), 0)
    cov = _bounded(prior.cov - explained[:, unit, H + unit], var.reshape(-1, 2, H))
    return _covariance(_Moments(prior.mu, var, cov))


def _apart(steps: list[_Step]) -> tuple[Host, Host]:
    """Smoothed means and variances `(N, B, 2 H)`, hidden and cell states as if independent."""
    mu, var, _ = steps[-1].posterior
    means, variances = [mu], [var]
    H = mu.shape[1] // 2
    own = _diagonal(np.ones((1, 2 * H)))[0]
    own[:H, :H] = 1
    for t in range(len(steps) - 1, 0, -1):
        step, before = steps[t], steps[t - 1]
        source, base = before.prior, step.posterior
        if step.first:
            source, base = before.posterior, step.prior
        scale = np.where(step.prior.var > 0, step.prior.var, 1)
        gain = own * step.transition * source.var[:, None, :] / scale[:, :, None]
        gain = gain.swapaxes(1, 2)
        mu = before.posterior.mu + (gain @ (mu - base.mu)[:, :, None])[:, :, 0]
        var = before.posterior.var + (gain * gain @ (var - base.var)[:, :, None])[:, :, 0]
        means.append(mu)
        variances.append(var)
    return np.stack(means[::-1]), np.stack(variances[::-1])


def _diagonal(var: Host) -> Host:
    """Diagonal matrices `(B, n, n)` of `(B, n)`."""
    return var[:, :, None] * np.eye(var.shape[1])


def _covariance(moments: _Moments) -> Host:
    """Matrices `(B, 2 H, 2 H)`: hidden and cell state of a unit are correlated, units are not."""
    matrix = _diagonal(moments.var)
    H = moments.cov.shape[1]
    unit = np.arange(H)
    matrix[:, unit, H + unit] = matrix[:, H + unit, unit] = moments.cov
    return matrix


def _solve(covariance: Host, right: Host) -> Host:
    """Solve with covariance matrices `(B, n, n)`, some of whose variances may be zero."""
    sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    sd = np.where(sd > 0, sd, 1)[:, :, None]
    correlation = covariance / sd / sd.swapaxes(1, 2)
    # As much as rounding could have taken off.
    correlation += 1e-10 * np.eye(covariance.shape[1])
    return np.linalg.solve(correlation, right / sd) / sd
