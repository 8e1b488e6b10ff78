"""Fixtures of the config engine's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_schema import FILES


@pytest.fixture
def configs(tmp_path: Path) -> Path:
    """The directory of configs of the small schema."""
    directory = tmp_path / "configs"
    for name, text in FILES.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return directory


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
