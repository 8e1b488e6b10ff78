"""IDX files, as MNIST and its relatives come: a magic number, sizes, bytes."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.compression import refuse_bomb
from tagi_cli.errors import UserError

# Code of the element type in the third byte; all numbers are big-endian.
_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_AXES = 4


def is_idx(path: Path) -> bool:
    """Whether a file begins like an IDX file, compressed or not."""
    try:
        head = _head(path, 4)
    except (OSError, EOFError, zlib.error):
        return False
    return len(head) == 4 and head[:2] == b"\0\0" and head[2] in _TYPES and 0 < head[3] <= 4


def read_idx(path: Path) -> NDArray[Any]:
    """The array of an IDX file: mapped from a plain file, in memory from a compressed one.

    Raises:
        UserError: another magic number, or a file of another size than it says.
    """
    try:
        head = _head(path, 4 + 4 * _MOST_AXES)
        if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _TYPES or not 0 < head[3] <= 4:
            raise UserError(
                f"{path}: the magic number is {head[:4].hex(' ') or 'missing'}, which is no IDX "
                "file's. Allowed: 00 00, a type (08 for bytes), and 1 to 4 axes"
            )
        axes = head[3]
        if len(head) < 4 + 4 * axes:
            raise UserError(f"{path}: the file ends within its header; it is truncated")
        shape = struct.unpack(f">{axes}I", head[4 : 4 + 4 * axes])
        dtype, offset = np.dtype(_TYPES[head[2]]), 4 + 4 * axes
        needed = math.prod(shape) * dtype.itemsize
        if _is_gzip(path):
            return _unpacked(path, offset, needed).view(dtype).reshape(shape)
        found = path.stat().st_size - offset
        _check_size(path, shape, needed, found, exactly=True)
        if not needed:
            return np.zeros(shape, dtype)
        return np.memmap(path, dtype, "r", offset, shape)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: the file cannot be read ({error}); it may be truncated") from None


def _unpacked(path: Path, offset: int, needed: int) -> NDArray[np.uint8]:
    """The bytes behind the header; no more is taken than the header says."""
    pieces, left = [], needed
    with gzip.open(path) as stream:
        stream.read(offset)
        while left:
            # In pieces: a header that lies about gigabytes must not reserve them.
            piece = stream.read(min(left, 1 << 20))
            if not piece:
                break
            pieces.append(np.frombuffer(piece, np.uint8))
            left -= len(piece)
            refuse_bomb(path, needed - left)
        rest = len(stream.read(1))
    _check_size(path, None, needed, needed - left + rest, exactly=True)
    return np.concatenate(pieces) if pieces else np.zeros(0, np.uint8)


def _check_size(
    path: Path, shape: tuple[int, ...] | None, needed: int, found: int, *, exactly: bool
) -> None:
    if found < needed:
        raise UserError(
            f"{path}: {found} bytes behind the header, which announces {needed}"
            f"{f' for {shape}' if shape else ''}; the file is truncated"
        )
    if exactly and found > needed:
        raise UserError(
            f"{path}: more than the {needed} bytes that the header announces; the file is damaged"
        )


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _head(path: Path, count: int) -> bytes:
    if _is_gzip(path):
        with gzip.open(path) as stream:
            return stream.read(count)
    with path.open("rb") as stream:
        return stream.read(count)
