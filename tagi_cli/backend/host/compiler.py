"""Kernels compiled for this CPU by the system's C++ compiler, kept in a per-user cache.

The cache is a folder that only its user can enter; a library's name is the hash of all that went
into it (sources, compiler, flags, CPU), and it appears under that name only when complete. So
concurrent processes may build the same kernels at once, and a changed source never meets an old
library. Each ends in a hash of its own bytes: one that a full disk or a crash has damaged would
otherwise end the process that loads it; it is compiled anew instead. A library's time of change
is the day of its last use; what has not been used for long, as a newer version of the sources took
its place, is dropped when something is compiled.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

from tagi_cli.backend.notes import say_once
from tagi_cli.backend.sources import expanded, kernel_names
from tagi_cli.errors import UserError
from tagi_cli.paths import resource_dir

FLAGS = (
    "-std=c++17",
    "-O3",
    "-march=native",
    "-fPIC",
    "-shared",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fopenmp",
    "-DTAGI_HOST",
)

_PATIENCE = 300.0
"""Seconds after which a compiler is taken to hang; all kernels take one about ten."""

_DAY = 86400.0

_ABANDONED = _DAY
"""Seconds after which the scratch folder of a process that was killed is cleared away."""

KEPT_FOR = 30
"""Days without use after which a library is dropped."""


class CompilerError(UserError):
    """Kernels cannot be compiled here; the text says why, in one line."""


@cache
def compiler() -> tuple[str, str]:
    """Path and version line of the C++ compiler: `$CXX`, else `c++`.

    Raises:
        CompilerError: there is none.
    """
    name = os.environ.get("CXX") or "c++"
    path = shutil.which(name)
    if path is None:
        raise CompilerError(f"no C++ compiler: '{name}' is not on the PATH")
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        raise CompilerError(f"the C++ compiler {path} does not run: {error}") from None
    return path, answer.stdout.partition("\n")[0]


@cache
def _cpu() -> str:
    """What `-march=native` looks at: the CPU's model and features."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    lines = [x for x in text.splitlines() if re.match(r"(model name|flags|Features)\s*:", x)]
    return "\n".join(sorted(set(lines)))


def cache_folder() -> Path:
    """The per-user cache, `$XDG_CACHE_HOME/tagi/kernels`, made if need be.

    One that others could write to is emptied and closed to them.

    Raises:
        CompilerError: it cannot be made, or belongs to someone else.
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(base) / "tagi" / "kernels"
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if stat.S_ISLNK(status.st_mode) or status.st_uid != os.getuid():
            raise CompilerError(
                f"{folder} does not belong to you; compiled kernels are not trusted"
            )
        if status.st_mode & 0o077:
            folder.chmod(0o700)
        if status.st_mode & 0o022:
            for library in folder.glob("*.so"):
                library.unlink(missing_ok=True)
    except OSError as error:
        raise CompilerError(f"no cache for compiled kernels: {error}") from None
    return folder


def _seal(library: Path) -> None:
    """Append the hash of a library's bytes, which loading ignores."""
    with library.open("r+b") as file:
        file.write(hashlib.sha256(file.read()).digest())


def _sealed(library: Path) -> bool:
    """Whether a library is there, is the user's own file, and is as it was sealed."""
    try:
        status, data = library.lstat(), library.read_bytes()
    except OSError:
        return False
    own = stat.S_ISREG(status.st_mode) and status.st_uid == os.getuid()
    size = hashlib.sha256().digest_size
    whole = hashlib.sha256(data[:-size]).digest() == data[-size:]
    return own and not status.st_mode & 0o022 and whole


def _clear_abandoned(folder: Path) -> None:
    """Remove scratch folders of processes that ended before they could."""
    for path in folder.glob("tmp*"):
        with suppress(FileNotFoundError):  # another process may be about to remove it
            if path.stat().st_mtime < time.time() - _ABANDONED:
                shutil.rmtree(path, ignore_errors=True)


