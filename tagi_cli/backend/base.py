"""What every backend offers: arrays of one precision, and calls bound into segments."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tagi_cli.errors import UserError

MOST = 2**31 - 2**24
"""Elements of an array that kernels index one by one. They count in 32 bits, and threads of a GPU
look for work as far beyond the end as there are threads."""

Array = np.ndarray[Any, Any]
"""An array of the backend's device: `numpy.ndarray`, or `cupy.ndarray` with the same interface."""


def countable(elements: int, what: str) -> int:
    """The number of elements of an array, which kernels can count.

    Args:
        elements: how many there are.
        what: what they are the elements of, for the message.

    Raises:
        UserError: there are more than `MOST`.
    """
    if elements > MOST:
        raise UserError(f"{what}: found {elements:,}. Allowed: at most {MOST:,}")
    return elements


def host_copy(array: Array) -> np.ndarray[Any, Any]:
    """A copy of an array of any backend as a NumPy array."""
    copied: np.ndarray[Any, Any] = np.array(array) if isinstance(array, np.ndarray) else array.get()
    return copied


def overwrite(array: Array, data: Any) -> None:
    """Copy host data of the right size into an array of any backend, of any shape."""
    values = np.ascontiguousarray(data, array.dtype).reshape(array.shape)
    if isinstance(array, np.ndarray):
        array[...] = values
    else:
        array.set(values)


class Call(NamedTuple):
    """One kernel call: the kernel's name and its arguments in the kernel's order.

    Arguments are contiguous arrays of the backend, None for an absent array, or NumPy scalars. The
    scalars are constant for the life of the segment; what changes lives in one-element arrays.

    Attributes:
        layer: the layer that asked for it, by its name in the network, as parameters carry it;
            empty for what no layer asked for.
    """

    kernel: str
    arguments: tuple[Any, ...]
    layer: str = ""


class Segment(ABC):
    """Calls bound to their arguments, ready to run any number of times.

    Attributes:
        once: runs all calls in order, once: `run()` with the least overhead there is.
    """

    once: Callable[[], None]

    @abstractmethod
    def run(self, times: int = 1) -> None:
        """Run all calls in order, `times` times over."""


class Backend(ABC):
    """One way of running kernels, in one precision.

    Attributes:
        name: `numpy`, `host` (compiled C++) or `cuda`.
        dtype: element type of all moments, `float32` or `float64`.
    """

    name: str

    def __init__(self, precision: str = "float32") -> None:
        self.dtype: np.dtype[Any] = np.dtype(precision)

    @property
    def xp(self) -> Any:
        """The array module: `numpy` or `cupy`."""
        return np

    def empty(self, shape: Sequence[int], dtype: Any = None) -> Array:
        """An uninitialised array on the device, of the backend's precision by default."""
        return self.xp.empty(tuple(shape), dtype or self.dtype)  # type: ignore[no-any-return]

    def zeros(self, shape: Sequence[int], dtype: Any = None) -> Array:
        """A zeroed array on the device, of the backend's precision by default."""
        return self.xp.zeros(tuple(shape), dtype or self.dtype)  # type: ignore[no-any-return]

    def asarray(self, array: Any, dtype: Any = None) -> Array:
        """A contiguous copy of host data on the device, of the backend's precision by default.

        What is beyond that becomes infinite, and is told of where moments are checked.
        """
        with np.errstate(over="ignore"):
            return self.xp.array(array, dtype=dtype or self.dtype, order="C")  # type: ignore[no-any-return]

    def resident(self, array: Any) -> Array:
        """Host data on the device, contiguous and of the backend's precision, only to be read.

        Where the data are all that already, they are not copied.
        """
        return self.xp.ascontiguousarray(array, dtype=self.dtype)  # type: ignore[no-any-return]

    def to_host(self, array: Array) -> np.ndarray[Any, Any]:
        """A copy of a device array as a NumPy array."""
        return np.array(array)

    def write(self, array: Array, data: Any) -> None:
        """Copy host data of the right size into a device array of any shape."""
        array[...] = self.xp.asarray(data).reshape(array.shape)

    def wait(self) -> None:  # noqa: B027 (what runs in this thread is done at once)
        """Return once the device has done all that it was asked to."""

    @abstractmethod
    def bind(self, calls: Sequence[Call]) -> Segment:
        """Make a segment of calls; the arrays must outlive it."""

    @abstractmethod
    def describe(self) -> str:
        """One line for people: which path runs, and with what."""
