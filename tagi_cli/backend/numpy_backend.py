"""The portable backend: every kernel is its NumPy reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tagi_cli.backend.base import Backend, Call, Segment
from tagi_cli.backend.reference import KERNELS


class NumpySegment(Segment):
    """Reference functions called one after the other."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._calls = [(KERNELS[call.kernel], call.arguments) for call in calls]

    def run(self, times: int = 1) -> None:
        """Run all calls in order, `times` times over."""
        # The references guard divisions by selecting afterwards, as the compiled kernels do.
        with np.errstate(all="ignore"):
            for _ in range(times):
                for function, arguments in self._calls:
                    function(*arguments)

    once = run


class NumpyBackend(Backend):
    """NumPy on the CPU: no compiler needed, and the oracle of the other backends."""

    name = "numpy"

    def bind(self, calls: Sequence[Call]) -> NumpySegment:
        """Make a segment of calls."""
        return NumpySegment(calls)

    def describe(self) -> str:
        """One line for people."""
        return f"NumPy {np.__version__}, {self.dtype}"
