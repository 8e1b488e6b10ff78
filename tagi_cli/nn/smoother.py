"""States of recurrent layers given the whole series, and the outputs that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tagi_cli.backend import collective
from tagi_cli.nn import rts
from tagi_cli.nn.layers.slstm import SLSTM
from tagi_cli.nn.network import Network
from tagi_cli.nn.parameters import Host
from tagi_cli.nn.plan import Plan
from tagi_cli.nn.recurrent_state import CellState, RecurrentStates, recurrences
from tagi_cli.nn.sequential import Sequential


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

    What is kept of each step and layer is of the size of its states, `14 B H` numbers; weights
    (`4 H H`) are kept once for all calls between two parameter steps.

    Args:
        network: a network whose layer is a `Sequential` with an `SLSTM` in it.

    Attributes:
        layers: the recurrent layers that are smoothed, from the input up.

    Raises:
        ValueError: there is none, or a layer behind the last one carries states, too.
    """

    def __init__(self, network: Network) -> None:
        chain = network.layer
        layers = list(chain) if isinstance(chain, Sequential) else [chain]
        places = [i for i, layer in enumerate(layers) if isinstance(layer, SLSTM)]
        if not places:
            raise ValueError(f"{chain.describe()} has no SLSTM: there are no states to smooth")
        behind = layers[places[-1] + 1 :]
        for layer in behind:
            if any(each.carried is not None for each in recurrences(layer)):
                raise ValueError(
                    f"{layer.describe()} behind the last SLSTM goes on from states of its own, "
                    "which are not smoothed: put it in front, or make it an SLSTM"
                )
        self._network = network
        self.layers = [each for i in places for each in layers[i].recurrences]  # type: ignore[attr-defined]
        self._head = Sequential(*behind)
        self._window = layers[places[-1]].output_shape
        self._head.build(self._window, network.parameters, np.random.default_rng(0))  # type: ignore[arg-type]
        self._states = RecurrentStates(chain, network.parameters)
        self._initial: list[Host] = []
        self._calls: list[list[rts.Call]] = [[] for _ in self.layers]

    def __len__(self) -> int:
        """Number of steps recorded."""
        return sum(call.states.shape[1] for call in self._calls[0])

    @property
    def nbytes(self) -> int:
        """Memory of what is recorded, weights that calls share counted once."""
        arrays = [array for calls in self._calls for call in calls for array in call]
        return sum({id(array): array.nbytes for array in arrays}.values())

    def record(self) -> None:
        """Keep the steps of the latest forward and backward call, before the parameter step.

        Raises:
            ValueError: the call has another number of rows than those before.
        """
        windows = self._network.current.plan.recurrences
        host = self._network.backend.to_host
        for layer, calls in zip(self.layers, self._calls, strict=True):
            window = windows[layer]
            assert layer.weight is not None
            assert window.initial is not None
            states = host(window.states)
            if calls and len(states) != len(calls[0].states):
                raise ValueError(f"{len(states)} rows after calls with {len(calls[0].states)}")
            if not calls:
                self._initial.append(host(window.initial))
            hidden = host(layer.weight.mu).reshape(4, layer.cell.units, -1)[:, :, layer.inputs :]
            if calls and np.array_equal(hidden, calls[-1].hidden):
                hidden = calls[-1].hidden
            else:
                hidden = np.ascontiguousarray(hidden)
            calls.append(rts.Call(states, host(window.d_states), host(window.jac), hidden))

    def smooth(self) -> Smoothed:
        """Go back over all steps recorded.

        Raises:
            ValueError: no step was recorded.
        """
        if not len(self):
            raise ValueError("no step was recorded: nothing to smooth")
        states, initial, floored = [], [], 0
        for layer, start, calls in zip(self.layers, self._initial, self._calls, strict=True):
            backwards = rts.together if layer.cell.covariance == "full" else rts.apart
            mu, var = backwards(start, calls)
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
        self._initial.clear()
        for calls in self._calls:
            calls.clear()
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
        collective.bind(backend, plan.take()).run()
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
