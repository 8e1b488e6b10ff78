"""Runs a kernel on a compiled backend and compares it with its NumPy reference.

The backend is the CPU's, or what `compiled` was set to.

Every array lies between margins of NaN (or of a sentinel, for integers): a read past an end shows
in the result, a write past an end in the margin.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tagi_cli.backend import Backend, Call
from tagi_cli.backend.host.backend import HostBackend
from tagi_cli.backend.reference import KERNELS

MARGIN = 64
SENTINEL = -(2**30) + 77
# Sizes below, at and across the widths of vectors and tiles.
SIZES = (1, 2, 7, 16, 17, 64, 100, 1023)

needs_compiler = pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")


compiled: Callable[[str], Backend] = HostBackend


def _guarded(array: np.ndarray[Any, Any], backend: Backend) -> tuple[Any, Any]:
    """A copy of an array on the device, inside a buffer with margins, and that buffer."""
    buffer = np.full(array.size + 2 * MARGIN, np.nan if array.dtype.kind == "f" else SENTINEL)
    buffer[MARGIN : MARGIN + array.size] = array.ravel()
    device = backend.asarray(buffer, array.dtype)
    return device[MARGIN : MARGIN + array.size].reshape(array.shape), device


def run(kernel: str, *arguments: Any, precision: str = "float32") -> list[Any]:
    """The arguments, arrays as the compiled kernel leaves them; none is changed in place."""
    backend = compiled(precision)
    values = [backend.asarray(a, a.dtype) if isinstance(a, np.ndarray) else a for a in arguments]
    backend.bind([Call(kernel, tuple(values))]).run()
    return [
        backend.to_host(value) if isinstance(a, np.ndarray) else a
        for value, a in zip(values, arguments, strict=True)
    ]


def assert_agrees(
    kernel: str,
    *arguments: Any,
    precision: str = "float32",
    rtol: float | None = None,
    atol: float | None = None,
    scratch: int | None = None,
) -> None:
    """Assert that the compiled kernel does to its arrays what the reference does.

    Args:
        kernel: name.
        arguments: arrays (floats are cast to `precision` unless float64 is meant: pass those as
            `Exact(array)`), None, ints, floats.
        precision: `float32` or `float64`.
        rtol: relative to the largest element of each array; by default 2e-5 and 1e-12.
        atol: absolute tolerance, added to it.
        scratch: position of the scratch argument, which is not compared.
    """
    backend = compiled(precision)
    real = np.dtype(precision)
    rtol = (2e-5 if precision == "float32" else 1e-12) if rtol is None else rtol

    def typed(a: Any) -> Any:
        if isinstance(a, Exact):
            return a.array
        if isinstance(a, np.ndarray):
            return a.astype(real) if a.dtype.kind == "f" else a.astype(np.int32)
        return np.int32(a) if isinstance(a, int) else real.type(a) if isinstance(a, float) else a

    values = [typed(a) for a in arguments]
    expected = [a.copy() if isinstance(a, np.ndarray) else a for a in values]
    with np.errstate(all="ignore"):
        KERNELS[kernel](*expected)
    guarded = [_guarded(a, backend) if isinstance(a, np.ndarray) else (a, None) for a in values]
    backend.bind([Call(kernel, tuple(a for a, _ in guarded))]).run()
    for position, ((_, device), want) in enumerate(zip(guarded, expected, strict=True)):
        if device is None:
            continue
        buffer = backend.to_host(device)
        got = buffer[MARGIN:-MARGIN].reshape(want.shape)
        name = f"{kernel}, argument {position}"
        margins = np.concatenate((buffer[:MARGIN], buffer[-MARGIN:]))
        sentinel = np.array(SENTINEL).astype(buffer.dtype)
        untouched = np.isnan(margins) if buffer.dtype.kind == "f" else margins == sentinel
        assert untouched.all(), f"{name}: written past an end"
        if position != scratch:
            size = np.abs(want[np.isfinite(want)]).max(initial=0) if want.size else 0
            tolerance = (atol or 0) + rtol * float(size)
            np.testing.assert_allclose(got, want, rtol=0, atol=tolerance, err_msg=name)


class Exact:
    """An array passed to a kernel with the type it has."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array = array
