"""The number of CPU threads: of the BLAS behind NumPy, and of the compiled kernels (OpenMP)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from threadpoolctl import threadpool_info, threadpool_limits


def limited(threads: int | None) -> AbstractContextManager[Any]:
    """Kernels and matrix products run on `threads` threads inside the block.

    None leaves them as they are. Only libraries that are loaded on entry are limited, so choose the
    backend first.
    """
    return nullcontext() if threads is None else threadpool_limits(threads)


def counts() -> list[int]:
    """Threads of each pool that is loaded."""
    return [pool["num_threads"] for pool in threadpool_info()]
