"""`tagi doctor`: what this machine offers, which kernels are in use, and why."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tagi_cli.errors import UserError
from tagi_cli.experiment import provenance

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Finding:
    """One line of the examination: topic, what was found, and whether all is well."""

    topic: str
    found: str
    well: bool = True


def examine() -> list[Finding]:
    """Look at Python, libraries, threads, compiler, GPU, and the kernel path that results."""
    versions = provenance.versions()
    libraries = ", ".join(
        f"{name} {version}" for name, version in versions.items() if name not in ("python", "tagi")
    )
    return [
        Finding("tagi", f"{versions['tagi']} in {Path(__file__).resolve().parents[1]}"),
        Finding("Python", f"{versions['python']} ({sys.executable})"),
        Finding("libraries", libraries),
        Finding("processor", f"{provenance.processor()}, {provenance.available_cores()} cores"),
        *_threads(),
        _compiler(),
        *_gpu(),
        _kernels(),
        _cache(),
        _outputs(),
    ]


def _threads() -> list[Finding]:
    found = []
    for name, library, threads in blas():
        well = threads <= provenance.available_cores()
        more = "" if well else ": more threads than cores, set OMP_NUM_THREADS"
        found.append(Finding("BLAS", f"{name} ({library}), {threads} threads{more}", well))
    for variable in THREAD_VARIABLES:
        if variable in os.environ:
            found.append(Finding("threads", f"{variable}={os.environ[variable]}"))
    return found or [Finding("BLAS", f"the one NumPy was built with{_thread_counts()}")]


def _thread_counts() -> str:
    from tagi_cli.backend import threads

    counts = threads.counts()
    return f", {max(counts)} threads" if counts else ""


def blas() -> list[tuple[str, str, int]]:
    """Name with version, file and threads of each BLAS that is loaded; empty if unknown."""
    try:
        threadpoolctl = importlib.import_module("threadpoolctl")
    except ImportError:
        return []
    import numpy as np
    import scipy.linalg

    # Libraries are known once they are loaded, which their first use does.
    scipy.linalg.get_blas_funcs("gemm", (np.zeros((1, 1)),))
    return [
        (
            f"{pool['internal_api']} {pool.get('version') or ''}".strip(),
            Path(str(pool["filepath"])).name,
            int(pool["num_threads"]),
        )
        for pool in threadpoolctl.threadpool_info()
        if pool["user_api"] == "blas"
    ]


def _compiler() -> Finding:
    command = os.environ.get("CXX") or "c++"
    path = shutil.which(command.split()[0])
    if path is None:
        return Finding("C++ compiler", f"'{command}' is not installed")
    version = _first_line([path, "--version"])
    return Finding("C++ compiler", f"{version or 'of unknown version'} ({path})")


def _gpu() -> list[Finding]:
    command = shutil.which("nvidia-smi")
    if command is None:
        return [Finding("GPU", "no NVIDIA driver (nvidia-smi is not installed)"), _cupy()]
    query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    line = _first_line([command, *query])
    return [Finding("GPU", line or "nvidia-smi finds none"), _cupy()]


def _cupy() -> Finding:
    """Whether `device=cuda` works, and why not."""
    from tagi_cli.backend.select import select, without_gpu

    reason = without_gpu()
    if reason:
        return Finding("CUDA", f"not used: {reason}")
    try:
        return Finding("CUDA", select("cuda").describe())
    except UserError as error:
        return Finding("CUDA", str(error), False)


def _kernels() -> Finding:
    """The path that `device: auto`, `kernels: auto` take, and why not the compiled one."""
    from tagi_cli import backend
    from tagi_cli.backend import threads
    from tagi_cli.backend.host.compiler import CompilerError

    used = backend.select("auto")
    found = used.describe()
    if used.name == "host":
        found += f", {max(threads.counts(), default=1)} threads"
    elif used.name == "numpy":
        try:
            backend.select(kernels="host")
        except CompilerError as error:
            found += f", which is slower: {error}"
    return Finding("kernels", found)


def _cache() -> Finding:
    """Where compiled kernels are kept, how many there are, and for how long."""
    from tagi_cli.backend.host.compiler import KEPT_FOR, CompilerError, cache_folder
    from tagi_cli.experiment.summary import byte_words

    try:
        folder = cache_folder()
    except CompilerError as error:
        return Finding("cache", str(error), False)
    sizes = []
    for path in folder.glob("*.so"):
        with suppress(FileNotFoundError):  # another process may be about to drop it
            sizes.append(path.stat().st_size)
    if not os.access(folder, os.W_OK):
        return Finding("cache", f"{folder} is not writable; new kernels run on NumPy", False)
    found = f"{folder}, {len(sizes)} libraries, {byte_words(sum(sizes))}"
    return Finding("cache", f"{found}; dropped after {KEPT_FOR} days without use")


def _outputs() -> Finding:
    folder = Path.cwd()
    if not os.access(folder, os.W_OK):
        return Finding("outputs", f"{folder} is not writable; runs could not leave results", False)
    free = shutil.disk_usage(folder).free
    return Finding("outputs", f"{folder / 'outputs'}, {free / 1e9:.1f} GB free", free > 1e8)


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    lines = done.stdout.strip().splitlines()
    return lines[0] if done.returncode == 0 and lines else ""
