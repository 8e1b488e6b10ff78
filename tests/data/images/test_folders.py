"""Folders of images: which are parts, which classes, and what is none of either."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from image_files import drawn, write_png

from tagi_cli.data.images.sources import read_parts
from tagi_cli.errors import UserError

COLOUR = drawn(1, 0, 6, 5, 3)[0][0]
GREY = COLOUR[..., 0]


def names(folder: Path) -> dict[str, tuple[str, ...] | None]:
    """The labels of each part."""
    return {
        part: None if images.labels is None else images.labels.names
        for part, images in read_parts(folder).items()
    }


@pytest.mark.parametrize(
    "folders",
    [("train", "valid", "test"), ("Training", "validation", "Testing"), ("TRAIN", "val", "test")],
)
def test_parts_come_in_order_whatever_they_are_called(
    tmp_path: Path, folders: tuple[str, str, str]
) -> None:
    for part in folders:
        write_png(tmp_path / part / "cat" / "1.png", GREY)
    write_png(tmp_path / "other" / "1.png", GREY)
    assert names(tmp_path) == {"train": ("cat",), "valid": ("cat",), "test": ("cat",)}
    assert list(read_parts(tmp_path)) == ["train", "valid", "test"]


def test_training_images_decide_on_colour(tmp_path: Path) -> None:
    write_png(tmp_path / "train" / "a.png", COLOUR)
    write_png(tmp_path / "test" / "a.png", GREY)
    found = read_parts(tmp_path)
    assert [found[part].shape for part in ("train", "test")] == [(3, 6, 5)] * 2
    np.testing.assert_array_equal(found["train"].pixels[0], COLOUR)


def test_a_single_part_is_all_there_is(tmp_path: Path) -> None:
    for kind in ("cat", "dog"):
        write_png(tmp_path / "test" / kind / "1.png", GREY)
    (tmp_path / "notes").mkdir()
    assert names(tmp_path) == {"train": ("cat", "dog")}


def test_parts_without_training_are_no_classes(tmp_path: Path) -> None:
    write_png(tmp_path / "test" / "cat" / "1.png", GREY)
    write_png(tmp_path / "learn" / "cat" / "1.png", GREY)
    with pytest.raises(UserError, match="'test' is a part of the images, and there is no folder"):
        read_parts(tmp_path)
    write_png(tmp_path / "val" / "cat" / "1.png", GREY)
    with pytest.raises(UserError, match="'test', 'val' are parts of the images"):
        read_parts(tmp_path)


def test_two_folders_of_one_part(tmp_path: Path) -> None:
    for part in ("train", "val", "valid"):
        write_png(tmp_path / part / "1.png", GREY)
    with pytest.raises(UserError, match="of the folders train, val, valid two are the same part"):
        read_parts(tmp_path)


def test_what_begins_with_a_dot_is_nothing_of_the_users(tmp_path: Path) -> None:
    write_png(tmp_path / "cat" / "1.png", GREY)
    write_png(tmp_path / "dog" / "deep" / "2.png", GREY)
    write_png(tmp_path / ".ipynb_checkpoints" / "1.png", GREY)
    write_png(tmp_path / "dog" / ".thumbnails" / "3.png", GREY)
    for junk in ("cat/._1.png", ".hidden.png", "__MACOSX/cat/._1.png"):
        (tmp_path / junk).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / junk).write_bytes(b"no image")
    for other in ("README.txt", "cat/Thumbs.db"):
        (tmp_path / other).write_bytes(b"no image")
    assert names(tmp_path) == {"train": ("cat", "dog")}
    assert read_parts(tmp_path)["train"].files == ("cat/1.png", "dog/deep/2.png")
