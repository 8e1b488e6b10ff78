"""Checkpoints: named arrays and metadata in one safetensors file, with its sha256 beside it.

Both files are replaced by renaming, the one with the digest first. It also names the digest of the
file that is about to be replaced, so that a crash between the two does no harm.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from tagi_cli import atomic
from tagi_cli.errors import UserError
from tagi_cli.training import csv_checkpoint
from tagi_cli.training.interface import Tensors

FORMAT = 1
"""Version of the layout of checkpoints; a reader refuses any other."""

KINDS = {
    "model": "a model only, no state of its training",
    "training": "a model and the state of its training",
}

_KEY = "tagi"


def digest_path(path: Path) -> Path:
    """The file with the sha256 of a checkpoint, in the form that `sha256sum -c` reads."""
    return path.with_name(path.name + ".sha256")


def write(
    path: Path,
    tensors: Mapping[str, NDArray[Any]],
    metadata: Mapping[str, Any],
    kind: str = "model",
    *,
    replaces: Collection[str] | None = None,
) -> str:
    """Replace the checkpoint `path`; if that fails, the one that was there stays as it was.

    Args:
        path: file to write, `<name>.safetensors`.
        tensors: the arrays.
        metadata: a JSON-able mapping.
        kind: one of `KINDS`.
        replaces: digests of which the present file has one; None takes them from the file beside.

    Returns:
        The sha256 of the file, in hexadecimal digits.

    Raises:
        UserError: it cannot be written (disk full, no permission, no such folder).
    """
    header = {"format": FORMAT, "kind": kind, "metadata": metadata}
    before = _known_digests(path) if replaces is None else replaces
    hashed = hashlib.sha256()
    with atomic.replacing(path) as file:
        for piece in _encoded(tensors, {_KEY: json.dumps(header)}):
            file.write(piece)
            hashed.update(piece)
        lines = [f"{hashed.hexdigest()}  {path.name}"]
        lines += [f"# replaces {old}" for old in sorted(before)]
        atomic.write_text(digest_path(path), "\n".join(lines) + "\n")
    return hashed.hexdigest()


def read(path: Path, kind: str | None = None) -> tuple[Tensors, dict[str, Any]]:
    """Tensors and metadata of a checkpoint file, or of a folder that `export_csv` wrote.

    Args:
        path: the file or folder.
        kind: refuse a checkpoint of another kind.

    Raises:
        UserError: no such file, damaged or incomplete, not a checkpoint, of another version or
            kind.
    """
    if path.is_dir():
        tensors, header = csv_checkpoint.read(path)
    else:
        tensors, header = _read_file(path)
    if not isinstance(header, dict) or not isinstance(header.get("metadata"), dict):
        raise UserError(f"{path}: its metadata are not those of a checkpoint of tagi")
    if header.get("format") != FORMAT:
        raise UserError(
            f"{path}: checkpoint format {header.get('format')}, but this version of tagi reads "
            f"format {FORMAT}. Use the version of tagi that wrote it"
        )
    if kind is not None and header.get("kind") != kind:
        found = KINDS.get(str(header.get("kind")), f"kind '{header.get('kind')}'")
        raise UserError(f"{path}: holds {found}; needed is {KINDS[kind]}")
    return tensors, dict(header["metadata"])


def export_csv(
    folder: Path,
    tensors: Mapping[str, NDArray[Any]],
    metadata: Mapping[str, Any],
    kind: str = "model",
) -> None:
    """Write a checkpoint as a folder of CSV files, digit for digit; see `csv_checkpoint`.

    Raises:
        UserError: it cannot be written, or `folder` is something else that must not be replaced.
    """
    csv_checkpoint.write(
        folder, tensors, {"format": FORMAT, "kind": kind, "metadata": dict(metadata)}
    )


def _read_file(path: Path) -> tuple[Tensors, dict[str, Any]]:
    if not path.exists():
        there = sorted(file.name for file in path.parent.glob("*.safetensors"))
        hint = f"; its folder has {', '.join(there)}" if there else ""
        raise UserError(f"{path}: no such checkpoint{hint}")
    known = _known_digests(path)
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if known and found not in known:
        raise UserError(
            f"{path}: is damaged or incomplete: its sha256 is not the one in "
            f"{digest_path(path).name}"
        )
    try:
        with safe_open(path, framework="np") as opened:
            header = json.loads(opened.metadata()[_KEY])
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (ValueError, KeyError, TypeError, RecursionError, SafetensorError):
        raise UserError(
            f"{path}: is not a checkpoint of tagi; those are .safetensors files with metadata"
        ) from None
    if not known:
        raise UserError(
            f"{path}: {digest_path(path).name} is missing beside it, so that damage cannot be "
            "ruled out; copy the two together"
        )
    return tensors, header


def _encoded(
    tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> Iterator[bytes | memoryview]:
    """The safetensors file of tensors, piece by piece, so that none of them is held twice.

    It begins with the length of the header, 8 bytes, and the header, JSON, of a multiple of 8
    bytes; large elements come first. So all are aligned.
    """
    entries: dict[str, Any] = {"__metadata__": dict(metadata)}
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    place = 0
    for name in order:
        array = tensors[name]
        kind = {"b": "BOOL", "f": "F", "i": "I", "u": "U"}[array.dtype.kind]
        entries[name] = {
            "dtype": kind if kind == "BOOL" else f"{kind}{8 * array.dtype.itemsize}",
            "shape": array.shape,
            "data_offsets": (place, place + array.nbytes),
        }
        place += array.nbytes
    header = json.dumps(entries).encode()
    header += b" " * (-len(header) % 8)
    yield len(header).to_bytes(8, "little")
    yield header
    for name in order:
        array = tensors[name]
        little = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
        yield little.reshape(-1).view(np.uint8).data


def _known_digests(path: Path) -> set[str]:
    """The digests that the file may have: the one written last and the one it replaced."""
    try:
        lines = digest_path(path).read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, UnicodeDecodeError):
        return set()
    except OSError as error:
        raise UserError(f"{digest_path(path)}: cannot be read ({error.strerror})") from error
    fields = [line.removeprefix("# replaces ").split() for line in lines]
    return {words[0] for words in fields if words and len(words[0]) == 64}
