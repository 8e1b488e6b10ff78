"""A C++ compiler that fails, for tests of what happens then."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tagi_cli.backend.host import backend as host_backend
from tagi_cli.backend.host import compiler
from tagi_cli.backend.notes import say_once


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, compiles: str = "") -> Path:
    """Put it in the place of the system's, with an empty cache of kernels, which is returned.

    Args:
        monkeypatch: undoes it.
        folder: an empty folder to work in.
        compiles: the name of a file that it compiles all the same.
    """
    script = folder / "broken-c++"
    real = shutil.which("c++")
    script.write_text(
        f"""#!/bin/sh
case "$*" in
  --version) echo "broken 1.0" ;;
  *"/{compiles}") exec "{real}" "$@" ;;
  *) echo "error: no memory left" >&2; exit 1 ;;
esac
"""
    )
    script.chmod(0o700)
    monkeypatch.setenv("CXX", str(script))
    forget(monkeypatch, folder)
    return folder / "tagi" / "kernels"


def forget(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Forget compiler, libraries and remarks of this process; caches lie in `folder` now."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setattr(host_backend, "_libraries", {})
    monkeypatch.setattr(compiler, "compiler", compiler.compiler.__wrapped__)
    say_once.cache_clear()