def _mark_used(library: Path) -> None:
    """Let a library's time of change tell the day of its last use."""
    with suppress(OSError):  # the cache may be read-only
        if library.stat().st_mtime < time.time() - _DAY:
            os.utime(library)


def _drop_unused(folder: Path) -> None:
    """Remove libraries that nobody has used for long; whoever has loaded one keeps it."""
    for library in folder.glob("*.so"):
        with suppress(FileNotFoundError):  # another process may be about to remove it
            if library.lstat().st_mtime < time.time() - KEPT_FOR * _DAY:
                library.unlink()


def _source(unit: str, double: bool) -> str:
    """The text to compile: shared header, the unit's files, and a packed entry of each kernel."""
    folder = resource_dir("kernels")
    if unit == "runtime":
        return expanded(folder / "host" / "runtime.cpp")
    host = folder / "host" / f"{unit}.cpp"
    body = expanded(host if host.is_file() else folder / f"{unit}.cu")
    parts = [
        "#define TAGI_DOUBLE\n" if double else "",
        (folder / "tagi.cuh").read_text(),
        body,
        (folder / "host" / "packed.hpp").read_text(),
        *(f"PACKED({name})\n" for name in kernel_names(body)),
    ]
    return "\n".join(parts)


@cache
def units() -> dict[str, str]:
    """The compilation unit of every kernel: file stem in `kernels/` or `kernels/host/`."""
    folder = resource_dir("kernels")
    files = [*sorted(folder.glob("*.cu")), *sorted((folder / "host").glob("*.cpp"))]
    return {name: file.stem for file in files for name in kernel_names(file.read_text())}


def build(names: Iterable[str], double: bool) -> dict[str, Path]:
    """Libraries of the given units, compiled in parallel where the cache lacks them.

    Raises:
        CompilerError: no compiler, no cache, or the compiler failed.
    """
    try:
        return _build(names, double)
    except OSError as error:
        raise CompilerError(f"kernels cannot be compiled: {error}") from None


def _build(names: Iterable[str], double: bool) -> dict[str, Path]:
    folder, (path, version) = cache_folder(), compiler()
    flags = [*FLAGS, *os.environ.get("TAGI_CXXFLAGS", "").split()]
    result: dict[str, Path] = {}
    running: list[tuple[str, Path, Path, subprocess.Popen[str]]] = []
    failed = ""
    try:
        for unit in dict.fromkeys(names):
            source = _source(unit, double)
            key = hashlib.sha256("\0".join([source, path, version, *flags, _cpu()]).encode())
            library = folder / f"{unit}-{key.hexdigest()[:32]}.so"
            result[unit] = library
            if _sealed(library):
                _mark_used(library)
                continue
            if not running:
                say_once("compiling kernels for this CPU (once)")
                _clear_abandoned(folder)
                _drop_unused(folder)
            work = Path(tempfile.mkdtemp(dir=folder))
            file = work / f"{unit}.cpp"
            file.write_text(source)
            process = subprocess.Popen(
                [path, *flags, "-o", str(work / "out.so"), str(file)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,  # it is ended with all that it has started
            )
            running.append((unit, work, library, process))
        end = time.monotonic() + _PATIENCE
        for unit, work, library, process in running:
            _, errors = process.communicate(timeout=max(0.0, end - time.monotonic()))
            if process.returncode == 0:
                _seal(work / "out.so")
                (work / "out.so").chmod(0o500)
                os.replace(work / "out.so", library)
            else:
                line = next((x for x in errors.splitlines() if "error" in x), errors.strip())
                failed = failed or f"{path} failed on kernel file {unit}: {line[:200]}"
    except subprocess.TimeoutExpired:
        failed = f"{path} did not finish within {_PATIENCE:.0f} s"
    finally:
        for _, work, _, process in running:
            with process:
                if process.poll() is None:  # this was interrupted, or failed
                    os.killpg(process.pid, signal.SIGKILL)
            shutil.rmtree(work, ignore_errors=True)
    if failed:
        raise CompilerError(failed)
    return result
