"""Reading images: every form, and every way in which files are damaged."""

from __future__ import annotations

import gzip
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from image_files import cifar_records, drawn, idx_bytes, write_mnist, write_png

from tagi_cli.data.images.sources import holds_images, read_parts
from tagi_cli.errors import UserError


@pytest.mark.parametrize("packed", [True, False])
def test_the_four_files_of_mnist(tmp_path: Path, packed: bool) -> None:
    write_mnist(tmp_path, packed=packed)
    found = read_parts(tmp_path)
    assert list(found) == ["train", "test"]
    for part, n, seed in (("train", 60, 0), ("test", 20, 1)):
        images, labels = drawn(n, seed)
        assert found[part].shape == (1, 6, 5)
        np.testing.assert_array_equal(found[part].pixels[:, 0], images)
        known = found[part].labels
        assert known is not None
        assert [known.names[code] for code in known.codes] == [str(k) for k in labels]
        assert isinstance(found[part].pixels, np.memmap) is not packed


def test_a_plain_file_is_preferred_and_mapped(tmp_path: Path) -> None:
    write_mnist(tmp_path, packed=True)
    write_mnist(tmp_path, train=8, packed=False)
    assert len(read_parts(tmp_path)["train"]) == 8


def test_one_file_finds_its_labels_or_is_told(tmp_path: Path) -> None:
    write_mnist(tmp_path, packed=False)
    path = tmp_path / "train-images-idx3-ubyte"
    assert read_parts(path)["train"].labels is not None
    other = tmp_path / "mine.idx"
    path.rename(other)
    assert read_parts(other)["train"].labels is None
    told = read_parts(other, labels=str(tmp_path / "train-labels-idx1-ubyte"))["train"]
    assert told.labels is not None
    with pytest.raises(UserError, match="20 labels for the 60 images"):
        read_parts(other, labels=str(tmp_path / "t10k-labels-idx1-ubyte"))
    with pytest.raises(UserError, match="no such file of labels"):
        read_parts(other, labels=str(tmp_path / "nothing"))
    write_mnist(tmp_path / "both")
    with pytest.raises(UserError, match="holds several parts"):
        read_parts(tmp_path / "both", labels=str(tmp_path / "train-labels-idx1-ubyte"))


def test_several_sets_in_one_folder(tmp_path: Path) -> None:
    images, _ = drawn(4)
    write_mnist(tmp_path / "mnist")
    (tmp_path / "mnist" / "._train-images-idx3-ubyte.gz").write_bytes(b"left by an archiver")
    assert len(read_parts(tmp_path / "mnist")["train"]) == 60
    for name in ("a-train-images-idx3-ubyte", "b-train-images-idx3-ubyte"):
        (tmp_path / name).write_bytes(idx_bytes(images))
    with pytest.raises(UserError, match=r"all hold images\. Set data\.path"):
        read_parts(tmp_path)


def test_a_truncated_idx_file(tmp_path: Path) -> None:
    data = idx_bytes(drawn(10)[0])
    plain, packed = tmp_path / "plain-idx3-ubyte", tmp_path / "packed-idx3-ubyte.gz"
    plain.write_bytes(data[:-7])
    packed.write_bytes(gzip.compress(data[:-7]))
    for path in (plain, packed):
        with pytest.raises(UserError, match=r"293 bytes .* announces 300.*truncated"):
            read_parts(path)
    packed.write_bytes(gzip.compress(data)[:-30])
    with pytest.raises(UserError, match=r"cannot be read .*; it may be truncated"):
        read_parts(packed)
    plain.write_bytes(data[:9])
    with pytest.raises(UserError, match="ends within its header; it is truncated"):
        read_parts(plain)
    plain.write_bytes(data + b"x")
    packed.write_bytes(gzip.compress(data + b"x"))
    for path in (plain, packed):
        with pytest.raises(UserError, match=r"more than the 300 bytes .* damaged"):
            read_parts(path)


