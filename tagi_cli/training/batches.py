"""The rows to train on, where a step finds them, and the order in which it takes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tagi_cli.backend import Array, Backend
from tagi_cli.nn import Plan, flat_size
from tagi_cli.training.interface import Values, WindowArray

Host = np.ndarray[Any, Any]


class Batches:
    """Inputs and targets on the device, with the present part of an order and a cursor in it.

    Args:
        backend: where steps run.
        x: inputs.
        y: targets.

    Attributes:
        order: numbers of the rows to come.
        follows: whether each goes on from the state of the same row of the batch before.
        cursor: the first of them that the next step takes.
    """

    def __init__(self, backend: Backend, x: Values, y: Values) -> None:
        self._backend = backend
        self._x, self._y = _source(backend, x), _source(backend, y)
        self.order = backend.zeros((len(x),), np.int32)
        self.follows = backend.zeros((len(x),), np.int32)
        self.cursor = backend.zeros((1,), np.int32)

    def load(
        self, order: Host, begin: int, end: int, follows: Host | None, *, states: bool
    ) -> None:
        """Make entries `begin` to `end` of an order the ones to come.

        Args:
            order: numbers of rows.
            begin: the first entry.
            end: behind the last one.
            follows: as in `Learner.train`.
            states: whether anybody asks for `follows`.
        """
        part = slice(0, end - begin)
        self.order[part] = self._backend.asarray(order[begin:end], np.int32)
        if states and follows is None:
            self.follows.fill(0)
        elif states and follows is not None:
            self.follows[part] = self._backend.asarray(follows[begin:end], np.int32)
        self.cursor.fill(0)

    def emit(self, plan: Plan, x: Array, y: Array) -> None:
        """Emit calls that bring inputs and targets of the next rows to `x` and `y`."""
        self._x.emit(plan, x, self.order, self.cursor)
        self._y.emit(plan, y, self.order, self.cursor)


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
        if len(rows) > np.iinfo(np.int32).max:
            raise ValueError(f"{len(rows)} rows: at most {np.iinfo(np.int32).max} are supported")
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


def _source(backend: Backend, values: Values) -> _Table | _Windows:
    if isinstance(values, np.ndarray):
        return _Table(backend, values)
    return _Windows(backend, values)
