"""Small files of images as they are found in the wild, written byte by byte."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np


def idx_bytes(array: np.ndarray) -> bytes:
    """An array of bytes as an IDX file."""
    head = struct.pack(f">2xBB{array.ndim}I", 8, array.ndim, *array.shape)
    return head + array.astype(np.uint8).tobytes()


def write_mnist(folder: Path, train: int = 60, test: int = 20, *, packed: bool = True) -> None:
    """The four usual files: 6 x 5 pixels, whose first tells the label."""
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, n, seed in (("train", train, 0), ("t10k", test, 1)):
        images, labels = drawn(n, seed)
        for name, array in ((f"{prefix}-images-idx3-ubyte", images),
                            (f"{prefix}-labels-idx1-ubyte", labels)):  # fmt: skip
            data = idx_bytes(array)
            path = folder / (f"{name}.gz" if packed else name)
            path.write_bytes(gzip.compress(data) if packed else data)


def drawn(n: int, seed: int = 0, *shape: int, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """`n` images of random bytes, darker by class, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    images = rng.integers(0, 100, size=(n, *(shape or (6, 5))))
    images += 30 * labels.reshape(-1, *[1] * (images.ndim - 1))
    return images.astype(np.uint8), labels.astype(np.uint8)


def cifar_records(n: int, labels: int = 1, seed: int = 0, classes: int = 10) -> np.ndarray:
    """`(n, labels + 3072)` records; the last label is `row % classes`."""
    rng = np.random.default_rng(seed)
    records = rng.integers(0, 256, size=(n, labels + 3072)).astype(np.uint8)
    records[:, labels - 1] = np.arange(n) % classes
    if labels == 2:
        records[:, 0] = 255
    return records


def write_png(path: Path, image: np.ndarray) -> None:
    """An image `(H, W)` or `(H, W, 3)`."""
    import PIL.Image

    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(image).save(path)