def test_a_wrong_magic_number(tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(b"\x00\x01" + idx_bytes(drawn(3)[0])[2:])
    with pytest.raises(UserError, match=r"the magic number is 00 01 08 03, .* Allowed: 00 00"):
        read_parts(path)
    path.write_bytes(b"")
    with pytest.raises(UserError, match="the magic number is missing"):
        read_parts(path)


def test_a_header_that_lies_reserves_no_memory(tmp_path: Path) -> None:
    """Sizes are those of a file of 16 EiB; nothing of that size is asked for."""
    path = tmp_path / "huge-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(b"\0\0\x08\x04" + b"\xff" * 16 + b"abc"))
    with pytest.raises(UserError, match=r"3 bytes behind the header.*truncated"):
        read_parts(path)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_images_or_a_clear_error(tmp_path: Path, data: bytes, packed: bool) -> None:
    path = tmp_path / "fuzz-idx3-ubyte"
    path.write_bytes(gzip.compress(data) if packed else data)
    with suppress(UserError):
        read_parts(path)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 600), st.integers(0, 255), st.sampled_from(["npz", "npy"]))
def test_a_changed_byte_is_images_or_a_clear_error(
    tmp_path: Path, place: int, byte: int, kind: str
) -> None:
    path = tmp_path / f"fuzz.{kind}"
    images, labels = drawn(6)
    if kind == "npz":
        np.savez_compressed(path, x=images, y=labels)
    else:
        np.save(path, images)
    data = bytearray(path.read_bytes())
    data[place % len(data)] = byte
    path.write_bytes(data)
    with suppress(UserError):
        read_parts(path)


def test_cifar_10(tmp_path: Path) -> None:
    for k in range(1, 6):
        (tmp_path / f"data_batch_{k}.bin").write_bytes(cifar_records(7, seed=k).tobytes())
    (tmp_path / "test_batch.bin").write_bytes(cifar_records(4, seed=9).tobytes())
    names = [f"kind{k}" for k in range(10)]
    (tmp_path / "batches.meta.txt").write_text("\n".join(names) + "\n\n")
    found = read_parts(tmp_path)
    assert [(part, len(images)) for part, images in found.items()] == [("train", 35), ("test", 4)]
    train = found["train"]
    assert train.shape == (3, 32, 32)
    want = cifar_records(7, seed=2)[3]
    np.testing.assert_array_equal(train.pixels[10], want[1:].reshape(3, 32, 32))
    assert train.labels is not None
    assert train.labels.names[train.labels.codes[10]] == "kind3"


def test_cifar_100_has_the_fine_labels(tmp_path: Path) -> None:
    (tmp_path / "train.bin").write_bytes(cifar_records(30, 2, classes=100).tobytes())
    (tmp_path / "test.bin").write_bytes(cifar_records(5, 2, classes=100).tobytes())
    train = read_parts(tmp_path)["train"]
    assert train.labels is not None
    assert train.labels.codes.tolist() == list(range(30))
    assert len(train.labels.names) == 100


def test_damaged_cifar(tmp_path: Path) -> None:
    path = tmp_path / "data_batch_1.bin"
    records = cifar_records(5)
    path.write_bytes(records.tobytes()[:-1])
    with pytest.raises(UserError, match=r"15364 bytes are no whole number of records of 3073"):
        read_parts(path)
    records[3, 0] = 10
    path.write_bytes(records.tobytes())
    with pytest.raises(UserError, match=r"record 3 \(from 0\): label 10 is out of range.*0 to 9"):
        read_parts(path)
    with pytest.raises(UserError, match=r"data_batch_2\.bin, .*data_batch_5\.bin miss"):
        read_parts(tmp_path)


