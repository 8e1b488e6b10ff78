"""Negative variances that a network is given: refused, at next to no cost."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from tagi_cli.backend import Array
from tagi_cli.nn.plan import Plan

NEVER = memoryview(b"\0")
"""The flag of what was not looked at."""


def refuse_negative(var: Any, what: str) -> None:
    """Make sure that no variance is negative. What lies on a device is not looked at.

    Args:
        var: a number, or an array of any shape.
        what: what they are, in the plural, for the message.

    Raises:
        ValueError: one is negative.
    """
    if isinstance(var, np.ndarray | np.generic | float | int | list | tuple):
        array = np.ravel(var)
        if (array < 0).any():
            _refuse(array, what)


def _refuse(array: Any, what: str) -> NoReturn:
    at = int(np.argmax(array < 0))
    raise ValueError(f"{what}: found {array[at]:g} at position {at}. Allowed: 0 or more")


class NegativeFlag:
    """Tells after the calls of a segment whether one of the variances in a buffer was negative.

    To look at an array from Python takes a tenth of a small network's step; a kernel among others
    takes none. On a GPU it would have to be waited for: there `refuse_negative` looks beforehand.

    Args:
        plan: where the kernel is called, as the next one; nothing is, unless arrays are NumPy's.
        var: the buffer.
        what: see `refuse_negative`.

    Attributes:
        set: its first item is 1 where one was negative.
    """

    __slots__ = ("_flag", "_var", "_what", "set")

    def __init__(self, plan: Plan, var: Array, what: str) -> None:
        self._var, self._what, self.set = var, what, NEVER
        if plan.backend.xp is np:
            self._flag = plan.backend.zeros((1,), np.int32)
            self.set = memoryview(self._flag.data)
            plan.call("find_negative", self._flag, var, var.size)

    def refuse(self) -> NoReturn:
        """Tell which variance it was, ready for the next ones.

        Raises:
            ValueError: always.
        """
        self._flag[0] = 0
        _refuse(self._var.reshape(-1), self._what)
