"""environment.json: where a result comes from, and what is needed to have it again."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_PACKAGES = (
    "numpy",
    "scipy",
    "hydra-core",
    "omegaconf",
    "safetensors",
    "matplotlib",
    "cupy",
    "mpi4py",
)
_GIT_SECONDS = 5


def environment() -> dict[str, Any]:
    """Facts about the machine and its software, the same for every run of this process."""
    return {
        "started": datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": processor(),
        "cores": available_cores(),
        "working_directory": str(Path.cwd()),
        "git_commit": git_commit(Path.cwd()),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Versions of Python, tagi and the packages that its numbers depend on, where installed."""
    from tagi_cli.version import __version__

    found = {"python": platform.python_version(), "tagi": __version__}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def available_cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """The processor's name as the system tells it, or its kind."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def git_commit(folder: Path, *paths: str) -> str | None:
    """Commit of the repository around `folder`, with `+changes` if files differ from it.

    Only files below `paths` count for that, patterns as git takes them in `folder`, where there are
    any. None without git or outside a repository: a run does not need one.
    """
    if shutil.which("git") is None:
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", *paths)
    return f"{commit}+changes" if changes else commit


def _git(folder: Path, *arguments: str) -> str | None:
    # A repository may name programs to run on such queries; none of them is needed here.
    safe = ["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]
    try:
        done = subprocess.run(
            ["git", *safe, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
