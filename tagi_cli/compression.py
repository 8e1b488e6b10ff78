"""Compressed files: what they unpack to stays in proportion to what they are."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

from tagi_cli.errors import UserError

ALWAYS, RATIO = 1 << 26, 200
"""Bytes that a file may unpack to in any case, and how many times its own."""


def refuse_bomb(
    path: Path, size: int, instead: str = "unpack it beforehand if it is what you want"
) -> None:
    """Make sure that a compressed file does not unpack to far more than it is.

    Tables and images compress tenfold or so; 64 MiB are let pass in any case.

    Args:
        path: the file.
        size: bytes that it unpacks to, as far as is known.
        instead: what the user may do.

    Raises:
        UserError: `size` is more than 200 times that of the file, and more than 64 MiB.
    """
    packed = path.stat().st_size
    if size > max(ALWAYS, RATIO * packed):
        raise UserError(
            f"{path}: {packed} bytes that unpack to {size} or more. Allowed: at most {RATIO} "
            f"times the file; {instead}"
        )


def open_gzip(path: Path) -> io.BufferedReader:
    """The unpacked bytes of a gzip file; reading them raises as `gzip` and `refuse_bomb` do."""
    return io.BufferedReader(_Unpacked(path))


class _Unpacked(io.RawIOBase):
    """Bytes of a gzip file, which are counted."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._stream = gzip.GzipFile(path)
        self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        found = self._stream.read1(len(buffer))
        self._size += len(found)
        refuse_bomb(self._path, self._size)
        buffer[: len(found)] = found
        return len(found)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()
