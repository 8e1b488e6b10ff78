"""Whatever lies in a file: readers read it or say what is wrong, and take no more than it holds."""

from __future__ import annotations

import gzip
import io
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import polars
import pytest
from hypothesis import strategies as st

from tagi_cli.data import read_table
from tagi_cli.data.images.sources import read_parts

from .exploring import DEPTHS, damaged, explore, modest


def npz(save: Callable[..., None] = np.savez, **arrays: Any) -> bytes:
    """An archive of arrays."""
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    """An NPY file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def parquet() -> bytes:
    """A table with a column of each type."""
    file = io.BytesIO()
    polars.DataFrame({"a": [1, 2, 3], "t": ["u", None, "w"], "y": [0.5, None, 1.5]}).write_parquet(
        file
    )
    return file.getvalue()


def idx(array: np.ndarray) -> bytes:
    """An IDX file of bytes."""
    return struct.pack(f">I{array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def picture(kind: str, array: np.ndarray) -> bytes:
    """An image file."""
    file = io.BytesIO()
    PIL.Image.fromarray(array).save(file, kind)
    return file.getvalue()


RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (3, 4, 5), dtype=np.uint8)
CSV = b'a,kind,y\n1,red,2.5\n-3e2,green,\n0.5,"r,""d",1\n'
TSV = b"a\tt\ty\n1\t2024-01-01 10:00\t3,5\n2\t2024-01-02\t1,5\n"
SPACED = b"1 2 3\n4 5 6\n7 8 NaN\n"
LINES = b'{"a": 1, "b": "red", "y": null}\n{"a": 2.5, "b": "green", "y": 3}\n'
RECORD = b"\3" + bytes(range(256)) * 12

TABLES = {
    "t.csv": [CSV, TSV, SPACED, CSV.replace(b",", b";")],
    "t.tsv": [TSV],
    "t.csv.gz": [gzip.compress(CSV, mtime=0), gzip.compress(b"1,2\n" * 500, mtime=0)],
    "t.parquet": [parquet()],
    "t.npz": [
        npz(a=np.arange(4.0), y=np.ones((4, 2))),
        npz(np.savez_compressed, a=np.array(["u", "v"]), y=np.array([1, 2], np.int16)),
    ],
}
IMAGES = {
    "x.npy": [npy(PIXELS), npy(PIXELS.astype(float)), npy(PIXELS[..., None] > 100)],
    "x.npz": [
        npz(x=PIXELS, y=np.arange(3)),
        npz(np.savez_compressed, x_train=PIXELS, y_train=np.array(["u", "v", "u"]), x_test=PIXELS),
    ],
    "images-idx3-ubyte": [idx(PIXELS)],
    "images-idx3-ubyte.gz": [gzip.compress(idx(PIXELS), mtime=0)],
    "data_batch_1.bin": [RECORD * 3],
    "train.bin": [b"\2" + RECORD],
}
DEEP = (PIXELS[0].astype(np.uint16) << 8) + PIXELS[1]
PICTURES = {
    "a.png": [picture("PNG", PIXELS[0]), picture("PNG", DEEP), picture("PNG", PIXELS[0] > 100)],
    "a.jpg": [picture("JPEG", PIXELS[0]), picture("JPEG", PIXELS.transpose(1, 2, 0))],
    "a.gif": [picture("GIF", PIXELS[0])],
    "a.bmp": [picture("BMP", PIXELS.transpose(1, 2, 0))],
    "a.webp": [picture("WEBP", PIXELS.transpose(1, 2, 0))],
    "a.pgm": [
        picture("PPM", PIXELS[0]),
        b"P2 5 4 9\n" + b"1 " * 20,
        b"P5 5 4 999\n" + b"\1\2" * 20,
    ],
    "a.tif": [picture("TIFF", PIXELS[0]), picture("TIFF", DEEP), picture("TIFF", DEEP / 255)],
}

FOLDERS = [
    "cat/1.png", "dog/2.png", "train/cat/1.png", "test/dog/1.png", "Valid/a.png", "val/cat/1.PNG",
    "3.png", ".a/1.png", "cat/._1.png", "cat/deep/er/4.png", "notes.txt", "test.png/1.png",
    "t.csv", "data_batch_1.bin", "batches.meta", "train-images-idx3-ubyte", "\u00e9 b/1.png",
]  # fmt: skip


@pytest.mark.parametrize("deep", DEPTHS)
@pytest.mark.parametrize("name", TABLES)
def test_tables(tmp_path: Path, name: str, deep: bool) -> None:
    def check(data: bytes) -> None:
        path.write_bytes(data)
        with modest(len(data)):
            table = read_table(path)
            assert len(table) > 0
            for column in table.columns:
                assert len(table[column]) == len(table)

    path = tmp_path / name
    explore(check, 25, 250, deep, data=damaged(*TABLES[name]))


@pytest.mark.parametrize("deep", DEPTHS)
@pytest.mark.parametrize("name", IMAGES)
def test_images(tmp_path: Path, name: str, deep: bool) -> None:
    def check(data: bytes) -> None:
        path.write_bytes(data)
        with modest(len(data)):
            for images in read_parts(path).values():
                assert len(np.asarray(images.pixels).tobytes()) == len(images) * np.prod(
                    images.shape
                )

    path = tmp_path / name
    explore(check, 25, 250, deep, data=damaged(*IMAGES[name]))


@pytest.mark.parametrize("deep", DEPTHS)
@pytest.mark.parametrize("name", PICTURES)
def test_image_files(tmp_path: Path, name: str, deep: bool) -> None:
    def check(data: bytes, resized: bool) -> None:
        path.write_bytes(data)
        with modest(len(data)):
            found = read_parts(tmp_path / "images", size=(2, 3) if resized else None)["train"]
            assert found.pixels.shape[0] == 2
            assert found.labels is not None
            assert found.labels.names == ("cat", "dog")

    path = tmp_path / "images" / "cat" / name
    path.parent.mkdir(parents=True)
    (tmp_path / "images" / "dog").mkdir()
    (tmp_path / "images" / "dog" / name).write_bytes(PICTURES[name][0])
    explore(check, 15, 250, deep, data=damaged(*PICTURES[name]), resized=st.booleans())


@pytest.mark.parametrize("deep", DEPTHS)
def test_image_folders(tmp_path: Path, deep: bool) -> None:
    def check(names: set[str], bad: str) -> None:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"no image" if name == bad else PICTURES["a.png"][0])
        with modest(len(names) << 8):
            parts = read_parts(folder)
            assert next(iter(parts)) == "train"
            for images in parts.values():
                assert images.files is not None
                assert len(images) == len(images.files) == len(images.pixels)

    explore(check, 25, 250, deep, names=st.sets(st.sampled_from(FOLDERS), max_size=6),
            bad=st.sampled_from([*FOLDERS, ""]))  # fmt: skip
