"""Whatever lies in a file: readers read it or say what is wrong, and take no more than it holds."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

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
