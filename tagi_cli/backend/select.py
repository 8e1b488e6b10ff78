"""Choose the backend that `device`, `kernels` and `precision` ask for."""

from __future__ import annotations

import re

from tagi_cli.backend.base import Backend
from tagi_cli.backend.notes import say_once
from tagi_cli.errors import UserError, nearest

DEVICES = ("auto", "cpu", "cuda")
"""A number picks a GPU: `cuda:1`."""
KERNELS = ("auto", "numpy", "host")
PRECISIONS = ("float32", "float64", "tf32")


def faults(device: str, kernels: str, precision: str) -> list[str]:
    """What is wrong with the three on any machine; each fault with its key in front."""
    found = []
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        allowed = "auto, cpu, cuda, or cuda:<number> for one of several GPUs"
        hint = " Did you mean 'cuda'?" if device.startswith("gpu") else nearest(device, DEVICES)
        found.append(f"device: found '{device}'. Allowed: {allowed}.{hint}")
    for key, value, allowed_values in (
        ("kernels", kernels, KERNELS),
        ("precision", precision, PRECISIONS),
    ):
        if value not in allowed_values:
            names = ", ".join(allowed_values)
            found.append(
                f"{key}: found '{value}'. Allowed: {names}.{nearest(value, allowed_values)}"
            )
    if precision == "tf32" and (device == "cpu" or kernels in ("numpy", "host")):
        found.append(
            "precision: found 'tf32', which is an arithmetic of GPUs. Allowed on the CPU: float32, "
            "float64"
        )
    if kernels in ("numpy", "host") and device.startswith("cuda"):
        found.append(
            f"kernels: found '{kernels}', a way to run on the CPU, with device '{device}'. "
            "Allowed with it: auto"
        )
    return found


def select(device: str = "cpu", kernels: str = "auto", precision: str = "float32") -> Backend:
    """The backend for a run.

    Args:
        device: `cpu`; `cuda` or `cuda:<number>` for an NVIDIA GPU; `auto` for the first GPU where
            there is one and CuPy, unless `kernels` names a way to run on the CPU.
        kernels: on the CPU, `host` compiles the kernels for it, `numpy` runs their references,
            `auto` tries the first and falls back to the second with a line that says why.
        precision: `float32`, `float64`, or on a GPU `tf32`.

    Raises:
        UserError: a word is not known, or the GPU asked for cannot be had.
        CompilerError: `kernels=host` and they cannot be compiled.
    """
    mistakes = faults(device, kernels, precision)
    if mistakes:
        raise UserError(mistakes[0])
    if device.startswith("cuda"):
        return _cuda(device, precision)
    if device == "auto" and kernels == "auto":
        backend = _cuda_if_there(precision)
        if backend is not None:
            return backend
    if precision == "tf32":
        raise UserError(
            "precision: found 'tf32', which is an arithmetic of GPUs, and no GPU is in use. "
            "Allowed on the CPU: float32, float64"
        )
    return _cpu(kernels, precision)


def _cpu(kernels: str, precision: str) -> Backend:
    # Backends are imported when chosen: SciPy and CuPy are slow to load.
    if kernels == "numpy":
        from tagi_cli.backend.numpy_backend import NumpyBackend

        return NumpyBackend(precision)
    if kernels == "host":
        from tagi_cli.backend.host.backend import HostBackend

        return HostBackend(precision)
    from tagi_cli.backend.auto_backend import AutoBackend

    return AutoBackend(precision)


def without_gpu() -> str:
    """Why no GPU can be used, in words that follow `device: found 'cuda', but `; "" where one can.

    No question is put to the driver before it is known that there is one: others than
    `is_available` raise then.
    """
    try:
        import cupy
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            return f"CuPy does not load: {error}"
        return (
            "CuPy is not installed. Install tagi-cli[cuda12] or tagi-cli[cuda13], whichever CUDA "
            "version nvidia-smi shows"
        )
    except OSError as error:
        # It makes this folder when it is imported.
        return (
            f"CuPy does not load: {error}. It keeps kernels in ~/.cupy, or in the folder that the "
            "environment variable CUPY_CACHE_DIR names, which must be writable"
        )
    except ImportError as error:
        return f"CuPy does not load: {' '.join(str(error).split())}"
    if not cupy.cuda.is_available():
        return (
            "no NVIDIA GPU is visible: see nvidia-smi for the driver, and the environment variable "
            "CUDA_VISIBLE_DEVICES"
        )
    return ""


def _cuda_if_there(precision: str) -> Backend | None:
    """A backend on the first GPU; None where there is none, or, with a line, where it fails."""
    if without_gpu():
        return None
    try:
        return _cuda("cuda:0", precision)
    except UserError as error:
        say_once(f"not on the GPU: {error}")
        return None


def _cuda(device: str, precision: str) -> Backend:
    reason = without_gpu()
    if reason:
        raise UserError(f"device: found '{device}', but {reason}. Allowed here: auto, cpu")
    import cupy

    index, count = int(device.partition(":")[2] or 0), cupy.cuda.runtime.getDeviceCount()
    if index >= count:
        there = ", ".join(f"cuda:{i}" for i in range(count))
        raise UserError(
            f"device: found '{device}', but {count} "
            f"{'GPU is' if count == 1 else 'GPUs are'} visible. Allowed: auto, cpu, {there}"
        )
    from tagi_cli.backend.cuda.backend import CudaBackend

    try:
        return CudaBackend(precision, index)
    except (ImportError, RuntimeError, OSError) as error:
        # CUDA's libraries are found when they are first used, and errors of the driver are such.
        raise UserError(
            f"device: found '{device}', but CUDA does not work here: {error}. Allowed here: cpu"
        ) from None
