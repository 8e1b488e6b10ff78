"""Image files: what each kind of them holds, and what none may cost."""

from __future__ import annotations

import struct
import tracemalloc
import warnings
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from image_files import drawn, write_png

from tagi_cli.data.images.decoding import read_files
from tagi_cli.errors import UserError

COLOUR = drawn(1, 0, 6, 5, 3)[0][0]


def png(height: int, width: int, data: bytes = b"") -> bytes:
    """A grey image whose head says that it is of this size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(data, 9)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("mode", "channels"), [("1", 1), ("L", 1), ("LA", 1), ("P", 3), ("RGB", 3), ("RGBA", 3)]
)
def test_modes(tmp_path: Path, mode: str, channels: int) -> None:
    image = PIL.Image.fromarray(COLOUR).convert(mode)
    image.save(tmp_path / "a.png")
    want = np.asarray(image.convert("L" if channels == 1 else "RGB")).reshape(6, 5, channels)
    np.testing.assert_array_equal(read_files([tmp_path / "a.png"], None, None), want[None])


def test_transparency_is_left_out(tmp_path: Path) -> None:
    alpha = np.zeros((6, 5, 1), np.uint8)
    PIL.Image.fromarray(np.concatenate([COLOUR, alpha], axis=2)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_files([tmp_path / "a.png"], None, None)[0], COLOUR)
    palette = PIL.Image.fromarray(COLOUR).convert("P")
    palette.info["transparency"] = bytes(range(200, 255))
    palette.save(tmp_path / "p.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_files([tmp_path / "p.png"], None, None)[0]
    np.testing.assert_array_equal(found, np.asarray(palette.convert("RGBA"))[..., :3])


@pytest.mark.parametrize("ending", ["png", "pgm", "tif"])
def test_of_sixteen_bits_the_upper_eight_are_kept(tmp_path: Path, ending: str) -> None:
    deep = (np.arange(30).reshape(6, 5) * 2000).astype(np.uint16)
    path = tmp_path / f"a.{ending}"
    if ending == "pgm":
        path.write_bytes(b"P5 5 6 65535\n" + deep.astype(">u2").tobytes())
    else:
        write_png(path, deep)
    np.testing.assert_array_equal(read_files([path], None, None)[0, ..., 0], deep >> 8)


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_numbers_that_are_no_bytes(tmp_path: Path, kind: type) -> None:
    path = tmp_path / "a.tif"
    whole = np.arange(30).reshape(6, 5).astype(kind)
    write_png(path, whole)
    np.testing.assert_array_equal(read_files([path], None, None)[0, ..., 0], whole)
    write_png(path, whole * 10)
    with pytest.raises(UserError, match=r"a\.tif: pixel values between 0 and 290 .* 0 to 255"):
        read_files([path], None, None)
    if kind is np.float32:
        write_png(path, whole / 100)
        with pytest.raises(UserError, match=r"Multiply them by 255, round, and save them as uint8"):
            read_files([path], None, None)


def test_a_name_does_not_choose_what_decodes_a_file(tmp_path: Path) -> None:
    """Postscript, say, is run by another program."""
    path = tmp_path / "a.png"
    write_png(tmp_path / "a.bmp", COLOUR)
    (tmp_path / "a.bmp").rename(path)
    np.testing.assert_array_equal(read_files([path], None, None)[0], COLOUR)
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 6\nshowpage\n")
    with pytest.raises(UserError, match=r"a\.png: the image cannot be read \(cannot identify"):
        read_files([path], None, None)


@pytest.mark.parametrize(("height", "width"), [(9_000, 9_000), (10_000, 10_000), (10**9, 10**9)])
@pytest.mark.parametrize("size", [None, (4, 4)])
def test_a_head_that_lies_reserves_no_memory(
    tmp_path: Path, height: int, width: int, size: tuple[int, int] | None
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(height, width))
    with pytest.raises(UserError, match=r"a\.png: .*(unpack to|limit of|[Tt]oo large|invalid)"):
        read_files([path], size, None)


def test_many_small_files_are_held_to_what_they_are(tmp_path: Path) -> None:
    """Eight times 16 MiB in 16 kB each."""
    data = png(4096, 4096, bytes(4096 * 4097))
    assert len(data) < 20_000
    files = [tmp_path / f"{k}.png" for k in range(8)]
    for file in files:
        file.write_bytes(data)
    assert read_files(files[:1], None, None).shape == (1, 4096, 4096, 1)
    assert read_files(files, (3, 2), None).shape == (8, 3, 2, 1)
    tracemalloc.start()
    with pytest.raises(UserError, match=r"8 images of 4096 x 4096 pixels take 134217728 bytes"):
        read_files(files, None, None)
    assert tracemalloc.get_traced_memory()[1] < 1 << 22
    tracemalloc.stop()
    one = png(600, 600, bytes(600 * 601))
    for file in files:
        file.write_bytes(one)
    assert read_files(files * 30, None, None).shape == (240, 600, 600, 1)
