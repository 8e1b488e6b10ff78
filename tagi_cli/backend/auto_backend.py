"""The CPU with `kernels: auto`: compiled kernels as long as they compile, then NumPy's."""

from __future__ import annotations

from collections.abc import Sequence

from tagi_cli.backend.base import Backend, Call, Segment
from tagi_cli.backend.host.compiler import CompilerError
from tagi_cli.backend.notes import say_once
from tagi_cli.backend.numpy_backend import NumpyBackend


class AutoBackend(Backend):
    """Binds to compiled kernels; from the first that does not compile on, to NumPy's.

    Both take the same arrays, so that what is bound already goes on as it is. A line says why.
    """

    def __init__(self, precision: str = "float32") -> None:
        super().__init__(precision)
        # SciPy, which compiled kernels take their matrix products from, is slow to load.
        from tagi_cli.backend.host.backend import HostBackend

        try:
            self._use(HostBackend(precision))
        except CompilerError as error:
            self._use_numpy(error)

    def bind(self, calls: Sequence[Call]) -> Segment:
        """Make a segment of calls."""
        try:
            return self._backend.bind(calls)
        except CompilerError as error:
            self._use_numpy(error)
            return self._backend.bind(calls)

    def describe(self) -> str:
        """One line for people."""
        return self._backend.describe()

    def _use(self, backend: Backend) -> None:
        self._backend, self.name = backend, backend.name

    def _use_numpy(self, error: CompilerError) -> None:
        say_once(f"kernels run on NumPy, which is slower: {error}")
        self._use(NumpyBackend(str(self.dtype)))
