"""The number of threads of BLAS and of the compiled kernels."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg  # noqa: F401 (loads its BLAS)
from kernel_harness import needs_compiler
from threadpoolctl import threadpool_info, threadpool_limits

from tagi_cli import nn
from tagi_cli.backend import Call, select, threads
from tagi_cli.backend.base import Segment
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


def product(backend: HostBackend, seed: int = 0) -> tuple[Segment, np.ndarray, np.ndarray]:
    """A matrix product large enough to be shared, its result, and what that should be."""
    rng = np.random.default_rng(seed)
    mu_a, mu_w = (rng.normal(size=shape).astype(np.float32) for shape in ((200, 300), (400, 300)))
    var_w, mu_z, var_z = np.ones_like(mu_w), *np.empty((2, 200, 400), np.float32)
    arrays = (mu_z, var_z, mu_a, None, mu_w, var_w, None, None, np.empty_like(mu_a))
    sizes = (np.int32(200), np.int32(300), np.int32(400))
    return backend.bind([Call("linear_forward", (*arrays, *sizes))]), mu_z, mu_a @ mu_w.T


@needs_compiler
def test_threads_of_the_program_may_run_kernels_at_the_same_time() -> None:
    backend = HostBackend()
    products = [product(backend, seed) for seed in range(4)]

    def run(segment: Segment) -> None:
        # OpenMP's number is each thread's own; that of BLAS is the process's.
        with threadpool_limits(3, "openmp"):
            segment.run(50)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, [segment for segment, _, _ in products]))
    for _, found, expected in products:
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


SCRIPT = """
import os, signal, sys
import numpy as np
from test_threads import product
from threadpoolctl import threadpool_limits
from tagi_cli.backend.host.backend import HostBackend

def tasks():
    return set(os.listdir("/proc/self/task"))

segment, found, expected = product(HostBackend())
known = tasks()
def made(count):
    with threadpool_limits(count, "openmp"):
        segment.run(20)
    return tasks() - known

assert made(1) == set()
workers = made(3)
assert len(workers) == 2, workers
for worker in workers:  # signals are for the program
    status = open(f"/proc/self/task/{worker}/status").read()
    blocked = int(status.partition("SigBlk:")[2].split()[0], 16)
    assert blocked >> (signal.SIGINT - 1) & 1 and blocked >> (signal.SIGTERM - 1) & 1
assert made(2) == workers
child = os.fork()
found[:] = 0
known = tasks()
made(3)
assert np.allclose(found, expected, rtol=1e-4, atol=1e-4)
if child == 0:
    os._exit(0 if len(tasks()) == len(known) + 2 else 1)
assert os.waitpid(child, 0)[1] == 0
"""


@needs_compiler
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks into /proc")
def test_no_more_threads_than_allowed_and_new_ones_after_a_fork() -> None:
    here = [str(Path(__file__).parent), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(here), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100)
    assert done.returncode == 0, done.stderr
