"""Memory pools that live as long as what they gave.

CuPy's arrays know their pool weakly: with the pool goes the memory, also that of arrays in use.
"""

from __future__ import annotations

import weakref
from typing import Any

_retired: list[Any] = []
"""Pools of backends that are gone, of whose arrays some were left."""


def pool_of(owner: Any, cupy: Any) -> Any:
    """A new pool, to be used by `owner`; it outlives it while arrays are left.

    Args:
        owner: the backend, which must be weakly referable.
        cupy: the module.
    """
    _sweep()
    pool = cupy.cuda.MemoryPool()
    weakref.finalize(owner, _retired.append, pool).atexit = False
    return pool


def _sweep() -> None:
    """Give back what nobody uses any more."""
    for pool in _retired:
        pool.free_all_blocks()
    _retired[:] = [pool for pool in _retired if pool.used_bytes()]
