"""Labels of images: their classes, those that training lacks, parts without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_files import drawn, write_png

from tagi_cli.data import DataOptions, Dataset, load
from tagi_cli.data.images.encoder import ImageEncoder
from tagi_cli.data.images.options import ImageOptions
from tagi_cli.errors import UserError


def opened(path: Path, image: dict[str, Any] | None = None, **options: Any) -> Dataset:
    """Images at a path, to be classified."""
    chosen = DataOptions(path=str(path), image=ImageOptions(**(image or {})), **options)
    return load(chosen, classify=True)


def test_classes_of_the_training_part_and_labels_beyond(tmp_path: Path) -> None:
    images, known = drawn(20)
    names = np.array(["10", "9", "ox", "ant"])[known]
    path = tmp_path / "a.npz"
    np.savez(path, x_train=images, y_train=names, x_test=images, y_test=names)
    assert opened(path).encoder.classes == ("10", "9", "ant", "ox")
    np.savez(path, x_train=images, y_train=9 + known, x_test=images, y_test=9 + known)
    assert opened(path, valid_portion=0).encoder.classes == ("9", "10", "11", "12")


def test_a_label_that_training_lacks(tmp_path: Path) -> None:
    images, known = drawn(20)
    np.savez(tmp_path / "a.npz", x_train=images, y_train=known, x_test=images, y_test=known + 1)
    with pytest.raises(
        UserError, match=r"image 3 \(from 0\): label '4' is that of no training image \(4 more"
    ):
        opened(tmp_path / "a.npz")
    parts = {"x_train": images, "y_train": known, "x_val": images[1:], "y_val": known[1:] + 1}
    np.savez(tmp_path / "b.npz", **parts)
    with pytest.raises(UserError, match=r"b\.npz, array 'y_val', image 2 \(from 0\): label '4'"):
        opened(tmp_path / "b.npz")
    for k in range(6):
        part = "train" if k < 4 else "test"
        kind = f"kind{k % 2}" if k < 5 else "kindle"
        write_png(tmp_path / "f" / part / kind / f"{k}.png", images[k])
    for part in ("test", "valid"):
        if part == "valid":
            (tmp_path / "f" / "test").rename(tmp_path / "f" / "valid")
        with pytest.raises(
            UserError, match=rf"f/{part}, kindle/5\.png: label 'kindle' .* mean 'kind"
        ):
            opened(tmp_path / "f", batch_size=1)


def test_parts_with_labels_and_without(tmp_path: Path) -> None:
    images, known = drawn(20)
    path = tmp_path / "a.npz"
    np.savez(path, x_train=images, y_train=known, x_val=images[:5])
    with pytest.raises(UserError, match="5 images have no labels, and the 20 of another part have"):
        opened(path)
    np.savez(path, x_train=images, y_train=known, x_test=images[:5])
    dataset = opened(path)
    assert np.isnan(dataset.test.target).all()
    encoder = dataset.encoder
    assert isinstance(encoder, ImageEncoder)
    assert len(encoder.read(path, labels=False)) == 25
    with pytest.raises(UserError, match="5 images have no labels"):
        encoder.read(path)


def test_the_number_of_classes(tmp_path: Path) -> None:
    images, known = drawn(40)
    path = tmp_path / "a.npz"
    np.savez(path, x=images, y=known)
    assert opened(path, {"classes": 6}).encoder.classes == tuple("012345")
    with pytest.raises(
        UserError,
        match=r"'y', image 3 \(from 0\): label 3 is out of range\. Allowed: 0 to 2, as "
        r"data\.image\.classes is 3",
    ):
        opened(path, {"classes": 3})
    for k in range(6):
        write_png(tmp_path / "f" / f"kind{k % 2}" / f"{k}.png", images[k])
    with pytest.raises(UserError, match=r"label kind0 is out of range"):
        opened(tmp_path / "f", {"classes": 2})
    np.savez(path, x=images, y=np.zeros(40, int))
    with pytest.raises(UserError, match="only '0' in the training part"):
        opened(path)
    np.savez(path, x=images)
    with pytest.raises(UserError, match=r"there are no labels to learn\. Set data\.image\.labels"):
        opened(path)