@pytest.mark.parametrize("names", [("data_batch_1", "batches.meta"), ("train", "meta")])
def test_cifar_of_the_version_for_python(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"\x80\x02}q\x01.")
    for path in (tmp_path, tmp_path / names[0]):
        with pytest.raises(UserError, match=r"may hold code\. Allowed: the binary version"):
            read_parts(path)


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3), (3, 6, 5)])
def test_npz(tmp_path: Path, shape: tuple[int, ...]) -> None:
    images, labels = drawn(12, 0, *shape)
    np.savez(tmp_path / "a.npz", x=images, y=labels)
    found = read_parts(tmp_path / "a.npz")["train"]
    assert found.shape == ((1, 6, 5) if len(shape) == 2 else (3, 6, 5))
    assert found.interleaved is (shape[-1] == 3)
    names = np.array(["cat", "dog", "eel", "fox"])[labels]
    np.savez(tmp_path / "b.npz", x_train=images, y_train=names, x_test=images[:3], y_test=names[:3])
    parts = read_parts(tmp_path / "b.npz")
    assert {part: len(images) for part, images in parts.items()} == {"train": 12, "test": 3}
    assert parts["test"].labels is not None
    assert parts["test"].labels.names == ("cat", "dog", "eel")
    named = {"training_images": images, "validation_images": images, "images_testing": images}
    np.savez(tmp_path / "c.npz", **named)
    assert list(read_parts(tmp_path / "c.npz")) == ["train", "valid", "test"]


def test_npz_values(tmp_path: Path) -> None:
    images, labels = drawn(12)
    path = tmp_path / "a.npz"
    np.savez(path, x=images.astype(np.float64), y=labels)
    np.testing.assert_array_equal(read_parts(path)["train"].pixels[:, 0], images)
    np.savez(path, x=images / 255, y=labels)
    with pytest.raises(UserError, match=r"array 'x': pixel values between 0 and .*save them as"):
        read_parts(path)
    np.savez(path, x=images.astype(np.int64) * 3, y=labels)
    with pytest.raises(UserError, match="whole numbers, 0 to 255"):
        read_parts(path)
    for bad in (np.nan, np.inf):
        np.savez(path, x=np.where(images == images.max(), bad, images), y=labels)
        with pytest.raises(UserError, match=r"'x': a pixel is NaN or infinite. Allowed: whole"):
            read_parts(path)
    np.savez(path, x=images.astype(complex), y=labels)
    with pytest.raises(UserError, match="values of type complex128"):
        read_parts(path)
    np.savez(path, x=images, y=labels[:5])
    with pytest.raises(UserError, match="5 labels for the 12 images"):
        read_parts(path)
    np.savez(path, x=images, y=labels / 2)
    with pytest.raises(UserError, match=r"labels of shape .* and type float64"):
        read_parts(path)
    np.savez(path, other=images)
    with pytest.raises(UserError, match=r"no array of training images\. Found: other"):
        read_parts(path)
    np.savez(path, x=images, images=images)
    with pytest.raises(UserError, match="two arrays of train images"):
        read_parts(path)


def test_a_truncated_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=drawn(12)[0])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="not a readable NPZ file"):
        read_parts(path)
    np.save(tmp_path / "a.npy", drawn(12)[0])
    data = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(data[:-5])
    with pytest.raises(UserError, match="not a readable NPY file"):
        read_parts(tmp_path / "a.npy")


def test_npy_is_mapped(tmp_path: Path) -> None:
    images, labels = drawn(9, 0, 6, 5, 3)
    np.save(tmp_path / "a.npy", images)
    np.save(tmp_path / "b.npy", labels)
    found = read_parts(tmp_path / "a.npy", labels=str(tmp_path / "b.npy"))["train"]
    assert isinstance(found.pixels, np.memmap)
    assert found.labels is not None
    assert found.labels.codes.tolist() == labels.tolist()


def test_a_folder_per_class(tmp_path: Path) -> None:
    images, labels = drawn(8, 0, 6, 5, 3)
    for k in range(8):
        part = "train" if k < 6 else "test"
        write_png(tmp_path / part / f"kind{labels[k]}" / f"{k}.png", images[k])
    found = read_parts(tmp_path)
    train = found["train"]
    assert train.files == (
        "kind0/0.png", "kind0/4.png", "kind1/1.png", "kind1/5.png", "kind2/2.png", "kind3/3.png",
    )  # fmt: skip
    np.testing.assert_array_equal(train.pixels[1], images[4])
    assert train.labels is not None
    assert train.labels.codes.tolist() == [0, 0, 1, 1, 2, 3]
    assert found["test"].files == ("kind2/6.png", "kind3/7.png")


