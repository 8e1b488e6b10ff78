"""Where a table of predictions goes."""

from __future__ import annotations

from pathlib import Path

from tagi_cli.errors import UserError
from tagi_cli.paths import user_path

_CSV = (".csv", ".txt", "")
"""Endings of the files that `predict` writes."""


def new_file(output: str | Path, *, overwrite: bool, source: str | Path | None = None) -> Path:
    """The path of a CSV file that can be written.

    Args:
        output: as the user named it.
        overwrite: whether it may be there already.
        source: the file that is read, which is never written over.

    Raises:
        UserError: another ending, no such folder, something is there, or it is what is read.
    """
    path = user_path(output)
    if path.suffix.lower() not in _CSV:
        raise UserError(
            f"output: {path} ends in {path.suffix}, but what is written is CSV. Allowed: a name "
            f"that ends in {_CSV[0]}"
        )
    if not path.parent.is_dir():
        raise UserError(f"output: there is no folder {path.parent}; make it, or name another")
    if path.exists() and not path.is_file():
        raise UserError(f"output: {path} is there and is not a plain file; name another")
    if source is not None and path.exists() and _same(path, user_path(source)):
        raise UserError(f"output: {path} is the input; name another file")
    if path.exists() and not overwrite:
        raise UserError(
            f"output: {path} is there already; name another file, or set overwrite=true"
        )
    return path


def _same(path: Path, other: Path) -> bool:
    """Whether two paths, the first of which exists, lead to one file."""
    return other.exists() and path.samefile(other)
