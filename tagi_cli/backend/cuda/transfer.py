"""Copies from the host to the GPU that neither side waits for."""

from __future__ import annotations

from typing import Any

import numpy as np

from tagi_cli.backend.base import Array

_SLOTS = 4
_LARGEST = 1 << 25


class Staging:
    """Page-locked buffers that data pass through on their way to the GPU.

    The data are in a buffer when `send` returns, so that the caller may change them; a buffer is
    used again only when the GPU has read it. Buffers take turns, so that this rarely means waiting.

    Args:
        cupy: the module.
    """

    def __init__(self, cupy: Any) -> None:
        self._cupy = cupy
        self._slots: list[tuple[Any, int, Any]] = []
        self._turn = 0

    def send(self, array: Array, data: Any) -> None:
        """Copy host data of the right size to an array, contiguous and of any shape.

        Raises:
            ValueError: the sizes differ.
        """
        data = np.asarray(data).reshape(array.shape)
        if array.nbytes > _LARGEST:
            # Not worth locking so much memory: the copy itself takes far longer than the wait.
            array.set(np.ascontiguousarray(data, array.dtype))  # type: ignore[attr-defined]
            return
        if not array.nbytes:
            return
        memory, done = self._slot(array.nbytes)
        buffer = np.frombuffer(memory, array.dtype, array.size).reshape(array.shape)
        buffer[...] = data
        array.data.copy_from_host_async(buffer.ctypes.data, array.nbytes)  # type: ignore[attr-defined]
        done.record()

    def _slot(self, nbytes: int) -> tuple[Any, Any]:
        """A buffer that the GPU does not read any more, and the event to record after its use."""
        cuda = self._cupy.cuda
        if len(self._slots) < _SLOTS:
            self._slots.append((None, 0, cuda.Event(disable_timing=True)))
            self._turn = len(self._slots) - 1
        else:
            self._turn = (self._turn + 1) % _SLOTS
        memory, size, done = self._slots[self._turn]
        done.synchronize()
        if size < nbytes:
            memory, size = cuda.alloc_pinned_memory(nbytes), nbytes
            self._slots[self._turn] = (memory, size, done)
        return memory, done
