"""Checkpoints as a folder of CSV files that people and other programs can read, without loss.

`checkpoint.json` holds the metadata, and dtype and shape of each tensor; `<tensor>.csv` its values,
one line per index of all axes but the last, with so many significant digits (9 for float32, 17 for
float64) that the same bits come back.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli import atomic
from tagi_cli.errors import UserError
from tagi_cli.training.interface import Tensors

INDEX = "checkpoint.json"

_DIGITS = {np.dtype(np.float32): 9, np.dtype(np.float64): 17}


def write(folder: Path, tensors: Mapping[str, NDArray[Any]], header: Mapping[str, Any]) -> None:
    """Write the folder beside its place and move it there; one of an earlier time is replaced.

    Raises:
        UserError: it cannot be written, or something else is at `folder`.
    """
    if folder.exists() and not (folder / INDEX).is_file():
        raise UserError(f"{folder}: is there already and is no CSV checkpoint; name another folder")
    token = secrets.token_hex(4)
    beside = folder.with_name(f".{folder.name}.{token}.part")
    replaced = folder.with_name(f".{folder.name}.{token}.old")
    try:
        beside.mkdir(parents=True)
        shapes = {n: {"dtype": a.dtype.name, "shape": a.shape} for n, a in tensors.items()}
        with _flushed(beside / INDEX) as file:
            file.write(json.dumps({**header, "tensors": shapes}, indent=2).encode())
        for name, array in tensors.items():
            with _flushed(beside / f"{name}.csv") as file:
                np.savetxt(file, _as_table(array), fmt=_number_format(array.dtype), delimiter=",")
        if folder.exists():
            folder.rename(replaced)
        beside.rename(folder)
    except OSError as error:
        raise atomic.cannot_write(folder, error) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


def read(folder: Path) -> tuple[Tensors, dict[str, Any]]:
    """Tensors and header of a folder that `write` made.

    Raises:
        UserError: not such a folder, a file is missing, or has a wrong number of values or text
            among them.
    """
    try:
        header = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        shapes = {name: _form(entry) for name, entry in header.pop("tensors").items()}
    except FileNotFoundError:
        raise UserError(f"{folder}: is no CSV checkpoint, it has no {INDEX}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{folder / INDEX}: cannot be read ({error})") from None
    return {name: _read_array(folder / f"{name}.csv", *shapes[name]) for name in shapes}, header


def _form(entry: Any) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Type and shape of a tensor."""
    dtype, shape = np.dtype(str(entry["dtype"])), tuple(entry["shape"])
    if dtype.kind not in "fiub" or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"no tensor is {list(shape)} of {dtype}")
    return dtype, shape


@contextmanager
def _flushed(path: Path) -> Iterator[IO[bytes]]:
    with path.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _read_array(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    parsed = np.float64 if dtype.kind == "f" else np.int64
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*input contained no data")
            table = np.loadtxt(path, dtype=parsed, delimiter=",", comments=None, ndmin=2)
    except FileNotFoundError:
        raise UserError(f"{path}: is missing; {INDEX} lists it") from None
    except (OSError, ValueError) as error:
        found = re.search(r"string (.*) to \w+ at row (\d+), column (\d+)", str(error))
        if found is None:
            raise UserError(f"{path}: cannot be read ({error})") from None
        text, row, column = found.groups()
        raise UserError(
            f"{path}: row {int(row) + 1}, column {column}: {text} is not a number"
        ) from None
    size = math.prod(shape)
    if table.size != size:
        raise UserError(f"{path}: has {table.size} values, shape {list(shape)} needs {size}")
    # float64 in between does no harm: 9 digits lie nowhere near the middle of two float32 numbers.
    with np.errstate(over="ignore"):
        values = table.astype(dtype)
    if not np.array_equal(np.isinf(values), np.isinf(table)):
        raise UserError(f"{path}: holds a number beyond {dtype}")
    return values.reshape(shape)


def _as_table(array: NDArray[Any]) -> NDArray[Any]:
    return array.reshape(-1, max(array.shape[-1], 1) if array.ndim > 1 else 1)


def _number_format(dtype: np.dtype[Any]) -> str:
    return f"%.{_DIGITS[dtype]}g" if dtype.kind == "f" else "%d"
