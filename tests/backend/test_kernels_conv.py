"""Compiled convolutions against their NumPy references."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_harness import assert_agrees, needs_compiler

from tagi_cli.backend.sliding_window import Window

pytestmark = needs_compiler

# Batch, then C, H, W, O, P, Q, kh, kw, sh, sw, dh, dw, top, left, groups: one of everything; sizes
# below, at and across vectors, panels (32 placements, 512 taps) and tiles (6 maps, 96 maps).
CASES = {
    "one pixel": (1, Window(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1)),
    "empty batch": (0, Window(2, 3, 3, 2, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 1)),
    "padded": (3, Window(2, 7, 9, 5, 7, 9, 3, 3, 1, 1, 1, 1, 1, 1, 1)),
    "rows beyond a panel": (2, Window(3, 5, 70, 7, 4, 66, 2, 5, 1, 1, 1, 1, 0, 0, 1)),
    "strided, uneven padding": (3, Window(3, 11, 8, 8, 6, 4, 4, 3, 2, 2, 1, 1, 2, 1, 1)),
    "dilated": (2, Window(2, 12, 10, 6, 6, 8, 3, 2, 1, 1, 3, 2, 0, 0, 1)),
    "groups": (4, Window(6, 6, 5, 9, 6, 5, 3, 3, 1, 1, 1, 1, 1, 1, 3)),
    "channel by channel": (5, Window(20, 4, 4, 20, 4, 4, 3, 3, 1, 1, 1, 1, 1, 1, 20)),
    "kernel smaller than stride": (3, Window(2, 9, 10, 4, 3, 3, 1, 2, 3, 4, 1, 1, 0, 0, 1)),
    "pixels without a window": (3, Window(2, 10, 11, 4, 3, 3, 3, 3, 3, 3, 1, 1, 0, 0, 1)),
    "left out at the start": (2, Window(2, 9, 9, 3, 3, 3, 2, 2, 2, 2, 1, 1, -2, -1, 1)),
    "many taps and maps": (2, Window(60, 4, 4, 100, 2, 2, 3, 3, 1, 1, 1, 1, 0, 0, 1)),
    "many small images": (50, Window(3, 2, 2, 4, 1, 1, 2, 2, 1, 1, 1, 1, 0, 0, 1)),
    "one column": (2, Window(2, 150, 1, 3, 150, 1, 3, 1, 1, 1, 1, 1, 1, 0, 1)),
    "threads": (8, Window(8, 28, 28, 16, 24, 24, 5, 5, 1, 1, 1, 1, 0, 0, 1)),
    "more maps than a panel is deep": (1, Window(2, 4, 4, 520, 3, 3, 2, 2, 1, 1, 1, 1, 0, 0, 1)),
}

cases = pytest.mark.parametrize("name", CASES)
precisions = pytest.mark.parametrize("precision", ["float32", "float64"])


class Arrays:
    """Random arrays for a case."""

    def __init__(self, name: str) -> None:
        self.B, self.window = CASES[name]
        self.rng = np.random.default_rng(len(name))

    def image(self) -> np.ndarray:
        w = self.window
        return self.rng.normal(size=(self.B, w.C, w.H, w.W))

    def map(self) -> np.ndarray:
        w = self.window
        return self.rng.normal(size=(self.B, w.O, w.P, w.Q))

    def weights(self) -> np.ndarray:
        w = self.window
        return self.rng.normal(size=(w.O, w.C // w.groups, w.kh, w.kw))

    def scratch(self, square_map: bool = False) -> np.ndarray:
        return np.zeros(self.window.scratch(self.B, square_map=square_map))


@precisions
@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
@cases
def test_forward(name: str, transposed: bool, certain: bool, precision: str) -> None:
    a = Arrays(name)
    source, result = (a.map, a.image) if transposed else (a.image, a.map)
    kernel = "conv_transpose2d_forward" if transposed else "conv2d_forward"
    mu_z = result()
    units = mu_z.shape[1]
    bias = (None, None) if certain else (a.rng.normal(size=units), a.rng.random(units))
    var_a = None if certain else a.rng.random(source().shape)
    assert_agrees(
        kernel, mu_z, mu_z, source(), var_a, a.weights(), a.weights() ** 2, *bias, a.scratch(),
        a.B, *a.window, precision=precision, scratch=8,
    )  # fmt: skip


@precisions
@pytest.mark.parametrize("accumulate", [0, 1])
@pytest.mark.parametrize("transposed", [False, True])
@cases
def test_backward(name: str, transposed: bool, accumulate: int, precision: str) -> None:
    a = Arrays(name)
    source, result = (a.map, a.image) if transposed else (a.image, a.map)
    kernel = "conv_transpose2d_backward" if transposed else "conv2d_backward"
    assert_agrees(
        kernel, source(), source(), result(), result(), a.weights(), a.scratch(), a.B, *a.window,
        accumulate, precision=precision, scratch=5,
    )  # fmt: skip


@precisions
@pytest.mark.parametrize("accumulate", [0, 1])
@pytest.mark.parametrize("transposed", [False, True])
@cases
def test_innovation(name: str, transposed: bool, accumulate: int, precision: str) -> None:
    a = Arrays(name)
    source, result = (a.map, a.image) if transposed else (a.image, a.map)
    kernel = "conv_transpose2d_innovation" if transposed else "conv2d_innovation"
    d_z = result()
    bias = a.rng.normal(size=(2, d_z.shape[1])) if accumulate else (None, None)
    assert_agrees(
        kernel, a.weights(), a.weights(), *bias, source(), d_z, result(),
        a.scratch(square_map=transposed), a.B, *a.window, accumulate, precision=precision,
        scratch=7,
    )  # fmt: skip


def test_the_result_does_not_depend_on_the_number_of_threads() -> None:
    from threadpoolctl import threadpool_limits

    from tagi_cli.backend import Call
    from tagi_cli.backend.host.backend import HostBackend

    a, backend = Arrays("threads"), HostBackend("float32")
    sizes = [np.int32(n) for n in (a.B, *a.window, 0)]
    image, d_mu, d_var, weights = (
        array.astype(np.float32) for array in (a.image(), a.map(), a.map(), a.weights())
    )
    scratch = a.scratch().astype(np.float32)

    def results(threads: int) -> list[np.ndarray]:
        found = [np.empty_like(x) for x in (image, image, weights, weights)]
        backward = Call("conv2d_backward", (*found[:2], d_mu, d_var, weights, scratch, *sizes))
        innovation = Call(
            "conv2d_innovation", (*found[2:], None, None, image, d_mu, d_var, scratch, *sizes)
        )
        with threadpool_limits(threads):
            backend.bind([backward, innovation]).run()
        return found

    for one, two in zip(results(1), results(2), strict=True):
        np.testing.assert_array_equal(one, two)
