"""States carried along series: from batch to batch, and on from where training ended.

A batch leaves the states of its rows to the next one. What the last rows of each series leave is
kept besides, so that a prediction of later rows goes on from there, whatever came after them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.backend import Array, Segment, overwrite
from tagi_cli.distributed import ALONE, Communicator
from tagi_cli.nn.layers.recurrent import continuation
from tagi_cli.training import sampling
from tagi_cli.training.batches import Batches
from tagi_cli.training.interface import ImageArray, Indices, Values

Host = np.ndarray[Any, Any]
Predictor = Callable[[int, bool], tuple[nn.Plan, Segment]]

# Batches between two questions whether to pause; their inputs are gathered together.
_BATCHES = 64

PREFIX = "ends."
"""What the names of kept states begin with."""

PLACES, HELD = f"{PREFIX}places", f"{PREFIX}held"
"""Names of the places that left states, and of which of these are held."""


def tracks(layer: nn.Layer) -> bool:
    """Whether a layer, which need not be built yet, carries states from batch to batch."""
    return any(each.cell.tracking for each in nn.recurrences(layer))


def carried_rows(layer: nn.Layer, batch_size: int) -> int:
    """Rows that a store needs for the states of a layer, which need not be built yet."""
    if tracks(layer):
        # One more, never written to, for what rows start from that go on from none.
        return batch_size + 1
    given = any(each.cell.internal_state == "given" for each in nn.recurrences(layer))
    return batch_size if given else 1


class Tracking:
    """What a learner does because layers of its network track their states.

    Args:
        layer: the built network.
        parameters: its store, made for `carried_rows`.
        stride: places from a row of a series to the one that goes on from it.
        ranks: who shares each batch; what any of them keeps, all of them have.
    """

    def __init__(
        self,
        layer: nn.Layer,
        parameters: nn.Parameters,
        stride: int,
        ranks: Communicator = ALONE,
    ) -> None:
        self._layers = [each for each in nn.recurrences(layer) if each.cell.tracking]
        self._backend = parameters.backend
        self._fresh = parameters.rows - 1
        self._stride = stride
        self._ranks = ranks
        self._before: list[Array] = []
        self._continues = continuation(parameters)
        self._slots: Array | None = None
        self._make_room(np.empty((0, 3), np.int64))

    def bind(self, index: Indices) -> None:
        """Keep what the last rows of the series at places `index (n, 3)` will leave."""
        before = self.state_dict()
        rows, slots = sampling.last_rows(index, self._stride)
        self._make_room(index[rows])
        self._slots = self._backend.asarray(slots, np.int32)
        self.load_state_dict(before)

    def take_up(self, places: Indices) -> None:
        """Let row i of the next batch go on from what the row at `places[i]` (m, 3) has left.

        Rows beyond those, and of places that left nothing, have what they had. Call it before
        `bind`, which forgets the series that are not bound.
        """
        held = self._backend.to_host(self._held)
        known = {
            tuple(place): number
            for number, place in enumerate(self._places.tolist())
            if held[number]
        }
        self._start(np.array([known.get(tuple(p), sampling.GOES_ON) for p in places.tolist()]))

    def emit_follow(self, plan: nn.Plan, batches: Batches) -> None:
        """Emit the call that says what the rows of the next batch go on from."""
        plan.call(
            "follow_rows", self._continues.value, batches.follows, batches.cursor, self._fresh,
            plan.batch,
        )  # fmt: skip

    def emit_keep(self, plan: nn.Plan, batches: Batches) -> None:
        """Emit the calls that keep what the last rows of series leave."""
        for each, kept in zip(self._layers, self._kept, strict=True):
            assert each.carried is not None
            plan.call(
                "keep_rows", kept, self._held, each.carried.value, self._slots, batches.order,
                batches.cursor, plan.batch, 4 * each.cell.units,
            )  # fmt: skip

    def begin(self) -> None:
        """From here on, what this rank keeps is told from what was kept before."""
        if self._ranks.size > 1:
            self._before = [array.copy() for array in (self._held, *self._kept)]
            self._held.fill(0)

    def end(self) -> None:
        """Let all ranks have what any of them has kept since `begin`; of each series one has."""
        if self._ranks.size == 1:
            return
        host = self._backend.to_host
        held, *kept = (host(array) for array in (self._held, *self._kept))
        own = held > 0
        for array in kept:
            array[~own] = 0
        for array in (held, *kept):
            self._ranks.all_reduce(array)
        renewed = held > 0
        for array, new, old in zip(
            (self._held, *self._kept), (held, *kept), self._before, strict=True
        ):
            value = host(old)
            value[renewed] = new[renewed]
            overwrite(array, value)

    def predict(
        self,
        x: Values,
        index: Indices,
        predictor: Predictor,
        pause: Callable[[], bool],
        *,
        continues: bool,
        earliest: Indices | None = None,
        var_x: Values | None = None,
    ) -> tuple[Host, Host] | None:
        """Moments of the network's output, `(n, units)` each; see `Learner.predict_along`.

        What training carries stays as it is.
        """
        known = self._known() if continues else {}
        lead = not isinstance(x, np.ndarray)
        order = sampling.schedule(
            index, self._stride, self._fresh, known, lead=lead, earliest=earliest
        )
        plan, forward = predictor(order.rows.shape[1], var_x is None)
        assert plan.output.var is not None
        shape = (len(x), *plan.output.shape)
        mu, var = np.empty(shape), np.empty(shape)
        host = self._backend.to_host
        with self._set_aside():
            for begin in range(0, len(order.rows) if len(x) else 0, _BATCHES):
                part = slice(begin, begin + _BATCHES)
                inputs = _take(x, order.rows[part], order.leads[part])
                unsure = None
                if var_x is not None:
                    unsure = _take(var_x, order.rows[part], order.leads[part])
                steps = zip(order.rows[part], order.leads[part], order.sources[part], strict=True)
                for number, (rows, leads, sources) in enumerate(steps):
                    self._start(sources)
                    self._backend.write(plan.input.mu, inputs[number])
                    if unsure is not None:
                        assert plan.input.var is not None
                        self._backend.write(plan.input.var, unsure[number])
                    forward.run()
                    shown = (rows >= 0) & (leads == 0)
                    mu[rows[shown]] = host(plan.output.mu)[shown]
                    var[rows[shown]] = host(plan.output.var)[shown]
                if pause():
                    return None
        return mu, var

    def from_training(self, index: Indices, earliest: Indices) -> Indices:
        """Which rows at places `(n, 3)` go on, at once or led, from a state of training.

        `earliest` is as in `Learner.predict_along`.
        """
        order = sampling.schedule(
            index, self._stride, 1, self._known(), lead=True, earliest=earliest
        )
        return order.rows[order.sources >= 0]

    def _known(self) -> dict[sampling.Key, tuple[int, int]]:
        """For each group of chains, the place that left a state, and the number of that."""
        held = self._backend.to_host(self._held)
        return {
            sampling.key(place, self._stride): (int(place[2]), number)
            for number, place in enumerate(self._places)
            if held[number]
        }

    def _start(self, sources: Indices) -> None:
        """Set what the rows of the next batch go on from; see `Schedule.sources`."""
        lanes = np.arange(len(sources))
        for lane in np.flatnonzero(sources >= 0):
            for each, kept in zip(self._layers, self._kept, strict=True):
                assert each.carried is not None
                assert each.held is not None
                each.carried.value[int(lane)] = kept[int(sources[lane])]
                each.held.value[int(lane)] = 1
        continues = np.where(sources == sampling.FRESH, self._fresh, lanes)
        overwrite(self._continues.value[: len(lanes)], continues)

    @contextmanager
    def _set_aside(self) -> Iterator[None]:
        """Bring back what is carried now at the end."""
        states = [self._continues]
        for each in self._layers:
            assert each.carried is not None
            assert each.held is not None
            states += [each.carried, each.held]
        before = [self._backend.to_host(state.value) for state in states]
        try:
            yield
        finally:
            for state, value in zip(states, before, strict=True):
                overwrite(state.value, value)

    def _make_room(self, places: Indices) -> None:
        """Room for the states of as many series; none is held yet."""
        backend, count = self._backend, len(places)
        self._places = places
        self._held = backend.zeros((count,))
        self._kept = [backend.zeros((count, 4, each.cell.units)) for each in self._layers]

    def state_dict(self) -> dict[str, Host]:
        """Kept states `(g, 4, H)` of each layer, the places that left them, and which are held."""
        host = self._backend.to_host
        kept = {f"{PREFIX}{number}": host(part) for number, part in enumerate(self._kept)}
        return {PLACES: self._places.copy(), HELD: host(self._held), **kept}

    def load_state_dict(self, values: Mapping[str, Host]) -> None:
        """Take over what `state_dict` gave, once bound for the bound series alone.

        Raises:
            KeyError: something is missing.
        """
        places = np.asarray(values[PLACES], np.int64)
        if self._slots is None:
            self._make_room(places.copy())
        given = {tuple(place): number for number, place in enumerate(places.tolist())}
        found = np.array([given.get(tuple(p), -1) for p in self._places.tolist()], np.int64)
        there = found >= 0
        names = [HELD, *(f"{PREFIX}{number}" for number in range(len(self._kept)))]
        for name, own in zip(names, [self._held, *self._kept], strict=True):
            value = self._backend.to_host(own)
            value[there] = values[name][found[there]]
            overwrite(own, value)


def _take(x: Values, rows: Indices, leads: Indices) -> Host:
    """Inputs `(K, L, ...)` for entries of a schedule `(K, L)`, those of empty lanes any."""
    if isinstance(x, np.ndarray):
        return np.asarray(x[rows])
    assert not isinstance(x, ImageArray)  # which are no rows of series
    first = x.starts[rows] - np.where(rows >= 0, leads, 0)
    taken: Host = x.rows[first[..., None] + np.arange(x.length)]
    if x.center is not None and x.scale is not None:
        taken = (taken - x.center[rows][..., None, :]) / x.scale[rows][..., None, :]
    return taken