def test_grey_images_have_one_channel_and_mixed_ones_three(tmp_path: Path) -> None:
    grey, colour = drawn(1, 0, 6, 5)[0][0], drawn(1, 1, 6, 5, 3)[0][0]
    write_png(tmp_path / "a.png", grey)
    found = read_parts(tmp_path)["train"]
    assert found.shape == (1, 6, 5)
    assert found.labels is None
    write_png(tmp_path / "b.png", colour)
    both = read_parts(tmp_path)["train"]
    assert both.shape == (3, 6, 5)
    np.testing.assert_array_equal(both.pixels[0], np.repeat(grey[..., None], 3, axis=2))
    assert read_parts(tmp_path, channels=1)["train"].shape == (1, 6, 5)
    assert len(read_parts(tmp_path / "b.png")["train"]) == 1


def test_sixteen_bits_keep_the_upper_eight(tmp_path: Path) -> None:
    deep = (np.arange(30).reshape(6, 5) * 2000).astype(np.uint16)
    write_png(tmp_path / "a.png", deep)
    np.testing.assert_array_equal(read_parts(tmp_path)["train"].pixels[0, ..., 0], deep >> 8)


def test_images_of_mixed_sizes(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", drawn(1)[0][0])
    write_png(tmp_path / "b.png", drawn(1, 0, 4, 4)[0][0])
    with pytest.raises(UserError, match=r"b\.png: 4 x 4 pixels .* a\.png has 6 x 5.*image\.size"):
        read_parts(tmp_path)
    assert read_parts(tmp_path, size=(3, 2))["train"].shape == (1, 3, 2)


def test_folders_without_a_meaning(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no images in it"):
        read_parts(tmp_path)
    write_png(tmp_path / "a.png", drawn(1)[0][0])
    write_png(tmp_path / "kind" / "b.png", drawn(1)[0][0])
    with pytest.raises(UserError, match=r"a\.png for one, have no label"):
        read_parts(tmp_path)
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"a\.png: the image cannot be read"):
        read_parts(tmp_path / "a.png")
    data = (tmp_path / "kind" / "b.png").read_bytes()
    (tmp_path / "kind" / "b.png").write_bytes(data[:60])
    with pytest.raises(UserError, match=r"b\.png: the image cannot be read"):
        read_parts(tmp_path / "kind")


def test_without_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    (tmp_path / "a.png").touch()
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(UserError, match=r"needs Pillow; .*tagi-cli\[images\]"):
        read_parts(tmp_path)


def test_parts_of_different_sizes(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x_train=drawn(5)[0], x_test=drawn(5, 0, 7, 7)[0])
    with pytest.raises(UserError, match=r"images of 1 x 7 x 7, and those of .* are 1 x 6 x 5"):
        read_parts(path)
    np.savez(path, x=drawn(5)[0][:0])
    with pytest.raises(UserError, match="no image in the train part"):
        read_parts(path)
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(UserError, match=r"shape \(3,\) holds no images"):
        read_parts(tmp_path / "a.npy")


def test_what_holds_images(tmp_path: Path) -> None:
    table, images = tmp_path / "table.npz", tmp_path / "images.npz"
    np.savez(table, a=np.zeros(3), b=np.zeros((3, 2)))
    np.savez(images, x=drawn(3)[0])
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    paths = (table, images, tmp_path / "a.csv", tmp_path, tmp_path / "?")
    assert [holds_images(path) for path in paths] == [False, True, False, True, False]
    with pytest.raises(UserError, match=r"a\.csv: holds no images\. Allowed"):
        read_parts(tmp_path / "a.csv")
    with pytest.raises(UserError, match="no such file or folder"):
        read_parts(tmp_path / "?")
