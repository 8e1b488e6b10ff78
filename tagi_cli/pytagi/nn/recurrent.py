"""Recurrent layers of a network: their states from call to call, and given a whole series."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.pytagi.carried import Carried
from tagi_cli.pytagi.nn.parameterised import Parameterised

Host = np.ndarray[Any, Any]
Four = tuple[Host, Host, Host, Host]


class Recurrent(Parameterised):
    """What a network does with the states of its recurrent layers."""

    def __init__(self) -> None:
        super().__init__()
        self._carried: Carried | None = None
        self._smoother: nn.Smoother | None = None
        self._smoothed: nn.Smoothed | None = None
        self._smoothing: list[int] = []
        self._obstacle = "no layer of the network is an SLSTM"

    def _find_recurrent(self, network: nn.Network) -> None:
        """See which layers of a network that is just built are recurrent."""
        carried = Carried(network)
        if carried.layers:
            self._carried = carried
        assert isinstance(network.layer, nn.Sequential)
        layers = list(network.layer)
        self._smoothing = [i for i, layer in enumerate(layers) if isinstance(layer, nn.SLSTM)]
        if not self._smoothing:
            return
        behind = (
            each for layer in layers[self._smoothing[-1] + 1 :] for each in nn.recurrences(layer)
        )
        if any(each.carried is not None for each in behind):
            self._obstacle = "a layer behind the last SLSTM goes on from states of its own"
        else:
            self._smoother = nn.Smoother(network)

    def _enter(self, rows: int) -> None:
        """Make the states those of a call of so many rows."""
        if self._carried is None:
            return
        anew = rows != self._carried.rows
        self._carried.enter(rows)
        if anew and self._smoother is not None:
            self._smoother.restart()

    def _enter_array(self, x: Host) -> None:
        """The same for an input; one that is no whole number of rows is refused later on."""
        if self._carried is not None:
            rows, rest = divmod(x.size, nn.flat_size(self.network.input_shape))
            if not rest:
                self._enter(rows)

    def _go_on(self) -> None:
        """A series begins at the present states: forget the steps of the one before."""
        if self._smoother is not None:
            states = nn.RecurrentStates(self.network.layer, self.network.parameters)
            self._smoother.restart(states.get())

    def reset_lstm_states(self) -> None:
        """Let all recurrent layers start anew, from states that are zero."""
        if self._carried is not None:
            self._carried.reset()
            self._go_on()

    def get_lstm_states(self, time_step: int = -1) -> dict[Any, Four]:
        """Copies of the states of recurrent layers.

        Args:
            time_step: -1 for the states that the next call goes on from; from 0 on, those of the
                `SLSTM` layers in that step given the whole series, after `smoother`.

        Returns:
            By position of the layer, means and variances of hidden and of cell states,
            `mu_h, var_h, mu_c, var_c`, flat, row by row.

        Raises:
            RuntimeError: no series was smoothed.
            IndexError: it had no such step.
        """
        if self._carried is None:
            return {}
        if time_step == -1:
            return self._carried.get()
        if self._smoothed is None:
            raise RuntimeError("call smoother() first: no series was smoothed yet")
        steps = len(self._smoothed.mu)
        if not 0 <= time_step < steps:
            raise IndexError(f"time_step {time_step}: the series has steps 0 to {steps - 1}")
        result: dict[Any, Four] = {}
        for key, state in zip(self._smoothing, self._smoothed.states, strict=True):
            mu_h, var_h, mu_c, var_c = (np.float32(part[time_step]).ravel() for part in state)
            result[key] = mu_h, var_h, mu_c, var_c
        return result

    def set_lstm_states(self, states: Mapping[Any, Sequence[Any]]) -> None:
        """Set the states that the next call goes on from.

        An `LSTM` goes on from them in each call, where it does not carry its own: until
        `reset_lstm_states`, or until a call has another number of rows.

        Args:
            states: as `get_lstm_states` gives them; layers that are left out keep theirs.

        Raises:
            ValueError: an unknown layer, sizes that do not fit, or a negative variance.
        """
        if self._carried is not None:
            self._carried.set(states)
            self._go_on()
        elif states:
            raise ValueError(f"layers {list(states)}: the network has no recurrent layers")

    def smoother(self) -> tuple[Host, Host]:
        """Go back over the series, with all its observations, from the last step to the first.

        It is made of all calls that were followed by `backward` since the states were last zero, or
        set. Afterwards they are zero again, and a new series begins.

        Returns:
            Means and variances of the output in each step, flat: steps, then rows, then units.

        Raises:
            ValueError: there is no `SLSTM` layer, or an `LSTM` behind it, or no step to smooth.
        """
        if self._smoother is None:
            raise ValueError(f"{self._obstacle}: there is nothing to smooth")
        self._smoothed = smoothed = self._smoother.smooth()
        self._smoother.restart()
        if smoothed.floored:
            warnings.warn(
                f"{smoothed.floored} smoothed variances came out negative and were set to zero",
                RuntimeWarning,
                stacklevel=2,
            )
        return self.get_outputs_smoother()

    def get_outputs_smoother(self) -> tuple[Host, Host]:
        """Copies of what the latest `smoother` returned.

        Raises:
            RuntimeError: no series was smoothed.
        """
        if self._smoothed is None:
            raise RuntimeError("call smoother() first: no series was smoothed yet")
        return self._smoothed.mu.flatten(), self._smoothed.var.flatten()

    def load(self, filename: str | Path) -> None:
        """Load parameters in our format, with states, or pytagi's, whichever the file is in.

        Raises:
            UserError: the file cannot be read, or is of another network.
        """
        super().load(filename)
        if self._carried is not None:
            self._carried.loaded()
            self._go_on()
