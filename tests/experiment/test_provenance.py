"""Where a result comes from: facts about the machine, with and without git."""

from __future__ import annotations

import json
import platform
import re
import subprocess
from pathlib import Path

import broken_compiler
import numpy as np
import pytest
from kernel_harness import needs_compiler

from tagi_cli.experiment import doctor, provenance
from tagi_cli.version import __version__


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_the_environment_is_json_and_names_the_versions() -> None:
    found = json.loads(json.dumps(provenance.environment()))
    assert found["versions"]["python"] == platform.python_version()
    assert found["versions"]["numpy"] == np.__version__
    assert found["versions"]["tagi"] == __version__
    assert found["cores"] >= 1
    assert found["processor"]


def test_commit_of_the_repository_and_whether_it_was_changed(tmp_path: Path) -> None:
    assert provenance.git_commit(tmp_path) is None
    git(tmp_path, "init")
    assert provenance.git_commit(tmp_path) is None
    (tmp_path / "a").write_text("1", encoding="utf-8")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "a")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "untracked").touch()
    assert provenance.git_commit(tmp_path) == commit
    (tmp_path / "a").write_text("2", encoding="utf-8")
    assert provenance.git_commit(tmp_path) == f"{commit}+changes"
    assert provenance.git_commit(tmp_path, "b", "c/*.py") == commit
    assert provenance.git_commit(tmp_path, "b", "a") == f"{commit}+changes"


def test_no_git_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.git_commit(tmp_path) is None


def test_the_doctor_examines_every_topic() -> None:
    topics = {finding.topic: finding for finding in doctor.examine()}
    assert {
        "tagi",
        "Python",
        "libraries",
        "processor",
        "BLAS",
        "kernels",
        "cache",
        "GPU",
    } <= topics.keys()
    assert all("\n" not in finding.found for finding in topics.values())
    assert f"{provenance.available_cores()} cores" in topics["processor"].found


def test_the_doctor_tells_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    topics = {finding.topic: finding.found for finding in doctor.examine()}
    assert "'no-such-compiler' is not installed" in topics["C++ compiler"]
    assert "no NVIDIA driver" in topics["GPU"]


@needs_compiler
def test_the_doctor_shows_the_cache_and_the_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_compiler.forget(monkeypatch, tmp_path)
    topics = {finding.topic: finding for finding in doctor.examine()}
    assert topics["kernels"].found.startswith("C++ kernels (")
    assert topics["kernels"].found.endswith(" threads")
    assert topics["cache"].found.startswith(f"{tmp_path / 'tagi' / 'kernels'}, 1 libraries, ")
    assert topics["cache"].well


def test_the_doctor_says_why_kernels_are_not_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_compiler.forget(monkeypatch, tmp_path)
    monkeypatch.setenv("CXX", "no-such-compiler")
    topics = {finding.topic: finding for finding in doctor.examine()}
    assert re.match(
        r"NumPy .*, float32, which is slower: no C\+\+ compiler: 'no-such-compiler'",
        topics["kernels"].found,
    )
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    topics = {finding.topic: finding for finding in doctor.examine()}
    assert "which is slower: no cache for compiled kernels: " in topics["kernels"].found
    assert topics["cache"].found.startswith("no cache for compiled kernels: ")
    assert not topics["cache"].well


def test_the_doctor_finds_a_cache_that_is_only_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_compiler.forget(monkeypatch, tmp_path)
    monkeypatch.setattr(doctor.os, "access", lambda path, mode: False)
    topics = {finding.topic: finding for finding in doctor.examine()}
    assert "is not writable; new kernels run on NumPy" in topics["cache"].found
    assert not topics["cache"].well
