"""Choose the backend that `device`, `kernels` and `precision` ask for."""

from __future__ import annotations

import sys
from functools import cache

from tagi_cli.backend.base import Backend

DEVICES = ("auto", "cpu")
KERNELS = ("auto", "numpy", "host")
PRECISIONS = ("float32", "float64")


@cache
def _say_once(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def select(device: str = "auto", kernels: str = "auto", precision: str = "float32") -> Backend:
    """The backend for a run.

    Args:
        device: `cpu`, or `auto` for the best device there is.
        kernels: `host` compiles the kernels for this CPU, `numpy` runs their references, `auto`
            tries the first and falls back to the second with a line that says why.
        precision: `float32` or `float64`.

    Raises:
        CompilerError: `kernels=host` and they cannot be compiled.
    """
    # Backends are imported when chosen: SciPy and CuPy are slow to load.
    from tagi_cli.backend.numpy_backend import NumpyBackend

    if kernels == "numpy":
        return NumpyBackend(precision)
    from tagi_cli.backend.compiler import CompilerError
    from tagi_cli.backend.host_backend import HostBackend

    try:
        return HostBackend(precision)
    except CompilerError as error:
        if kernels == "host":
            raise
        _say_once(f"tagi: kernels run on NumPy, which is slower: {error}")
        return NumpyBackend(precision)
