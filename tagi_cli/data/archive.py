"""NPZ archives: named arrays, of which no header is believed that the file cannot keep."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.compression import refuse_bomb
from tagi_cli.errors import UserError

DAMAGE = (
    zipfile.BadZipFile, zlib.error, ValueError, EOFError, KeyError, NotImplementedError,
    SyntaxError, RuntimeError, MemoryError, OverflowError, TypeError, tokenize.TokenError,
)  # fmt: skip
"""What damaged archives and headers make NumPy and zipfile raise."""

# The most that a byte can stand for, by the method of compression; NumPy writes these two.
_EXPANSION = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1032}

_MAGIC = b"\x93NUMPY"


def shapes(path: Path) -> list[tuple[int, ...]]:
    """The shapes that the arrays of an archive say they have; what damage raises is let through."""
    with zipfile.ZipFile(path) as archive:
        found = []
        for info in archive.infolist():
            with archive.open(info) as stream:
                found.append(_header(stream)[0])
        return found


def read_archive(path: Path, source: str) -> dict[str, NDArray[Any]]:
    """The arrays of an NPZ archive by name, in its order.

    Args:
        path: the file.
        source: its name in messages.

    Raises:
        UserError: damaged, something else than named arrays, or one that unpacks to far more than
            the file is.
    """
    try:
        with path.open("rb") as stream:
            if stream.read(len(_MAGIC)) == _MAGIC:
                raise UserError(f"{source}: one array, not an NPZ archive of named arrays")
        with zipfile.ZipFile(path) as archive:
            found: dict[str, NDArray[Any]] = {}
            for name, array in _arrays(archive, path, source):
                if name in found:
                    raise UserError(f"{source}: two arrays are called '{name}'")
                found[name] = array
            return found
    except (OSError, *DAMAGE) as error:
        raise UserError(f"{source}: not a readable NPZ file ({first_line(error)})") from None


def _arrays(
    archive: zipfile.ZipFile, path: Path, source: str
) -> Iterator[tuple[str, NDArray[Any]]]:
    members = archive.infolist()
    for info in members:
        if info.file_size > info.compress_size * _EXPANSION.get(info.compress_type, 0):
            raise ValueError(f"'{info.filename}' is not packed as NumPy does")
    if sum(info.compress_size for info in members) > path.stat().st_size:
        raise ValueError("its arrays overlap")
    refuse_bomb(path, sum(info.file_size for info in members))
    for info in members:
        with archive.open(info) as stream:
            shape, dtype = _header(stream)
            size = info.file_size - stream.tell()
        if math.prod(shape) * dtype.itemsize != size:
            raise UserError(
                f"{source}: array '{info.filename}' is {size} bytes long, and its header announces "
                f"{shape} of {dtype}; the file is truncated or damaged"
            )
        with archive.open(info) as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
        yield info.filename.removesuffix(".npy"), array


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type that an array's header says."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be read, as they may hold code")
    if not dtype.itemsize:
        raise ValueError(f"an array of {dtype}, whose elements have no size")
    return shape, dtype


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return next(iter(str(error).splitlines()), type(error).__name__)
