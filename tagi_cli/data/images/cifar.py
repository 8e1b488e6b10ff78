"""CIFAR-10 and CIFAR-100 in their binary version: records of one or two labels and 3 x 32 x 32."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tagi_cli.data.images.image_set import ImageSet, Labels
from tagi_cli.errors import UserError

_PIXELS = 3 * 32 * 32

_TEN = ("data_batch_*.bin", "test_batch.bin", 1, 10, "batches.meta.txt")
_HUNDRED = ("train.bin", "test.bin", 2, 100, "fine_label_names.txt")


def is_cifar(path: Path) -> bool:
    """Whether a folder holds one of the two, or a file is a batch of CIFAR-10."""
    if path.is_dir():
        return any(any(path.glob(pattern)) for pattern, *_ in (_TEN, _HUNDRED))
    name = path.name.lower()
    return name.endswith(".bin") and ("batch" in name or name in (_HUNDRED[0], _HUNDRED[1]))


def is_pickled(path: Path) -> bool:
    """Whether a folder, or a file of it, is the version for Python of one of the two."""
    folder = path if path.is_dir() else path.parent
    files = ("data_batch_1", "batches.meta"), ("train", "meta")
    return any(all((folder / name).is_file() for name in pair) for pair in files)


def read_cifar(path: Path) -> dict[str, ImageSet]:
    """The images of a folder by part, or those of one batch; of CIFAR-100 with the fine labels.

    Raises:
        UserError: a file is no whole number of records, or a label out of range.
    """
    if not path.is_dir():
        name = path.name.lower()
        hundred = name in (_HUNDRED[0], _HUNDRED[1])
        *_, labels, classes, names = _HUNDRED if hundred else _TEN
        return {"train": _read([path], labels, classes, path.parent / names)}
    ten = any(path.glob(_TEN[0]))
    train, test, labels, classes, names = _TEN if ten else _HUNDRED
    files = sorted(path.glob(train))
    if ten and len(files) < 5:
        missing = {f"data_batch_{k}.bin" for k in range(1, 6)} - {file.name for file in files}
        raise UserError(f"{path}: of the five training batches, {', '.join(sorted(missing))} miss")
    found = {"train": _read(files, labels, classes, path / names)}
    if (path / test).is_file():
        found["test"] = _read([path / test], labels, classes, path / names)
    return found


def _read(files: list[Path], labels: int, classes: int, names_at: Path) -> ImageSet:
    record = labels + _PIXELS
    counts = []
    for file in files:
        size = file.stat().st_size
        if size == 0 or size % record:
            raise UserError(
                f"{file}: {size} bytes are no whole number of records of {record} bytes ({labels} "
                f"label{'s' * (labels > 1)} and 3 x 32 x 32 pixels); the file is truncated"
            )
        counts.append(size // record)
    pixels = np.empty((sum(counts), _PIXELS), np.uint8)
    codes = np.empty(sum(counts), np.int64)
    begin = 0
    for file, count in zip(files, counts, strict=True):
        try:
            records = np.fromfile(file, np.uint8, count * record).reshape(count, record)
        except (OSError, ValueError) as error:
            raise UserError(f"{file}: cannot be read ({error})") from None
        rows = slice(begin, begin + count)
        # Of two labels the second is the fine one.
        codes[rows] = records[:, labels - 1]
        pixels[rows] = records[:, labels:]
        wrong = np.flatnonzero(codes[rows] >= classes)
        if len(wrong):
            raise UserError(
                f"{file}, record {wrong[0]} (from 0): label {codes[rows][wrong[0]]} is out of "
                f"range. Allowed: 0 to {classes - 1}"
            )
        begin += count
    folder = files[0].parent if len(files) > 1 else files[0]
    names = _names(names_at, classes)
    found = Labels(codes, names, str(folder), ordered=True)
    return ImageSet(str(folder), pixels.reshape(-1, 3, 32, 32), False, found)


def _names(path: Path, classes: int) -> tuple[str, ...]:
    """The names of the classes, where the file that lists them is there; else their numbers."""
    try:
        names = tuple(path.read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError):
        names = ()
    whole = len(names) == classes and len(set(names)) == classes
    return names if whole else tuple(str(k) for k in range(classes))
