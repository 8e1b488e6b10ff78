"""Memory of the GPU that `fake_cupy` plays: arrays, addresses, and what a stream has yet to do."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

CAPTURED: list[list[Callable[[], None]]] = []
PENDING: list[Callable[[], Any]] = []
LIVE: dict[int, int] = {}


def submit(work: Callable[[], None]) -> None:
    """Run what would go to the stream, or note it where a graph is captured."""
    if CAPTURED:
        CAPTURED[-1].append(work)
    else:
        flush()
        work()


def flush() -> None:
    """Make the copies that nobody has waited for yet."""
    while PENDING:
        PENDING.pop(0)()


def not_while_capturing(what: str) -> None:
    if CAPTURED:
        raise RuntimeError(f"cudaErrorStreamCaptureUnsupported: {what}")
    flush()


class Pool:
    """What an array knows of the pool that its memory is from."""

    def __init__(self, pool: Any, nbytes: int) -> None:
        self.pool = weakref.ref(pool)
        self._nbytes = nbytes

    def give_back(self) -> None:
        pool = self.pool()
        if pool is not None:
            pool.give_back(self._nbytes)


class Data:
    """`ndarray.data`: an address on the device."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self._array = array
        self.ptr = array.ctypes.data

    def copy_from_host_async(self, address: int, nbytes: int) -> None:
        assert not CAPTURED
        assert type(address) is int
        assert nbytes == self._array.nbytes
        assert self._array.flags.c_contiguous
        PENDING.append(lambda: ctypes.memmove(self.ptr, address, nbytes))


class DeviceArray:
    """`cupy.ndarray`: memory that NumPy cannot see."""

    __array_ufunc__ = None

    def __init__(
        self,
        array: np.ndarray[Any, Any],
        base: DeviceArray | None = None,
        pool: Pool | None = None,
    ) -> None:
        self._host = array
        self._pool = pool if base is None else base._pool
        self.base = base
        self.shape, self.dtype, self.size = array.shape, array.dtype, array.size
        self.ndim, self.nbytes, self.flags = array.ndim, array.nbytes, array.flags
        self.strides, self.itemsize = array.strides, array.itemsize
        if base is None:
            LIVE[array.ctypes.data] = array.nbytes
            weakref.finalize(self, LIVE.pop, array.ctypes.data, None)
            if pool is not None:
                weakref.finalize(self, pool.give_back)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("implicit conversion to a NumPy array is not allowed")

    @property
    def host(self) -> np.ndarray[Any, Any]:
        """What is in its memory."""
        assert self._pool is None or self._pool.pool() is not None, "its pool is gone, and it, too"
        return self._host

    @property
    def ptr(self) -> int:
        return int(self.host.ctypes.data)

    @property
    def data(self) -> Data:
        return Data(self.host)

    def __len__(self) -> int:
        return len(self.host)

    def _view(self, array: Any) -> DeviceArray:
        return DeviceArray(np.asarray(array), self)

    def reshape(self, *shape: Any) -> DeviceArray:
        view = self.host.reshape(*shape)
        assert not self.size or np.shares_memory(view, self.host), "a copy, not a view"
        return self._view(view)

    def ravel(self) -> DeviceArray:
        return self.reshape(-1)

    def __getitem__(self, key: Any) -> DeviceArray:
        return self._view(self.host[key])

    def __setitem__(self, key: Any, value: Any) -> None:
        not_while_capturing("assignment")
        if isinstance(value, np.ndarray) and value.ndim:
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")
        self.host[key] = value.host if isinstance(value, DeviceArray) else value

    def fill(self, value: Any) -> None:
        self[...] = value

    def get(self) -> np.ndarray[Any, Any]:
        not_while_capturing("copy to the host")
        return self.host.copy()

    def set(self, array: Any) -> None:
        not_while_capturing("copy from the host")
        if not isinstance(array, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if array.dtype != self.dtype:
            raise TypeError(f"{array.dtype} array cannot be set to {self.dtype} array")
        if array.shape != self.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {array.shape}")
        self.host[...] = array

    def astype(self, dtype: Any) -> DeviceArray:
        return DeviceArray(self.host.astype(dtype))

    def _reduce(self, name: str) -> DeviceArray:
        return DeviceArray(np.asarray(getattr(self.host, name)()))

    def mean(self) -> DeviceArray:
        return self._reduce("mean")

    def sum(self) -> DeviceArray:
        return self._reduce("sum")

    def all(self) -> DeviceArray:
        return self._reduce("all")

    def _with(self, other: Any, operation: str) -> DeviceArray:
        if isinstance(other, np.ndarray) and other.ndim:
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")
        value = other.host if isinstance(other, DeviceArray) else other
        return DeviceArray(np.asarray(getattr(self.host, operation)(value)))

    def __and__(self, other: Any) -> DeviceArray:
        return self._with(other, "__and__")

    def __lt__(self, other: Any) -> DeviceArray:
        return self._with(other, "__lt__")

    def __ge__(self, other: Any) -> DeviceArray:
        return self._with(other, "__ge__")

    def __mul__(self, other: Any) -> DeviceArray:
        return self._with(other, "__mul__")

    def __itruediv__(self, other: Any) -> DeviceArray:
        not_while_capturing("division")
        host = self.host
        host /= other
        return self

    def __invert__(self) -> DeviceArray:
        return DeviceArray(~self.host)

    def __float__(self) -> float:
        return float(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __bool__(self) -> bool:
        return bool(self.get())
