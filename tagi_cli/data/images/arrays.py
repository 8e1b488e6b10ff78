"""NPZ archives and NPY files that hold images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data import archive
from tagi_cli.data.images.image_set import ImageSet, Labels, of_array
from tagi_cli.errors import UserError, listing

IMAGES, LABELS = ("x", "images", "image", "data"), ("y", "labels", "label", "target")
"""Names of arrays, also with the part behind them: `x_train`, `y_test`."""

PARTS = {
    "train": "train", "training": "train", "valid": "valid", "val": "valid", "validation": "valid",
    "test": "test", "testing": "test",
}  # fmt: skip
"""Parts by what they are called."""


def holds_images(path: Path) -> bool:
    """Whether an NPZ archive or NPY file has an array of three axes or more."""
    try:
        if path.suffix.lower() == ".npy":
            return len(_map(path).shape) >= 3
        return any(len(shape) >= 3 for shape in archive.shapes(path))
    except (OSError, *archive.DAMAGE):
        return False


def read_npy(path: Path) -> NDArray[Any]:
    """The array of an NPY file, mapped.

    Raises:
        UserError: damaged, or of another size than it says.
    """
    try:
        return _map(path)
    except (OSError, *archive.DAMAGE) as error:
        raise UserError(f"{path}: not a readable NPY file ({archive.first_line(error)})") from None


def read_npz(path: Path) -> dict[str, ImageSet]:
    """The images of an NPZ archive by part; where they are not divided, all are `train`.

    Raises:
        UserError: damaged, no images, or labels that do not fit them.
    """
    arrays = archive.read_archive(path, str(path))
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


def _map(path: Path) -> NDArray[Any]:
    with path.open("rb") as stream:
        if np.lib.format.read_magic(stream) > (3, 0):
            raise ValueError("unknown version")
    mapped: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return mapped
