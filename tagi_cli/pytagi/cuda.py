"""What CUDA devices there are. Networks run on the CPU where there is none."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any


def _runtime() -> Any:
    """CuPy's view of the CUDA runtime, or None where CuPy or a device is missing."""
    try:
        import cupy
    except ImportError:
        return None
    try:
        return cupy.cuda.runtime if cupy.cuda.runtime.getDeviceCount() else None
    except cupy.cuda.runtime.CUDARuntimeError:
        return None


def is_available() -> bool:
    """Whether CuPy is installed and sees a device."""
    return _runtime() is not None


def is_nccl_available() -> bool:
    """Whether CuPy finds NCCL."""
    return is_available() and find_spec("cupy.cuda.nccl") is not None


def get_device_count() -> int:
    """Number of devices."""
    runtime = _runtime()
    return 0 if runtime is None else int(runtime.getDeviceCount())


def get_current_device() -> int:
    """Index of the current device; 0 where there is none."""
    runtime = _runtime()
    return 0 if runtime is None else int(runtime.getDevice())


def set_device(device_index: int) -> bool:
    """Make a device the current one; whether it is there."""
    if not is_device_available(device_index):
        return False
    _runtime().setDevice(device_index)
    return True


def is_device_available(device_index: int) -> bool:
    """Whether there is a device of that index."""
    return 0 <= device_index < get_device_count()


def _checked(device_index: int) -> Any:
    if not is_device_available(device_index):
        raise RuntimeError(f"no CUDA device {device_index}: {get_device_count()} are available")
    return _runtime()


def get_device_properties(device_index: int) -> str:
    """Name, compute capability and memory of a device, as one line.

    Raises:
        RuntimeError: there is no such device.
    """
    found = _checked(device_index).getDeviceProperties(device_index)
    name = found["name"].decode()
    gibibytes = found["totalGlobalMem"] / 2**30
    return f"{name}, compute capability {found['major']}.{found['minor']}, {gibibytes:.1f} GiB"


def get_device_memory(device_index: int) -> tuple[int, int]:
    """Bytes of memory of a device: total, free.

    Raises:
        RuntimeError: there is no such device.
    """
    _checked(device_index)
    import cupy

    with cupy.cuda.Device(device_index):
        free, total = cupy.cuda.runtime.memGetInfo()
    return int(total), int(free)
