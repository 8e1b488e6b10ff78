"""Images to train on: bytes that a step finds on its device, or that pass by it in order."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from tagi_cli.backend import Array, Backend
from tagi_cli.nn import Plan
from tagi_cli.training.interface import ImageArray, Indices

Host = np.ndarray[Any, Any]

# Bytes of images that a device other than the host's keeps as a whole.
_RESIDENT = 1 << 32
# Bytes that are brought to a device at a time where it does not.
_STAGE = 1 << 26
# Threads that read ahead: what they wait for are pages of a file.
_READERS = 4


class Pixels:
    """The bytes of images where steps find them.

    Images in memory are used where they are, or are copied to the device as a whole. Those of a
    mapped file, and too many for the device, pass by in the order of the epoch: while steps work
    on some of them, threads read the next ones.

    Args:
        backend: where steps run.
        images: which of them are to be learnt.

    Attributes:
        array: the bytes, as the kernel `gather_images` takes them.
        starts: `(n,)` where each image is; None where they lie in the order of the epoch.
    """

    def __init__(self, backend: Backend, images: ImageArray) -> None:
        self._backend = backend
        self._source = np.asarray(images.pixels)
        self._rows = images.rows
        self._ahead: tuple[Indices, list[Future[Host]]] | None = None
        self._readers: ThreadPoolExecutor | None = None
        mapped = isinstance(images.pixels, np.memmap)
        on_host = isinstance(backend.empty((1,)), np.ndarray)
        self.array: Array
        self.starts: Array | None = None
        if mapped or (self._source.nbytes > _RESIDENT and not on_host):
            image = self._source.shape[1:]
            self._capacity = max(1, _STAGE // max(int(np.prod(image)), 1))
            self._readers = ThreadPoolExecutor(_READERS, "images")
            self.array = backend.empty((min(self._capacity, len(self._rows)), *image), np.uint8)
            return
        self.starts = backend.asarray(self._rows, np.int32)
        self.array = self._source if on_host else backend.asarray(self._source, np.uint8)

    @property
    def most(self) -> int | None:
        """How many images can be loaded at a time; None for all."""
        return None if self._readers is None else len(self.array)

    def load(self, order: Host, ahead: Host) -> None:
        """Make images of these numbers `(m,)` the ones to come, and begin to read those `ahead`."""
        if self._readers is None:
            return
        wanted = self._rows[order]
        known, pieces = self._ahead or (wanted[:0], [])
        read = [piece.result() for piece in pieces]
        done = 0
        if len(known) and np.array_equal(known[: len(wanted)], wanted[: len(known)]):
            done = min(len(known), len(wanted))
        else:
            read = []
        read += [piece.result() for piece in self._read(wanted[done:])]
        begin = 0
        for piece in read:
            end = min(begin + len(piece), len(wanted))
            self._backend.write(self.array[begin:end], piece[: end - begin])
            begin = end
        following = self._rows[ahead[: self._capacity]]
        self._ahead = following, self._read(following)

    def _read(self, rows: Indices) -> list[Future[Host]]:
        """Copies of these images, piece by piece, as they will be once they are read."""
        assert self._readers is not None
        step = max(1, -(-len(rows) // _READERS))
        return [
            self._readers.submit(_copied, self._source, rows[begin : begin + step])
            for begin in range(0, len(rows), step)
        ]


class ImageRows:
    """Inputs or targets that are images, scaled and varied on their way to a step.

    Args:
        backend: where steps run.
        images: which.
        pixels: their bytes.
        draws: seed and number of the epoch, `(2,)`, for what is drawn.
    """

    def __init__(self, backend: Backend, images: ImageArray, pixels: Pixels, draws: Array) -> None:
        self._pixels, self._draws = pixels, draws
        self._scalers = backend.asarray(images.center), backend.asarray(images.scale)
        C, H, W = images.whole
        varied = images.variation
        self._options = (
            int(images.center.ndim > 1), int(images.interleaved), varied.shift, int(varied.flip),
            int(varied.crop), H, W, *images.size,
        )  # fmt: skip
        self._channels = C

    def emit(self, plan: Plan, out: Array, order: Array, cursor: Array) -> None:
        """Emit the call that fills `out` with the next images."""
        pixels = self._pixels
        plan.call(
            "gather_images", out, pixels.array, pixels.starts, order, cursor, self._draws,
            *self._scalers, *self._options, plan.batch, self._channels,
        )  # fmt: skip


def _copied(source: Host, rows: Indices) -> Host:
    return source[rows]
