"""NPZ archives and gzip files: what no header can make a reader do."""

from __future__ import annotations

import gzip
import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import polars
import pytest

from tagi_cli.data import read_table
from tagi_cli.data.archive import read_archive
from tagi_cli.data.images.sources import read_parts
from tagi_cli.errors import UserError

MEGABYTE = 1 << 20


def header(descr: str, shape: tuple[int, ...]) -> bytes:
    """The header of an NPY file."""
    file = io.BytesIO()
    described = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)
    return file.getvalue()


def archive(path: Path, members: list[tuple[str, bytes]], packed: bool = False) -> Path:
    """A zip archive of these members."""
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members:
            file.writestr(name, data)
    return path


def test_arrays_of_every_kind_are_read(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6.0).reshape(2, 3).T, "t": np.array(["u", "vw"]), "n": np.int16(3)}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        found = read_archive(tmp_path / "a.npz", "a.npz")
        assert list(found) == list(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("a.npy", header("<f8", (1 << 40,)))], r"0 bytes long, and its header announces"),
        ([("a.npy", header("<U0", (1 << 40,)))], "elements have no size"),
        ([("a.npy", header("|O", (0,)))], "Object arrays cannot be read"),
        ([("a.txt", b"no array")], "not a readable NPZ file"),
        ([("a.npy", header("<f8", (0,))), ("a", header("<f8", (0,)))], "two arrays are called 'a'"),
    ],
)
def test_headers_that_lie(tmp_path: Path, members: list[tuple[str, bytes]], message: str) -> None:
    path = archive(tmp_path / "a.npz", members)
    with pytest.raises(UserError, match=message):
        read_table(path)


def test_a_directory_that_lies_about_sizes(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", [("a.npy", header("<f8", (1 << 20,)))])
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\1\2") + 24  # the unpacked size in the central directory
    data[place : place + 4] = (len(header("<f8", (1 << 20,))) + (8 << 20)).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(UserError, match="is not packed as NumPy does"):
        read_table(path)


@pytest.mark.parametrize("name", ["a.npz", "a.csv.gz", "a-idx3-ubyte.gz", "a.parquet"])
def test_bombs_do_not_go_off(tmp_path: Path, name: str) -> None:
    path, size = tmp_path / name, 100 * MEGABYTE
    if name == "a.npz":
        archive(path, [("a.npy", header("|u1", (size,)) + bytes(size))], packed=True)
    elif name == "a.parquet":
        polars.DataFrame({"a": np.zeros(size // 8)}).write_parquet(path)
    elif name == "a.csv.gz":
        path.write_bytes(gzip.compress(b"a,b\n" + b"1,1\n" * 2 + b"1" * size))
    else:
        sizes = np.array([size >> 10, 32, 32], ">i4").tobytes()
        path.write_bytes(gzip.compress(b"\0\0\x08\3" + sizes + bytes(size)))
    tracemalloc.start()
    with pytest.raises(UserError, match=r"bytes that unpack to .* at most 200 times the file"):
        read_parts(path) if "idx" in name else read_table(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < {"a.npz": 2, "a-idx3-ubyte.gz": 70}.get(name, 400) * MEGABYTE


def test_a_cut_gzip_file_of_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress("a,b\n1,é\n".encode("latin-1") * 9)[:-6])
    with pytest.raises(UserError, match=r"a\.csv\.gz"):
        read_table(path)
