"""One recorded pass of a trained network over whole series, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagi_cli import nn
from tagi_cli.data.parts import Part
from tagi_cli.errors import UserError
from tagi_cli.training import sampling
from tagi_cli.training.interface import Prediction
from tagi_cli.training.learner import Learner
from tagi_cli.training.noise import HeteroscedasticNoise

Host = NDArray[Any]
Rows = NDArray[np.int64]

_CALLS = 1024
"""Calls whose inputs are copied out of their windows together."""


class Smoothed(NamedTuple):
    """What one network says of m prediction points, given all observations of their series.

    Attributes:
        rows: their numbers `(m,)`, ascending.
        prediction: moments of the outputs, in scaled units.
        states: of each recurrent layer, from the input up, arrays `(m, T, H)` for windows of T
            steps of the recurrence.
        floored: variances of states that came out negative and were set to zero.
    """

    rows: Rows
    prediction: Prediction
    states: list[nn.CellState]
    floored: int


def smooth_member(learner: Learner, part: Part, stride: int) -> Smoothed:
    """Go through all series with fixed parameters and noise, and back.

    Rows that go on from each other make a chain. Chains of equal length go side by side, as many as
    the network carries states for; each starts from the states of a new series.

    Args:
        learner: the network; what it carries is lost.
        part: the prediction points of whole series.
        stride: places from a point to the one that goes on from it.

    Raises:
        UserError: the network has no states to smooth.
    """
    recorder = _Recorder(learner)
    chains = _chains(part, stride, whole=recorder.steps == 1)
    shown = np.sort(np.concatenate(chains))
    n, width = len(shown), learner.noise.width(learner.outputs)
    mu, var = np.empty((n, width)), np.empty((n, width))
    states = [nn.CellState(*np.empty((4, n, recorder.steps, size))) for size in recorder.sizes]
    floored = 0
    for rows in _side_by_side(chains, learner.batch_size):
        found = recorder.smooth(part, rows)
        at = np.searchsorted(shown, rows)
        mu[at] = found.mu.reshape(*rows.shape, width)
        var[at] = found.var.reshape(*rows.shape, width)
        calls, B = rows.shape
        for into, state in zip(states, found.states, strict=True):
            for to, values in zip(into, state, strict=True):
                to[at] = values.reshape(calls, recorder.steps, B, -1).swapaxes(1, 2)
        floored += found.floored
    return Smoothed(shown, Prediction(*learner.noise.split(mu, var)), states, floored)


def _chains(part: Part, stride: int, *, whole: bool) -> list[Rows]:
    """Rows that go on from each other, chain by chain.

    Where windows are steps of the recurrence themselves (not `whole`), the chains of a slice that
    begin at another place would go through the same rows again: the earliest stands for all.
    """
    assert part.index is not None
    found = sampling.chains(part.index, stride)
    chains = np.split(found.rows, found.firsts[1:])
    if whole:
        return chains
    begun: dict[tuple[int, int], int] = {}
    kept = []
    for rows in sorted(chains, key=lambda rows: int(part.index[rows[0], 2])):  # type: ignore[index]
        series, piece, place = part.index[rows[0]].tolist()
        if begun.setdefault((series, piece), place % stride) == place % stride:
            kept.append(rows)
    return kept


def _side_by_side(chains: list[Rows], most: int) -> Iterator[Rows]:
    """Chains of equal length as the columns of arrays `(length, B)`, B at most `most`."""
    by_length: dict[int, list[Rows]] = {}
    for rows in chains:
        by_length.setdefault(len(rows), []).append(rows)
    for alike in by_length.values():
        for first in range(0, len(alike), most):
            yield np.stack(alike[first : first + most], axis=1)


class _Recorder:
    """A learner's network, stepped with its noise as it is and without learning."""

    def __init__(self, learner: Learner) -> None:
        self._network = nn.Network(
            learner.layer,
            learner.input_shape,
            backend=learner.backend,
            parameters=learner.parameters,
        )
        self._network.eval()
        try:
            self._smoother = nn.Smoother(self._network)
        except ValueError as error:
            raise UserError(f"arch: {error}") from None
        self._updater = nn.OutputUpdater(self._network)
        self._states = nn.RecurrentStates(learner.layer, learner.parameters)
        self._noise: Host | None = None
        if not isinstance(learner.noise, HeteroscedasticNoise):
            nothing = np.zeros((1, learner.outputs))
            noise = learner.noise.split(nothing, nothing)[2][0]
            self._noise = noise.astype(learner.backend.dtype)
        self.sizes = [layer.cell.units for layer in self._smoother.layers]

    @property
    def steps(self) -> int:
        """Steps of the recurrence in a call."""
        shape = self._smoother.layers[0].output_shape
        assert shape is not None
        return int(shape[0])

    def smooth(self, part: Part, rows: Rows) -> nn.Smoothed:
        """Go through rows `(calls, B)` of a part, and back."""
        self._smoother.restart()
        self._states.continue_from([])
        for begin in range(0, len(rows), _CALLS):
            block = rows[begin : begin + _CALLS]
            shape = (*block.shape, -1)
            x = np.asarray(part.x[block.ravel()]).reshape(shape)
            y = np.asarray(part.y[block.ravel()]).reshape(shape)
            for inputs, targets in zip(x, y, strict=True):
                self._network.run(inputs)
                if self._noise is None:
                    self._updater.update_heteros(targets)
                else:
                    self._updater.update(targets, self._noise)
                self._network.backward()
                self._smoother.record()
        return self._smoother.smooth()
