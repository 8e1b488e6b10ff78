"""Folders of image files: one folder per class, or images without labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tagi_cli.data.images.arrays import PARTS
from tagi_cli.data.images.image_set import Bytes, ImageSet, Labels, size_words
from tagi_cli.errors import UserError, listing

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp")

Size = tuple[int, int]


def is_image(path: Path) -> bool:
    """Whether a file's name is that of an image."""
    return path.suffix.lower() in SUFFIXES and path.is_file()


def read_folder(
    path: Path, size: Size | None = None, channels: int | None = None
) -> dict[str, ImageSet]:
    """The images below a folder by part.

    Folders `train`, `valid` (or `val`) and `test` are parts; any other folder is a class, and its
    name the label of all images below it. Images that lie in no such folder have no label.

    Args:
        path: the folder, or one image.
        size: height and width to which images are resized; None wants them all of one size.
        channels: 1 for grey, 3 for red, green and blue; None takes grey where all images are.

    Raises:
        UserError: no images, or of several sizes; files that are damaged; Pillow is missing.
    """
    if path.is_file():
        return {"train": _read(path.parent, [path], None, size, channels)}
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir())
    parts = {PARTS[f.name.lower()]: f for f in folders if f.name.lower() in PARTS}
    if "train" not in parts:
        parts = {"train": path}
    found: dict[str, ImageSet] = {}
    for part, folder in parts.items():
        images = _part(folder, size, channels)
        channels = images.shape[0]
        found[part] = images
    return found


def _part(path: Path, size: Size | None, channels: int | None) -> ImageSet:
    classes = sorted(entry for entry in path.iterdir() if entry.is_dir())
    loose = sorted(entry for entry in path.iterdir() if is_image(entry))
    groups = [sorted(file for file in one.rglob("*") if is_image(file)) for one in classes]
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
    try:
        import PIL.Image
    except ImportError:
        raise UserError(
            f"{path}: reading image files needs Pillow; install it with pip install "
            "'tagi-cli[images]'"
        ) from None
    pillow = PIL.Image
    if channels is None:
        channels = 1 if all(_is_grey(pillow, file) for file in files) else 3
    pixels: Bytes | None = None
    for row, file in enumerate(files):
        image = _decoded(pillow, file, size, channels)
        if pixels is None:
            pixels = np.empty((len(files), *image.shape), np.uint8)
        if image.shape != pixels.shape[1:]:
            found, first = image.shape[:2], pixels.shape[1:3]
            raise UserError(
                f"{file}: {size_words(found)} pixels (height x width), and {files[0].name} has "
                f"{size_words(first)}; all must have one size. Set data.image.size to [height, "
                "width] to resize them"
            )
        pixels[row] = image
    assert pixels is not None
    names = tuple(file.relative_to(path).as_posix() for file in files)
    return ImageSet(str(path), pixels, True, labels, names)


def _is_grey(pillow: Any, file: Path) -> bool:
    with _opened(pillow, file) as image:
        return image.mode in ("1", "L", "I", "F") or image.mode.startswith("I;16")


def _decoded(pillow: Any, file: Path, size: Size | None, channels: int) -> Bytes:
    """`(H, W, C)`."""
    with _opened(pillow, file) as image:
        try:
            if image.mode.startswith("I;16") or image.mode == "I":
                # Conversion would cut 16 bits off at 255.
                image = pillow.fromarray((np.asarray(image).astype(np.int64) >> 8).astype(np.uint8))
            image = image.convert("L" if channels == 1 else "RGB")
            if size is not None and image.size != size[::-1]:
                image = image.resize(size[::-1], pillow.Resampling.BILINEAR)
            found: Bytes = np.asarray(image, np.uint8)
        except (OSError, ValueError, SyntaxError) as error:
            raise UserError(f"{file}: the image cannot be read ({error})") from None
    return found.reshape(*found.shape[:2], channels)


def _opened(pillow: Any, file: Path) -> Any:
    try:
        return pillow.open(file)
    except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError) as error:
        raise UserError(f"{file}: not a readable image ({error})") from None
