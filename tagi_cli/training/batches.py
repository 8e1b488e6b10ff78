"""The rows to train on, where a step finds them, and the order in which it takes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tagi_cli.backend import Array, Backend, countable
from tagi_cli.distributed.partition import Lanes
from tagi_cli.nn import Plan, flat_size
from tagi_cli.training.image_rows import ImageRows, Pixels
from tagi_cli.training.interface import ImageArray, Values, WindowArray

Host = np.ndarray[Any, Any]


class Batches:
    """Inputs and targets on the device, with the present part of an order and a cursor in it.

    Args:
        backend: where steps run.
        x: inputs.
        y: targets.
        lanes: the rows of each batch that are learnt here.
        batch_size: rows of a whole batch.
        seed: for what is drawn of images.

    Attributes:
        order: numbers of the rows to come.
        follows: whether each goes on from the state of the same row of the batch before.
        cursor: the first of them that the next step takes.

    Raises:
        UserError: there are more rows than kernels can count.
        ValueError: a window reaches outside its rows.
    """

    def __init__(
        self, backend: Backend, x: Values, y: Values, lanes: Lanes, batch_size: int, seed: int
    ) -> None:
        countable(len(x), "rows to train on")
        self._backend = backend
        self._lanes, self._batch_size = lanes, batch_size
        self._seed = seed
        self._draws = backend.asarray([seed, 0], np.int32)
        # Of images that are their own targets, the bytes are brought here once.
        self._pixels: dict[tuple[int, int], Pixels] = {}
        self._x, self._y = self._source(x), self._source(y)
        self.order = backend.zeros((len(x),), np.int32)
        self.follows = backend.zeros((len(x),), np.int32)
        self.cursor = backend.zeros((1,), np.int32)

    def start_epoch(self, epoch: int) -> None:
        """Draw anew what is drawn of images."""
        self._draws[...] = self._backend.asarray([self._seed, epoch], np.int32)

    @property
    def most(self) -> int | None:
        """How many rows can be loaded at a time, whole batches of them; None for all."""
        found = [one.most for one in self._pixels.values() if one.most is not None]
        if not found:
            return None
        return max(min(found) // self._batch_size, 1) * self._batch_size

    def load(
        self, order: Host, begin: int, end: int, follows: Host | None, *, states: bool
    ) -> None:
        """Make entries `begin` to `end` of an order the ones to come, as far as they are in lanes.

        Args:
            order: numbers of rows.
            begin: the first entry.
            end: behind the last one.
            follows: as in `Learner.train`.
            states: whether anybody asks for `follows`.
        """
        rows = self._own(order[begin:end])
        part = slice(0, len(rows))
        self.order[part] = self._backend.asarray(rows, np.int32)
        if states and follows is None:
            self.follows.fill(0)
        elif states and follows is not None:
            self.follows[part] = self._backend.asarray(self._own(follows[begin:end]), np.int32)
        for pixels in self._pixels.values():
            pixels.load(rows, self._own(order[end : 2 * end - begin]))
        self.cursor.fill(0)

    def _own(self, entries: Host) -> Host:
        return self._lanes.take(entries, self._batch_size)

    def emit(self, plan: Plan, x: Array, y: Array) -> None:
        """Emit calls that bring inputs and targets of the next rows to `x` and `y`."""
        self._x.emit(plan, x, self.order, self.cursor)
        self._y.emit(plan, y, self.order, self.cursor)

    def _source(self, values: Values) -> _Table | _Windows | ImageRows:
        if isinstance(values, np.ndarray):
            return _Table(self._backend, values)
        if not isinstance(values, ImageArray):
            return _Windows(self._backend, values)
        key = id(values.pixels), id(values.rows)
        if key not in self._pixels:
            self._pixels[key] = Pixels(self._backend, values)
        return ImageRows(self._backend, values, self._pixels[key], self._draws)


class _Table:
    """An array `(n, ...)`."""

    def __init__(self, backend: Backend, values: Host) -> None:
        self._values = backend.resident(values)
        self._columns = flat_size(values.shape[1:])

    def emit(self, plan: Plan, out: Array, order: Array, cursor: Array) -> None:
        """Emit the call that fills `out` with the next rows."""
        plan.call("gather_rows", out, self._values, order, cursor, plan.batch, self._columns)


class _Windows:
    """Windows `(n, length, C)`."""

    def __init__(self, backend: Backend, values: WindowArray) -> None:
        n, length, columns = values.shape
        rows, starts = values.rows, values.starts
        if n and not 0 <= starts.min() <= starts.max() <= len(rows) - length:
            raise ValueError(f"a window of {length} rows reaches outside the {len(rows)} rows")
        countable(len(rows), "rows of series")
        self._rows, self._starts = backend.resident(rows), backend.asarray(starts, np.int32)
        scalers = values.center, values.scale
        self._scalers = [None if part is None else backend.resident(part) for part in scalers]
        self._sizes = length, columns

    def emit(self, plan: Plan, out: Array, order: Array, cursor: Array) -> None:
        """Emit the call that fills `out` with the next windows."""
        plan.call(
            "gather_windows", out, self._rows, self._starts, order, cursor, *self._scalers,
            plan.batch, *self._sizes,
        )  # fmt: skip
