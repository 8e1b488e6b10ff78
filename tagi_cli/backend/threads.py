"""The number of threads of the BLAS libraries that NumPy and SciPy bring along."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# OpenBLAS as the wheels of NumPy and SciPy name its functions, then as distributions do; MKL.
_NAMES = (
    ("scipy_openblas_get_num_threads64_", "scipy_openblas_set_num_threads64_"),
    ("scipy_openblas_get_num_threads", "scipy_openblas_set_num_threads"),
    ("openblas_get_num_threads64_", "openblas_set_num_threads64_"),
    ("openblas_get_num_threads", "openblas_set_num_threads"),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
)


@contextmanager
def limited(threads: int | None) -> Iterator[None]:
    """Matrix products run on `threads` threads inside the block; None leaves them as they are.

    Works for the OpenBLAS and MKL libraries that are loaded, on Linux; others keep the number that
    their environment variables give them.
    """
    pools = [] if threads is None else list(_pools())
    before = [get() for get, _ in pools]
    try:
        for _, change in pools:
            change(threads)
        yield
    finally:
        for (_, change), count in zip(pools, before, strict=True):
            change(count)


def counts() -> list[int]:
    """Threads of each BLAS library that is loaded."""
    return [get() for get, _ in _pools()]


def _pools() -> Iterator[tuple[Any, Any]]:
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    paths = {line.split(maxsplit=5)[-1] for line in maps.splitlines() if ".so" in line}
    for path in sorted(paths):
        name = Path(path).name.lower()
        if ("openblas" in name or "mkl_rt" in name) and (pool := _functions(path)) is not None:
            yield pool


@functools.cache
def _functions(path: str) -> tuple[Any, Any] | None:
    try:
        library = ctypes.CDLL(path)
    except OSError:
        return None
    for get, change in _NAMES:
        if hasattr(library, change):
            return getattr(library, get), getattr(library, change)
    return None
