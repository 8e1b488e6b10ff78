"""From options to parts of images: splits, classes, scaling, and options that mean nothing."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_files import drawn, write_mnist, write_png

from tagi_cli.data import DataOptions, Dataset, Encoder, load
from tagi_cli.data.images.encoder import ImageEncoder
from tagi_cli.data.images.images import Images
from tagi_cli.data.images.options import ImageOptions
from tagi_cli.errors import UserError


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    write_mnist(tmp_path / "mnist")
    return tmp_path / "mnist"


def opened(path: Path, image: dict[str, Any] | None = None, **options: Any) -> Dataset:
    """Images at a path, to be classified."""
    task = {"reconstruct": True} if options.pop("reconstruct", False) else {"classify": True}
    chosen = DataOptions(path=str(path), image=ImageOptions(**(image or {})), **options)
    return load(chosen, **task)


def sizes(dataset: Dataset) -> list[int]:
    return [len(part) for part in (dataset.train, dataset.valid, dataset.test)]


def labels(part: Any) -> list[int]:
    return [int(k) for k in part.target[:, 0]]


def test_a_test_part_that_is_given(mnist: Path) -> None:
    dataset = opened(mnist)
    assert sizes(dataset) == [54, 6, 20]
    assert dataset.encoder.classes == ("0", "1", "2", "3")
    assert dataset.encoder.input_shape == (1, 6, 5)
    rows = np.sort(np.concatenate([dataset.train.rows, dataset.valid.rows]))
    np.testing.assert_array_equal(rows, np.arange(60))
    images, known = drawn(60)
    np.testing.assert_array_equal(dataset.train.x.raw()[:, 0], images[dataset.train.rows])
    assert labels(dataset.train) == known[dataset.train.rows].tolist()
    one_hot = np.asarray(dataset.train.y)[:, 0]
    np.testing.assert_array_equal(one_hot, np.eye(4)[known[dataset.train.rows]])
    assert labels(dataset.test) == drawn(20, 1)[1].tolist()


def test_pixels_of_the_training_part_have_mean_zero_and_variance_one(mnist: Path) -> None:
    dataset = opened(mnist)
    values = np.asarray(dataset.train.x, np.float64)
    assert values.mean() == pytest.approx(0, abs=1e-9)
    assert values.std() == pytest.approx(1)
    assert abs(np.asarray(dataset.test.x).mean()) > 1e-4
    by_pixel = np.asarray(opened(mnist, {"scaling_by": "pixel"}).train.x, np.float64)
    np.testing.assert_allclose(by_pixel.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(by_pixel.std(axis=0), 1, rtol=1e-9)
    ranged = np.asarray(opened(mnist, scaling_method="zero-one").train.x)
    assert (ranged.min(), ranged.max()) == (0, 1)
    ranged = np.asarray(
        opened(mnist, {"scaling_by": "pixel"}, scaling_method="zero-one").train.x, np.float64
    )
    np.testing.assert_allclose(ranged.min(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(ranged.max(axis=0), 1)
    plain = opened(mnist, scaling_method="none")
    np.testing.assert_array_equal(np.asarray(plain.train.x), plain.train.x.raw())


def test_channels_have_scalers_of_their_own(tmp_path: Path) -> None:
    images, known = drawn(40, 0, 6, 5, 3)
    images[..., 1] //= 3
    np.savez(tmp_path / "a.npz", x=images, y=known)
    values = np.asarray(opened(tmp_path / "a.npz").train.x, np.float64)
    np.testing.assert_allclose(values.mean(axis=(0, 2, 3)), 0, atol=1e-9)
    np.testing.assert_allclose(values.std(axis=(0, 2, 3)), 1)


def test_a_pixel_that_hardly_varies_keeps_a_tenth_of_the_deviation(tmp_path: Path) -> None:
    images, known = drawn(40)
    images[:, 0, 0] = 0
    np.savez(tmp_path / "a.npz", x=images, y=known)
    dataset = opened(tmp_path / "a.npz", {"scaling_by": "pixel"})
    scaler = dataset.encoder.image  # type: ignore[attr-defined]
    sd = images[dataset.train.rows].astype(float).std()
    assert scaler.scale[0, 0, 0] == pytest.approx(sd / 10)
    assert np.asarray(dataset.train.x)[:, 0, 0, 0].tolist() == [0] * len(dataset.train)


@pytest.mark.parametrize(("method", "first"), [("auto", False), ("chronological", True)])
def test_images_that_come_undivided(tmp_path: Path, method: str, first: bool) -> None:
    images, known = drawn(50)
    np.savez(tmp_path / "a.npz", x=images, y=known)
    dataset = opened(tmp_path / "a.npz", split_method=method)
    assert sizes(dataset) == [40, 5, 5]
    assert (dataset.train.rows.tolist() == list(range(40))) is first
    other = opened(tmp_path / "a.npz", split_method=method, split_seed=1)
    assert (other.train.rows.tolist() == dataset.train.rows.tolist()) is first
    portions = opened(tmp_path / "a.npz", split_portions=(0.5, 0.3, 0.2))
    assert sizes(portions) == [25, 15, 10]


def test_limit_and_valid_portion(mnist: Path) -> None:
    assert sizes(opened(mnist, limit=15, valid_portion=0.2)) == [12, 3, 15]
    assert sizes(opened(mnist, limit=50, valid_portion=0)) == [50, 0, 20]


def test_a_validation_part_that_is_given_can_be_learnt_too(tmp_path: Path) -> None:
    images, known = drawn(30)
    arrays = {"x_train": images[:20], "y_train": known[:20], "x_val": images[20:]}
    np.savez(tmp_path / "a.npz", **arrays, y_val=known[20:])
    dataset = opened(tmp_path / "a.npz")
    assert sizes(dataset) == [20, 10, 0]
    merged = dataset.merged()
    np.testing.assert_array_equal(merged.x.raw()[:, 0], images)
    assert labels(merged) == known.tolist()
    assert merged.y.shape == (30, 1, 4)


def test_test_images_of_their_own(mnist: Path, tmp_path: Path) -> None:
    images, known = drawn(30)
    np.savez(tmp_path / "a.npz", x=images, y=known)
    dataset = opened(tmp_path / "a.npz", {"test": str(mnist)})
    assert sizes(dataset) == [27, 3, 20]
    files = {name: str(mnist / f"t10k-{name}-gz.idx") for name in ("images", "labels")}
    for name, kind in (("images", "idx3"), ("labels", "idx1")):
        (mnist / f"t10k-{name}-{kind}-ubyte.gz").rename(files[name])
    told = {"test": files["images"], "test_labels": files["labels"]}
    assert labels(opened(tmp_path / "a.npz", told).test) == labels(dataset.test)
    np.save(tmp_path / "x.npy", images)
    np.save(tmp_path / "y.npy", known)
    given = opened(tmp_path / "x.npy", {"labels": str(tmp_path / "y.npy")})
    assert labels(given.train) == known[given.train.rows].tolist()


def test_test_images_that_do_not_fit(mnist: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=drawn(30, 0, 4, 4)[0], y=drawn(30)[1])
    with pytest.raises(UserError, match=r"data\.image\.test: .* already holds the test images"):
        opened(mnist, {"test": str(tmp_path / "a.npz")})
    with pytest.raises(UserError, match=r"data\.image\.test: .*images of 1 x 6 x 5, and"):
        opened(tmp_path / "a.npz", {"test": str(mnist)})
    with pytest.raises(UserError, match=r"data\.image\.test_labels: there is no data\.image\.test"):
        opened(mnist, {"test_labels": "labels"})


def test_crops_show_the_middle_outside_of_training(mnist: Path) -> None:
    dataset = opened(mnist, {"crop": (4, 3)})
    assert dataset.encoder.input_shape == (1, 4, 3)
    images, _ = drawn(20, 1)
    np.testing.assert_array_equal(dataset.test.x.raw()[:, 0], images[:, 1:5, 1:4])
    assert dataset.train.x.variation.crop
    assert not dataset.test.x.variation.crop
    assert dataset.merged().x.variation.crop
    with pytest.raises(
        UserError, match=r"data\.image\.crop: found \[7, 3\]\. Allowed: at most \[6"
    ):
        opened(mnist, {"crop": (7, 3)})
    with pytest.raises(UserError, match=r"data\.image\.shift: found 5\. Allowed: below 5"):
        opened(mnist, {"shift": 5})


def test_variations_are_those_of_training(mnist: Path) -> None:
    dataset = opened(mnist, {"shift": 2, "flip": True}, reconstruct=True)
    for values in (dataset.train.x, dataset.train.y):
        assert (values.variation.shift, values.variation.flip) == (2, True)
    for values in (dataset.valid.x, dataset.test.x, dataset.test.y):
        assert (values.variation.shift, values.variation.flip) == (0, False)


def test_images_as_their_own_targets(mnist: Path) -> None:
    dataset = opened(mnist, {"scaling_by": "pixel"}, reconstruct=True)
    encoder, test = dataset.encoder, dataset.test
    assert encoder.classes is None
    assert (encoder.units, encoder.outputs) == (30, ("pixel",))
    images, _ = drawn(20, 1)
    np.testing.assert_array_equal(test.target, images.reshape(20, 30))
    np.testing.assert_array_equal(np.asarray(test.y), np.asarray(test.x).reshape(20, 30))
    back = test.center + test.scale * np.asarray(test.y, np.float64)
    np.testing.assert_allclose(back, test.target, atol=1e-4)
    some = test.take(np.array([3, 1]))
    np.testing.assert_array_equal(some.target, images.reshape(20, 30)[[3, 1]])


def test_the_encoder_outlives_the_data(mnist: Path) -> None:
    for options in ({"crop": (4, 3)}, {"scaling_by": "pixel"}):
        for task in (True, False):
            dataset = opened(mnist, options, reconstruct=task)
            again = Encoder.from_json(json.loads(json.dumps(dataset.encoder.to_json())))
            assert isinstance(again, ImageEncoder)
            part = again.read(mnist)
            assert len(part) == 80
            want = np.concatenate([drawn(60)[0], drawn(20, 1)[0]])
            whole = again.examples(want)
            for found in (part, whole):
                np.testing.assert_array_equal(np.asarray(found.x)[60:], np.asarray(dataset.test.x))
            np.testing.assert_array_equal(part.center, dataset.test.center)


def test_arrays_of_images_from_python(tmp_path: Path) -> None:
    images, known = drawn(40, 0, 6, 5, 3)
    np.savez(tmp_path / "a.npz", x=images, y=known)
    encoder = opened(tmp_path / "a.npz").encoder
    beside = encoder.encode_array(images[:4])
    assert beside.shape == (4, 3, 6, 5)
    np.testing.assert_array_equal(encoder.encode_array(images[:4].transpose(0, 3, 1, 2)), beside)
    with pytest.raises(UserError, match=r"input array: images of 1 x 6 x 5\. Allowed: 3 x 6 x 5"):
        encoder.encode_array(images[..., 0])
    # Where a height of three looks like channels.
    tall = drawn(40, 0, 1, 3, 3)[0]
    np.savez(tmp_path / "b.npz", x=tall.reshape(40, 3, 3), y=known)
    encoder = opened(tmp_path / "b.npz").encoder
    np.testing.assert_array_equal(
        encoder.encode_array(tall), encoder.encode_array(tall.reshape(40, 3, 3))
    )


def test_resized_images_are_resized_when_they_are_predicted(tmp_path: Path) -> None:
    images, known = drawn(12, 0, 9, 9)
    for k in range(12):
        write_png(tmp_path / "f" / f"kind{known[k]}" / f"{k}.png", images[k])
    dataset = opened(tmp_path / "f", {"size": (5, 4)}, batch_size=2)
    assert dataset.encoder.input_shape == (1, 5, 4)
    encoder = dataset.encoder
    assert isinstance(encoder, ImageEncoder)
    part = encoder.read(tmp_path / "f")
    assert part.files is not None
    assert part.take(np.array([1])).files == (part.files[1],)
    assert len(part.files) == 12
    np.testing.assert_array_equal(np.asarray(part.x)[dataset.train.rows], dataset.train.x)
    np.savez(tmp_path / "a.npz", x=images, y=known)
    with pytest.raises(UserError, match=r"data\.image\.size: the images of .*a\.npz are an array"):
        opened(tmp_path / "a.npz", {"size": (5, 4)})


def test_options_without_meaning_for_images(mnist: Path) -> None:
    with pytest.raises(UserError) as caught:
        opened(mnist, time="t", in_components=("a",), missing="mean")
    for name in ("time", "in_components", "missing"):
        assert f"data.{name}: has no meaning for images" in str(caught.value)
    with pytest.raises(UserError, match=r"'gal' has no meaning for images\. Allowed: auto, random"):
        opened(mnist, split_method="gal")
    with pytest.raises(UserError, match=r"data\.batch_size: found 99\. Allowed: at most the 54"):
        opened(mnist, batch_size=99)


def test_options_of_images_beside_a_table() -> None:
    notices: list[str] = []
    load(DataOptions(name="yacht", image=ImageOptions(flip=True)), notices=notices)
    assert "data.image has no effect on a table" in notices


def test_tasks_without_meaning_for_images(mnist: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.path: .* holds images\. Set task=classification"):
        load(DataOptions(path=str(mnist)))
    with pytest.raises(UserError, match=r"data\.name: 'digits' holds images"):
        load(DataOptions(name="digits"))
    with pytest.raises(UserError, match=r"data\.name: 'yacht' holds no images"):
        load(DataOptions(name="yacht"), reconstruct=True)
    with pytest.raises(UserError, match=r"data\.path: .*nothing: no such file"):
        load(DataOptions(path=str(tmp_path / "nothing")), classify=True)


def test_the_sha256_is_that_of_all_files(mnist: Path) -> None:
    before = opened(mnist).sha256
    (mnist / ".DS_Store").write_text("left by looking at the folder")
    assert opened(mnist).sha256 == before
    path = mnist / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-8] + b"changed!")
    (mnist / "note.txt").write_text("also counts")
    path.unlink()
    assert opened(mnist).sha256 != before


def test_digits_are_the_published_ones() -> None:
    dataset = load(DataOptions(name="digits", split_portions=(1, 0, 0)), classify=True)
    x = dataset.train.x.raw()
    assert x.shape == (1797, 1, 8, 8)
    assert (x.min(), x.max()) == (0, 16)
    assert x[0, 0, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    # The counts of the published test part.
    counts = np.bincount(labels(dataset.train)).tolist()
    assert counts == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_images_share_their_bytes(mnist: Path) -> None:
    dataset = opened(mnist)
    x = dataset.train.x
    assert isinstance(x, Images)
    assert x[3:7].pixels is x.pixels
    assert x[np.array([2, 2])].shape == (2, 1, 6, 5)
    assert (x.ndim, x.dtype) == (4, np.float32)
    assert "of 60" in repr(x)
    with pytest.raises(TypeError, match="a slice or an array"):
        x[0]
    with pytest.raises(ValueError, match="only by a copy"):
        x.__array__(copy=False)
    with pytest.raises(ValueError, match="same bytes"):
        x.followed_by(dataset.test.x)
    with pytest.raises(ValueError, match="pixels of images of"):
        Images(x.pixels, False, x.rows, (9, 9), x.center, x.scale)
    with pytest.raises(ValueError, match="scalers"):
        Images(x.pixels, False, x.rows, (6, 5), np.zeros(2), np.zeros(2))


CHANGED: dict[str, Any] = {
    "scaling_by": "pixel",
    "crop": (4, 3),
    "shift": 1,
    "flip": True,
    "classes": 7,
}
ELSEWHERE = {
    "labels": test_test_images_of_their_own,
    "test": test_test_images_of_their_own,
    "test_labels": test_test_images_of_their_own,
    "size": test_resized_images_are_resized_when_they_are_predicted,
}


@pytest.mark.parametrize("name", CHANGED)
def test_changing_an_option_changes_the_data(mnist: Path, name: str) -> None:
    before, after = opened(mnist), opened(mnist, {name: CHANGED[name]})
    x, y = before.train.x, after.train.x
    same = before.encoder.to_json() == after.encoder.to_json() and x.variation == y.variation
    assert not same


def test_every_option_of_images_has_its_test() -> None:
    assert {field.name for field in fields(ImageOptions)} == {*CHANGED, *ELSEWHERE}
    assert replace(ImageOptions(), flip=True) != ImageOptions()


def test_a_folder_of_tables_is_told_from_one_of_images(tmp_path: Path) -> None:
    (tmp_path / "my.csv").write_text("a,y\n1,2\n")
    message = f"data.path: '{tmp_path}' is a folder. Name a file in it, such as {tmp_path}/my.csv"
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        load(DataOptions(path=str(tmp_path)))
    (tmp_path / "a.png").touch()
    with pytest.raises(UserError, match=r"holds images\. Set task=classification to learn"):
        load(DataOptions(path=str(tmp_path)))
