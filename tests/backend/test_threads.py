"""The number of threads of BLAS and of the compiled kernels."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg  # noqa: F401 (loads its BLAS)
from kernel_harness import needs_compiler
from threadpoolctl import threadpool_info

from tagi_cli import nn
from tagi_cli.backend import select, threads
from tagi_cli.backend.host.backend import HostBackend


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


@needs_compiler
def test_results_do_not_depend_on_them() -> None:
    """To the bit, over layers that are large enough for threads to share them."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 2, 30, 30)), rng.normal(size=(40, 12))
    results = []
    for count in (1, 2, 3):
        with threads.limited(count):
            net = nn.Network(
                nn.Sequential(
                    nn.Conv2d(0, 8, 5),
                    nn.BatchNorm2d(0),
                    nn.MixtureReLU(),
                    nn.AvgPool2d(3, 2),
                    nn.ConvTranspose2d(0, 9, 4),
                    nn.MaxPool2d(2, 2),
                    nn.Reshape((21, 21)),
                    nn.MultiheadAttention(21, 3),
                    nn.LayerNorm((21, 21)),
                    nn.Linear(0, 300),
                    nn.Linear(0, 12),
                ),
                (2, 30, 30),
                backend=select(kernels="host"),
                rng=np.random.default_rng(1),
            )
            output = net(x)
            nn.OutputUpdater(net).update(y, np.ones(1))
            net.backward()
            net.step()
            results.append((output.mu, output.var, net.parameters.mu, net.parameters.var))
    assert all(np.isfinite(array).all() for array in results[0])
    for others in results[1:]:
        for one, other in zip(results[0], others, strict=True):
            np.testing.assert_array_equal(one, other)
