"""Where modules run, one place for the whole process."""

from __future__ import annotations

from tagi_cli.backend import Backend, select

_backend: Backend | None = None


def use(device: str = "cpu", kernels: str = "auto", precision: str = "float32") -> None:
    """Run modules there from the next call on; variables move along with their values.

    Args:
        device: `cpu`, `cuda`, `cuda:<number>` or `auto`.
        kernels: on the CPU, `host` (compiled), `numpy`, or `auto`.
        precision: `float32` or `float64`, or on a GPU `tf32`.

    Raises:
        UserError: a word is not known, or the GPU asked for cannot be had.
    """
    global _backend
    _backend = select(device, kernels, precision)


def backend() -> Backend:
    """What was chosen last; by default float32 on the CPU."""
    global _backend
    if _backend is None:
        _backend = select()
    return _backend
