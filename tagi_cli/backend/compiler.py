"""Kernels compiled for this CPU by the system's C++ compiler, kept in a per-user cache.

The cache is a folder that only its user can enter; a library's name is the hash of all that went
into it (sources, compiler, flags, CPU), and it appears under that name only when complete. So
concurrent processes may build the same kernels at once, and a changed source never meets an old
library.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable
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

    Raises:
        CompilerError: it cannot be made, belongs to someone else, or others may write to it.
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(base) / "tagi" / "kernels"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise CompilerError(f"no cache for compiled kernels: {error}") from None
    if stat.S_ISLNK(status.st_mode) or status.st_uid != os.getuid():
        raise CompilerError(f"{folder} does not belong to you; compiled kernels are not trusted")
    if status.st_mode & 0o077:
        folder.chmod(0o700)
    return folder


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
            if library.is_file():
                continue
            if not running:
                say_once("compiling kernels for this CPU (once)")
            work = Path(tempfile.mkdtemp(dir=folder))
            file = work / f"{unit}.cpp"
            file.write_text(source)
            process = subprocess.Popen(
                [path, *flags, "-o", str(work / "out.so"), str(file)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            running.append((unit, work, library, process))
        for unit, work, library, process in running:
            _, errors = process.communicate()
            if process.returncode == 0:
                (work / "out.so").chmod(0o500)
                os.replace(work / "out.so", library)
            else:
                line = next((x for x in errors.splitlines() if "error" in x), errors.strip())
                failed = failed or f"{path} failed on kernel file {unit}: {line[:200]}"
    finally:
        for _, work, _, process in running:
            with process:
                process.kill()  # if it still runs: this was interrupted, or failed
            shutil.rmtree(work, ignore_errors=True)
    if failed:
        raise CompilerError(failed)
    return result
