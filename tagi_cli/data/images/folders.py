"""Folders of image files: one folder per class, or images without labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tagi_cli.data.images.arrays import PARTS
from tagi_cli.data.images.decoding import SUFFIXES, Size, read_files
from tagi_cli.data.images.image_set import ImageSet, Labels
from tagi_cli.errors import UserError, listing


def is_image(path: Path) -> bool:
    """Whether a file's name is that of an image."""
    return path.suffix.lower() in SUFFIXES and path.is_file()


def read_folder(
    path: Path, size: Size | None = None, channels: int | None = None
) -> dict[str, ImageSet]:
    """The images below a folder by part.

    Folders `train`, `valid` and `test` (or as in `arrays.PARTS`) are parts, and a single one of
    these without `train` is taken for it; any other folder is a class, and its name the label of
    all images below it. Images that lie in no such folder have no label. What begins with a dot is
    no image of the user's.

    Args:
        path: the folder, or one image.
        size: height and width to which images are resized; None wants them all of one size.
        channels: 1 for grey, 3 for red, green and blue; None takes grey where all images are.

    Raises:
        UserError: no images, or of several sizes; files that are damaged; Pillow is missing; parts
            without `train`.
    """
    if path.is_file():
        return {"train": _read(path.parent, [path], None, size, channels)}
    found: dict[str, ImageSet] = {}
    for part, folder in _parts(path).items():
        found[part] = _part(folder, size, channels)
        channels = found[part].shape[0]
    return found


def _parts(path: Path) -> dict[str, Path]:
    """The folder of each part, that of training first."""
    folders = [entry for entry in _shown(path) if entry.is_dir()]
    named = [folder for folder in folders if folder.name.lower() in PARTS]
    parts = {PARTS[folder.name.lower()]: folder for folder in named}
    if len(parts) < len(named):
        names = listing(folder.name for folder in named)
        raise UserError(f"{path}: of the folders {names} two are the same part")
    if "train" in parts:
        return {part: parts[part] for part in ("train", "valid", "test") if part in parts}
    if not parts:
        return {"train": path}
    if len(parts) == 1 and not any(_images_below(one) for one in folders if one not in named):
        return {"train": named[0]}
    names = listing(f"'{folder.name}'" for folder in named)
    raise UserError(
        f"{path}: {names} {'is a part' if len(named) == 1 else 'are parts'} of the images, and "
        "there is no folder 'train'. Allowed: train, valid and test with a folder per class in "
        "each, or a folder per class"
    )


def _shown(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))


def below(path: Path) -> list[Path]:
    """What is below a folder at any depth, in order, without what begins with a dot."""
    return sorted(
        entry
        for entry in path.rglob("*")
        if not any(name.startswith(".") for name in entry.relative_to(path).parts)
    )


def _images_below(path: Path) -> list[Path]:
    return [file for file in below(path) if is_image(file)]


def _part(path: Path, size: Size | None, channels: int | None) -> ImageSet:
    classes = [entry for entry in _shown(path) if entry.is_dir()]
    loose = [entry for entry in _shown(path) if is_image(entry)]
    groups = [_images_below(one) for one in classes]
    if loose and any(groups):
        raise UserError(
            f"{path}: images beside folders of images, {loose[0].name} for one, have no label. "
            "Allowed: one folder per class, or no folders"
        )
    files = loose or [file for group in groups for file in group]
    if not files:
        raise UserError(
            f"{path}: no images in it. Allowed: IDX files, CIFAR batches, or one folder per class "
            f"of images ({listing(SUFFIXES, 12)})"
        )
    labels = None
    if not loose:
        kept = [(one.name, group) for one, group in zip(classes, groups, strict=True) if group]
        names = tuple(name for name, _ in kept)
        codes = np.repeat(np.arange(len(kept)), [len(group) for _, group in kept])
        labels = Labels(codes, names, str(path))
    return _read(path, files, labels, size, channels)


def _read(
    path: Path,
    files: Sequence[Path],
    labels: Labels | None,
    size: Size | None,
    channels: int | None,
) -> ImageSet:
    pixels = read_files(files, size, channels)
    names = tuple(file.relative_to(path).as_posix() for file in files)
    return ImageSet(str(path), pixels, True, labels, names)
