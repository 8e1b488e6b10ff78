"""What a write that the system refuses says, by its cause."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tagi_cli import atomic
from tagi_cli.errors import UserError


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "no space left on the disk. What was saved before is untouched"),
        (errno.EDQUOT, "no space left on the disk"),
        (errno.EACCES, r"\(Permission denied\)\. Start from a folder that you may write to"),
        (errno.EROFS, r"\(Read-only file system\)\. Start from"),
        (errno.ENAMETOOLONG, r"cannot be written \(File name too long\)$"),
    ],
)
def test_the_cause_decides_the_advice(tmp_path: Path, code: int, message: str) -> None:
    path = tmp_path / "a"
    path.write_text("before", encoding="utf-8")
    with pytest.raises(UserError, match=message), atomic.replacing(path):
        raise OSError(code, os.strerror(code))
    assert path.read_text(encoding="utf-8") == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"a: cannot be written: there is no folder {tmp_path}/no$"):
        atomic.write_text(tmp_path / "no" / "a", "")


def test_json_has_no_numbers_that_json_lacks(tmp_path: Path) -> None:
    value = {"a": [float("nan"), 1.5], "ü": {"b": float("inf")}}
    atomic.write_json(tmp_path / "a", value)
    text = (tmp_path / "a").read_text(encoding="utf-8")
    assert text == '{\n  "a": [\n    null,\n    1.5\n  ],\n  "ü": {\n    "b": null\n  }\n}\n'
