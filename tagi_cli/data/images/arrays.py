"""NPZ archives and NPY files that hold images."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.images.image_set import ImageSet, Labels, of_array
from tagi_cli.errors import UserError, listing

IMAGES, LABELS = ("x", "images", "image", "data"), ("y", "labels", "label", "target")
"""Names of arrays, also with the part behind them: `x_train`, `y_test`."""

PARTS = {"train": "train", "valid": "valid", "val": "valid", "test": "test"}

# What damaged archives and headers make NumPy and zipfile raise.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, ValueError, EOFError, KeyError, NotImplementedError,
    SyntaxError, RuntimeError, tokenize.TokenError,
)  # fmt: skip


def holds_images(path: Path) -> bool:
    """Whether an NPZ archive or NPY file has an array of three axes or more."""
    try:
        if path.suffix.lower() == ".npy":
            return len(_map(path).shape) >= 3
        with zipfile.ZipFile(path) as archive:
            return any(len(_header(archive, info)[0]) >= 3 for info in archive.infolist())
    except (OSError, *_DAMAGE):
        return False


def read_npy(path: Path) -> NDArray[Any]:
    """The array of an NPY file, mapped.

    Raises:
        UserError: damaged, or of another size than it says.
    """
    try:
        return _map(path)
    except (OSError, *_DAMAGE) as error:
        raise UserError(f"{path}: not a readable NPY file ({_first_line(error)})") from None


def read_npz(path: Path) -> dict[str, ImageSet]:
    """The images of an NPZ archive by part; where they are not divided, all are `train`.

    Raises:
        UserError: damaged, no images, or labels that do not fit them.
    """
    arrays = _load(path)
    found: dict[str, ImageSet] = {}
    for name, array in arrays.items():
        part = _part(name, IMAGES)
        if part is None or array.ndim < 3:
            continue
        if part in found:
            raise UserError(f"{path}: two arrays of {part} images")
        images = of_array(array, str(path), f"array '{name}'")
        labels = None
        for other, values in arrays.items():
            if other != name and values.ndim < 3 and _part(other, LABELS) == part:
                labels = Labels.of(values, f"{path}, array '{other}'")
        found[part] = images.labelled(labels)
    if "train" not in found:
        only = next(iter(found), None)
        if only is not None and len(found) == 1:
            return {"train": found[only]}
        raise UserError(
            f"{path}: no array of training images. Found: {listing(arrays) or 'no array'}. "
            "Allowed: x with the labels y, or x_train, y_train, x_test, y_test"
        )
    return found


def _part(name: str, known: tuple[str, ...]) -> str | None:
    """The part that the name of an array says, `train` without one; None for other arrays."""
    words = name.lower().replace("-", "_").split("_")
    if words[0] in known and len(words) == 1:
        return "train"
    if len(words) == 2:
        for kind, part in (words, words[::-1]):
            if kind in known and part in PARTS:
                return PARTS[part]
    return None


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                shape, dtype, size = _header(archive, info)
                if math.prod(shape) * dtype.itemsize != size:
                    raise UserError(
                        f"{path}: array '{info.filename}' is {size} bytes long, and its header "
                        f"announces {shape} of {dtype}; the file is truncated or damaged"
                    )
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, *_DAMAGE) as error:
        raise UserError(f"{path}: not a readable NPZ file ({_first_line(error)})") from None


def _header(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo
) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Shape and type that an array's header says, and the bytes that there are behind it."""
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
        return shape, dtype, info.file_size - stream.tell()


def _map(path: Path) -> NDArray[Any]:
    with path.open("rb") as stream:
        if np.lib.format.read_magic(stream) > (3, 0):
            raise ValueError("unknown version")
    mapped: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return mapped


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
