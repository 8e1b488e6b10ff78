"""Files that are never half written: beside their place, flushed to disk, then renamed."""

from __future__ import annotations

import errno
import json
import math
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tagi_cli.errors import UserError


def cannot_write(path: Path, error: OSError) -> UserError:
    """The user's message for a write that the system refused."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(
            f"{path}: no space left on the disk. What was saved before is untouched; free some "
            "space, or start from a folder on another disk"
        )
    if isinstance(error, FileNotFoundError) and not path.parent.is_dir():
        return UserError(f"{path}: cannot be written: there is no folder {path.parent}")
    message = f"{path}: cannot be written ({error.strerror or error})"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        message += ". Start from a folder that you may write to"
    return UserError(message)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that takes the place of `path` when the block ends without an exception.

    Until then, and for ever when the block fails, what stood at `path` stays as it was.

    Raises:
        UserError: the file cannot be written (no permission, disk full, no such folder).
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        try:
            with beside.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` in UTF-8."""
    with replacing(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by `value` as JSON; see `json_text`."""
    write_text(path, json_text(value) + "\n")


def json_text(value: Any) -> str:
    """A value as JSON; NaN and infinities, which JSON lacks, become null."""
    return json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the file system allows to open a folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot flush a folder; the file's own data is already safe.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
