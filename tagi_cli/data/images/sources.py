"""Which files hold images, and reading them, part by part."""

from __future__ import annotations

from pathlib import Path

from tagi_cli.data.images import arrays, cifar, folders, idx
from tagi_cli.data.images.image_set import ImageSet, Labels, check_alike, of_array
from tagi_cli.errors import UserError, listing
from tagi_cli.paths import user_path

_ARRAYS = (".npz", ".npy")
_WORDS = {"train": ("train",), "test": ("t10k", "test")}


def holds_images(path: str | Path) -> bool:
    """Whether a path is one of images: any folder, and files that begin like images."""
    path = user_path(path)
    if path.is_dir():
        return True
    if not path.is_file():
        return False
    if path.suffix.lower() in _ARRAYS:
        return path.suffix.lower() == ".npy" or arrays.holds_images(path)
    return folders.is_image(path) or cifar.is_cifar(path) or idx.is_idx(path) or _says_idx(path)


def read_parts(
    path: str | Path,
    *,
    labels: str | None = None,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
) -> dict[str, ImageSet]:
    """The images at a path, by part: `train`, and `valid` and `test` where they are told apart.

    Args:
        path: a folder, or a file.
        labels: file of the labels; None looks for it where IDX files have it.
        size: see `folders.read_folder`.
        channels: likewise.

    Raises:
        UserError: nothing there, or nothing of the kind; damaged files; labels that do not fit.
    """
    path = user_path(path)
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    try:
        found = _read(path, size, channels)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    if labels is not None:
        if set(found) != {"train"}:
            raise UserError(
                f"{labels}: labels of their own are for one file of images, and {path} holds "
                "several parts"
            )
        found["train"] = found["train"].labelled(_labels(user_path(labels)))
    first = found["train"]
    for part, images in found.items():
        check_alike(first, images)
        if not len(images):
            raise UserError(f"{images.source}: no image in the {part} part")
    return found


def files_of(path: str | Path) -> list[Path]:
    """The files that count as the source, in order; those that begin with a dot do not."""
    path = user_path(path)
    return [file for file in folders.below(path) if file.is_file()] if path.is_dir() else [path]


def _read(path: Path, size: tuple[int, int] | None, channels: int | None) -> dict[str, ImageSet]:
    if path.is_dir():
        pairs = {part: _idx_file(path, words) for part, words in _WORDS.items()}
        files = {part: file for part, file in pairs.items() if file is not None}
        if "train" in files:
            return {part: _idx(file) for part, file in files.items()}
        if cifar.is_cifar(path):
            return cifar.read_cifar(path)
        if cifar.is_pickled(path):
            raise _pickled(path)
        return folders.read_folder(path, size, channels)
    if folders.is_image(path):
        return folders.read_folder(path, size, channels)
    if path.suffix.lower() == ".npz":
        return arrays.read_npz(path)
    if path.suffix.lower() == ".npy":
        return {"train": of_array(arrays.read_npy(path), str(path))}
    if cifar.is_cifar(path):
        return cifar.read_cifar(path)
    if idx.is_idx(path) or _says_idx(path):
        return {"train": _idx(path)}
    if cifar.is_pickled(path):
        raise _pickled(path)
    raise UserError(
        f"{path}: holds no images. Allowed: a folder, an image, an IDX, NPZ or NPY file, a batch "
        "of CIFAR"
    )


def _pickled(path: Path) -> UserError:
    return UserError(
        f"{path}: CIFAR in its version for Python, whose files may hold code. Allowed: the binary "
        "version, such as cifar-10-binary.tar.gz, unpacked"
    )


def _says_idx(path: Path) -> bool:
    """Whether a file is called as IDX files are, so that a damaged one is not read as a table."""
    return "-idx" in path.name or ".idx" in path.name or path.name.endswith(("ubyte", "ubyte.gz"))


def _idx_file(folder: Path, words: tuple[str, ...]) -> Path | None:
    """The images of a part, such as `train-images-idx3-ubyte`, plain rather than compressed.

    Raises:
        UserError: there are several.
    """
    found = {
        file.name.removesuffix(".gz"): file
        for file in sorted(folder.iterdir(), reverse=True)
        if file.is_file()
        and not file.name.startswith(".")
        and _says_idx(file)
        and "images" in file.name
        and any(word in file.name for word in words)
    }
    if len(found) > 1:
        raise UserError(
            f"{folder}: {listing(sorted(found))} all hold images. Set data.path to the one of the "
            "training images, and data.image.test to that of the test images"
        )
    return next(iter(found.values()), None)


def _idx(path: Path) -> ImageSet:
    images = of_array(idx.read_idx(path), str(path))
    beside = _labels_beside(path)
    return images if beside is None else images.labelled(_labels(beside))


def _labels_beside(path: Path) -> Path | None:
    """The labels of a file of images by its name: `labels` and `idx1` for `images` and `idx3`."""
    if "images" not in path.name:
        return None
    name = path.name.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1")
    names = [name, name.removesuffix(".gz"), f"{name}.gz"]
    return next((path.parent / one for one in names if (path.parent / one).is_file()), None)


def _labels(path: Path) -> Labels:
    if not path.is_file():
        raise UserError(f"{path}: no such file of labels")
    values = arrays.read_npy(path) if path.suffix.lower() == ".npy" else idx.read_idx(path)
    return Labels.of(values, str(path))
