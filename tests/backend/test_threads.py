"""The number of threads of BLAS and of the compiled kernels."""

from __future__ import annotations

import pytest
import scipy.linalg  # noqa: F401 (loads its BLAS)
from kernel_harness import needs_compiler
from threadpoolctl import threadpool_info

from tagi_cli.backend import threads
from tagi_cli.backend.host_backend import HostBackend


def test_limit_holds_inside_only() -> None:
    before = threads.counts()
    with threads.limited(1):
        assert set(threads.counts()) == {1}
        with threads.limited(2):
            assert set(threads.counts()) == {2}
        assert set(threads.counts()) == {1}
    assert threads.counts() == before


def test_no_limit_changes_nothing() -> None:
    before = threads.counts()
    with threads.limited(None):
        assert threads.counts() == before


def test_an_exception_lifts_it() -> None:
    before = threads.counts()
    with pytest.raises(MemoryError), threads.limited(1):
        raise MemoryError
    assert threads.counts() == before


@needs_compiler
def test_compiled_kernels_are_limited_too() -> None:
    HostBackend()
    with threads.limited(1):
        openmp = [pool for pool in threadpool_info() if pool["user_api"] == "openmp"]
        assert openmp
        assert all(pool["num_threads"] == 1 for pool in openmp)
