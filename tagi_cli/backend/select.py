"""Choose the backend that `device`, `kernels` and `precision` ask for."""

from __future__ import annotations

from tagi_cli.backend.base import Backend


def select(device: str = "cpu", kernels: str = "auto", precision: str = "float32") -> Backend:
    """The backend for a run.

    Args:
        device: `cpu`.
        kernels: `auto` or `numpy`.
        precision: `float32` or `float64`.
    """
    # Backends are imported when chosen: SciPy and CuPy are slow to load.
    from tagi_cli.backend.numpy_backend import NumpyBackend

    return NumpyBackend(precision)
