"""The number of BLAS threads."""

from __future__ import annotations

import pytest
import scipy.linalg  # noqa: F401 (loads its BLAS)

from tagi_cli.backend import threads

if not threads.counts():
    pytest.skip("no OpenBLAS or MKL is known here", allow_module_level=True)


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


def test_another_library_finds_the_same() -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")
    with threads.limited(1):
        pools = [p for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"]
        assert [pool["num_threads"] for pool in pools] == [1] * len(threads.counts())
