"""Paths that users name, and resources."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagi_cli.errors import UserError
from tagi_cli.paths import resource_dir, user_path


def test_a_path_need_not_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/a/b.csv") == tmp_path / "a" / "b.csv"
    (tmp_path / "file").touch()
    assert user_path("~/file/below") == tmp_path / "file" / "below"
    assert user_path("relative") == Path("relative")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a" * 1000, f"^{'a' * 77}\\.\\.\\.: File name too long$"),
        ("~no user/x", "^~no user/x: there is no user of that name$"),
        ("round", "^round: Too many levels of symbolic links$"),
        ("a\0b", "embedded null"),
    ],
)
def test_a_path_where_nothing_can_be(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("round").symlink_to("round")
    with pytest.raises(UserError, match=message):
        user_path(text)


def test_resources_are_found_or_missed_with_a_remedy() -> None:
    assert (resource_dir("configs") / "train.yaml").is_file()
    with pytest.raises(FileNotFoundError, match="install tagi-cli again"):
        resource_dir("no such folder")
