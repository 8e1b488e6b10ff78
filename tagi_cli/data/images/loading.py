"""From the options of `data:` to parts of images ready for training."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from tagi_cli.data import bundled
from tagi_cli.data.images.encoder import ImageScaler, fit_classes, image_encoder
from tagi_cli.data.images.folders import is_image
from tagi_cli.data.images.image_set import ImageSet, check_alike, size_words
from tagi_cli.data.images.images import Images, Variation
from tagi_cli.data.images.options import ImageOptions
from tagi_cli.data.images.scaling import PixelMoments, fit_pixels, moments
from tagi_cli.data.images.sources import files_of, holds_images, read_parts
from tagi_cli.data.options import DataOptions
from tagi_cli.data.splits import PARTS, Rows, draw_valid, portions
from tagi_cli.data.tabular import Loaded
from tagi_cli.errors import UserError, UserErrors
from tagi_cli.paths import user_path

OF_IMAGES = (
    "path", "name", "image", "limit", "split_method", "split_portions", "split_seed",
    "valid_portion", "scaling_method", "batch_size", "shuffle_train", "batch_sampling_mode",
)  # fmt: skip
"""Options of `data:` that mean something for images."""

_SPLITS = ("auto", "random", "chronological")
_BYTES = 1 << 24
# Training images that scalers are fitted on.
_SAMPLE = 65_536


def image_source(options: DataOptions) -> Path | None:
    """Where the images are that the options name; None where that is a table.

    Raises:
        UserError: there is no bundled set of that name, or the system cannot look at the path.
    """
    if options.path is None:
        return bundled.find(str(options.name)).images
    return user_path(options.path) if holds_images(options.path) else None


def load_images(
    options: DataOptions, path: Path | None, dtype: str, *, classify: bool, reconstruct: bool
) -> Loaded:
    """Read images, divide them, and fit the encoder on the training part.

    Args:
        options: the keys of `data:`.
        path: where the images are; None for a table.
        dtype: of scaled values.
        classify: whether their labels are learnt.
        reconstruct: whether the images themselves are.

    Raises:
        UserError: images and task do not go together, options that mean nothing for images, or
            files that do not fit; see the modules of this package.
    """
    key, shown = ("path", options.path) if options.path is not None else ("name", options.name)
    if path is None:
        raise UserError(
            f"data.{key}: '{shown}' holds no images, which is what task=reconstruction learns"
        )
    if not (classify or reconstruct):
        tables = _tables_in(path)
        if tables:
            raise UserError(
                f"data.{key}: '{shown}' is a folder. Name a file in it, such as {tables[0]}"
            )
        raise UserError(
            f"data.{key}: '{shown}' holds images. Set task=classification to learn their labels, "
            "or task=reconstruction to learn the images themselves"
        )
    _check(options)
    asked = options.image
    try:
        found = read_parts(path, labels=asked.labels, size=asked.size)
    except UserError as error:
        raise UserError(f"data.path: {error}") from None
    if asked.test is not None:
        found["test"] = _test_images(asked, found)
    if asked.size is not None and all(images.files is None for images in found.values()):
        raise UserError(
            f"data.image.size: the images of {path} are an array, and only image files are resized "
            "as they are read. Allowed: null"
        )
    store, rows, method = _divide(found, options)
    train = store["train"]
    if options.rows_per_update(len(rows["train"])) > len(rows["train"]):
        raise UserError(
            f"data.batch_size: found {options.batch_size}. Allowed: at most the "
            f"{len(rows['train'])} training images of {train.source}, or null"
        )
    size = _crop(asked, train)
    scaler, seen = _fit(options, train, rows["train"], size)
    classes = _classes(train, rows["train"], asked) if classify else None
    encoder = image_encoder(scaler, classes, dtype)
    varied = Variation(asked.shift, asked.flip, scaler.size != train.shape[1:])
    parts = [
        encoder.part(store[part], rows[part], varied if part == "train" else None) for part in PARTS
    ]
    sources: list[str | Path] = [path]
    sources += (p for p in (asked.labels, asked.test, asked.test_labels) if p is not None)
    # A preset names a bundled set, in whose place the user's images are used.
    given = None if options.name in bundled.BUNDLED and options.path is not None else options.name
    name = given or path.resolve().name.split(".")[0]
    summary = {
        "name": name,
        "source": name if options.path is None else str(path),
        "sha256": _sha256(sources),
        "inputs": list(encoder.inputs),
        "features": list(encoder.features),
        "outputs": list(encoder.outputs),
        "rows": sum(len(images) for images in found.values()),
        "columns": int(np.prod(train.shape)),
        "image": {"shape": list(encoder.input_shape), "whole": list(train.shape)},
        "split": {"method": method, "seed": options.split_seed}
        | {part: len(rows[part]) for part in PARTS},
        "rows_dropped": 0,
        "inputs_filled": 0,
        "statistics": _statistics(seen, train, rows["train"], classes),
    }
    return Loaded((parts[0], parts[1], parts[2]), encoder, summary)


def _check(options: DataOptions) -> None:
    """Make sure that no option asks for something that images do not have.

    Raises:
        UserErrors: some do.
    """
    faults = [
        f"data.{field.name}: has no meaning for images"
        for field in fields(options)
        if field.name not in OF_IMAGES and getattr(options, field.name) != field.default
    ]
    if options.split_method not in _SPLITS:
        faults.append(
            f"data.split_method: '{options.split_method}' has no meaning for images. Allowed: "
            f"{', '.join(_SPLITS)}"
        )
    if options.image.test_labels is not None and options.image.test is None:
        faults.append("data.image.test_labels: there is no data.image.test that they belong to")
    if faults:
        raise UserErrors(faults)


def _test_images(asked: ImageOptions, found: Mapping[str, ImageSet]) -> ImageSet:
    """The images of `data.image.test`: its test part where it has several, else all.

    Raises:
        UserError: there is a test part already; files that do not fit.
    """
    assert asked.test is not None
    if "test" in found:
        raise UserError(
            f"data.image.test: {found['test'].source} already holds the test images. Allowed: null"
        )
    try:
        channels = found["train"].shape[0]
        parts = read_parts(asked.test, labels=asked.test_labels, size=asked.size, channels=channels)
        images = parts.get("test", parts["train"])
        check_alike(found["train"], images)
    except UserError as error:
        raise UserError(f"data.image.test: {error}") from None
    return images


def _tables_in(path: Path) -> list[Path]:
    """The files of text in a folder that look like tables, where it has no images beside them."""
    files = sorted(path.iterdir()) if path.is_dir() else []
    if any(is_image(file) for file in files):
        return []
    return [file for file in files if file.suffix.lower() in (".csv", ".tsv", ".parquet")]


def _divide(
    found: Mapping[str, ImageSet], options: DataOptions
) -> tuple[dict[str, ImageSet], dict[str, Rows], str]:
    """Where the images of each part are, which they are, and how they were divided.

    Training and validation images are of one store, as both are learnt in the end.
    """
    rng = np.random.default_rng(options.split_seed)
    source = found["train"].source

    def chosen(images: ImageSet) -> Rows:
        order = np.arange(len(images))
        if options.split_method != "chronological":
            order = rng.permutation(order)
        return order[: options.limit]

    if "test" not in found and "valid" not in found:
        parts = portions(chosen(found["train"]), options.shares(), source, "images")
        method = "chronological" if options.split_method == "chronological" else "random"
        rows = dict(zip(PARTS, (np.sort(part) for part in parts), strict=True))
        return dict.fromkeys(PARTS, found["train"]), rows, method
    train = found["train"]
    rows = {"train": np.sort(chosen(train))}
    if "valid" in found:
        rows["valid"] = np.sort(chosen(found["valid"])) + len(train)
        train = train.followed_by(found["valid"])
    else:
        rows["train"], rows["valid"] = draw_valid(
            rows["train"], options.valid_share(), options.split_seed
        )
    test = found.get("test", train)
    rows["test"] = np.sort(chosen(test)) if "test" in found else rows["train"][:0]
    return {"train": train, "valid": train, "test": test}, rows, "given"


def _crop(asked: ImageOptions, images: ImageSet) -> tuple[int, int]:
    """Height and width of what the network sees.

    Raises:
        UserError: more than there is, or images are moved by more than their size.
    """
    _, H, W = images.shape
    h, w = asked.crop or (H, W)
    if h > H or w > W:
        raise UserError(
            f"data.image.crop: found {[h, w]}. Allowed: at most {[H, W]}, the images of "
            f"{images.source}"
        )
    if asked.shift >= min(H, W):
        raise UserError(
            f"data.image.shift: found {asked.shift}. Allowed: below {min(H, W)}, as images are "
            f"{size_words((H, W))}"
        )
    return h, w


def _fit(
    options: DataOptions, images: ImageSet, rows: Rows, size: tuple[int, int]
) -> tuple[ImageScaler, PixelMoments]:
    C = images.shape[0]
    # Of very many images an even sample tells the same, and need not be read twice.
    sample = rows[:: -(-len(rows) // _SAMPLE)]
    plain = Images(images.pixels, images.interleaved, sample, size, np.zeros(C), np.ones(C))
    found = moments(plain)
    center, scale = fit_pixels(found, options.scaling_method, options.image.scaling_by)
    return ImageScaler(images.shape, size, center, scale, options.image.size), found


def _classes(images: ImageSet, rows: Rows, asked: ImageOptions) -> tuple[str, ...]:
    if images.labels is None:
        raise UserError(
            f"{images.source}: there are no labels to learn. Set data.image.labels, put images in "
            "one folder per class, or choose task=reconstruction"
        )
    return fit_classes(images.labels, rows, asked.classes)


def _statistics(
    found: PixelMoments, images: ImageSet, rows: Rows, classes: tuple[str, ...] | None
) -> list[dict[str, Any]]:
    """Facts of each channel, and of the labels, in the training part."""
    facts: list[dict[str, Any]] = []
    for k, one in enumerate(found.of_channels()):
        facts.append(
            {"name": f"channel {k}", "role": "input", "mean": one.mean, "sd": one.sd}
            | {"minimum": one.minimum, "maximum": one.maximum, "constant": one.sd == 0}
            | {"missing": 0}
        )
    if classes is not None and images.labels is not None:
        counts = np.bincount(images.labels.codes[rows], minlength=len(images.labels.names))
        pairs = dict(zip(images.labels.names, counts.tolist(), strict=True))
        categories = {name: pairs[name] for name in classes if pairs.get(name)}
        facts.append({"name": "label", "role": "target", "categories": categories, "missing": 0})
    return facts


def _sha256(paths: Sequence[str | Path]) -> str:
    """That of the bytes of a single file; of several that of their names and bytes."""
    files = [(file, user_path(path)) for path in paths for file in files_of(path)]
    digest = hashlib.sha256()
    for file, root in files:
        if len(files) > 1:
            name = file.relative_to(root).as_posix() if file != root else file.name
            digest.update(f"{name}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            while block := stream.read(_BYTES):
                digest.update(block)
    return digest.hexdigest()
