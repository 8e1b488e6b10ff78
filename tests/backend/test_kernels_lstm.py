"""Compiled kernels of recurrent layers against their NumPy references."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_harness import assert_agrees, needs_compiler

from tagi_cli.backend.reference import KERNELS

pytestmark = needs_compiler

PRECISIONS = ("float32", "float64")
# Rows, steps, inputs, units: below, at and across tiles of rows and vectors.
SHAPES = [(1, 1, 1, 1), (1, 1, 3, 5), (3, 4, 2, 4), (4, 3, 1, 16), (5, 2, 17, 33), (9, 3, 16, 40)]

Host = np.ndarray[Any, Any]


class Window:
    """Random arguments of a window's kernels, in the order in which they take them."""

    def __init__(self, B: int, T: int, I: int, H: int, *, directions: int = 1, last: int = 0):
        rng = np.random.default_rng(B + T + I + H)
        K = I + H
        self.sizes = (B, T, I, H)
        self.width, self.last = directions * H, last
        out = (B, 1 if last else T, self.width)
        self.out, self.d_out = np.zeros((2, *out)), rng.normal(size=(2, *out))
        self.d_out[1] = -np.abs(self.d_out[1])
        self.states, self.d_states = np.zeros((2, B, T, 4, H))
        self.jac = np.zeros((B, T, 6, H))
        self.u = np.zeros((2, B, T, K))
        self.x = rng.normal(size=(B, T, I)), rng.random((B, T, I))
        self.initial = rng.normal(size=(B, 4, H))
        self.initial[:, 1::2] **= 2
        self.w = rng.normal(size=(4 * H, K)) / np.sqrt(K), rng.random((4 * H, K)) / K
        self.b = rng.normal(size=4 * H), rng.random(4 * H)
        self.d_z = np.zeros((2, B, T, 4 * H))
        self.scratch = np.zeros(K * (10 * H + 120) + B * (20 * H + 2 * K) + 32)

    def forward(self, *, certain: bool, start: bool, bias: bool, reverse: int, full: int) -> list:
        """Arguments of `lstm_forward`."""
        return [
            *self.out, self.states, self.jac, *self.u, self.x[0], None if certain else self.x[1],
            self.initial if start else None, *self.w, *(self.b if bias else (None, None)),
            self.scratch, *self.sizes, self.width, self.width - self.sizes[3], self.last, reverse,
            full,
        ]  # fmt: skip

    def backward(self, *, wanted: bool, reverse: int, accumulate: int) -> list:
        """Arguments of `lstm_backward`, the Jacobians being those of a forward pass."""
        forward = self.forward(certain=False, start=True, bias=True, reverse=reverse, full=1)
        KERNELS["lstm_forward"](*forward)
        d_x = np.random.default_rng(0).normal(size=(2, *self.x[0].shape))
        return [
            *self.d_z, self.d_states, *(d_x if wanted else (None, None)), *self.d_out, self.jac,
            self.w[0], self.scratch, *self.sizes, self.width, self.width - self.sizes[3], self.last,
            reverse, accumulate,
        ]  # fmt: skip


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("full", [0, 1])
@pytest.mark.parametrize("certain", [False, True])
def test_lstm_forward(
    certain: bool, full: int, shape: tuple[int, int, int, int], precision: str
) -> None:
    for start, bias, reverse in ((True, True, 0), (False, True, 1), (True, False, 1)):
        window = Window(*shape, directions=1 + reverse)
        arguments = window.forward(
            certain=certain, start=start, bias=bias, reverse=reverse, full=full
        )
        assert_agrees("lstm_forward", *arguments, precision=precision, scratch=13)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("accumulate", [0, 1])
@pytest.mark.parametrize("wanted", [False, True])
def test_lstm_backward(
    wanted: bool, accumulate: int, shape: tuple[int, int, int, int], precision: str
) -> None:
    for reverse in (0, 1):
        window = Window(*shape, directions=1 + reverse)
        arguments = window.backward(wanted=wanted, reverse=reverse, accumulate=accumulate)
        assert_agrees("lstm_backward", *arguments, precision=precision, scratch=9)


@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_output_of_the_last_step_alone(shape: tuple[int, int, int, int], reverse: int) -> None:
    window = Window(*shape, directions=2, last=1)
    arguments = window.forward(certain=False, start=True, bias=True, reverse=reverse, full=1)
    assert_agrees("lstm_forward", *arguments, scratch=13)
    assert_agrees(
        "lstm_backward",
        *window.backward(wanted=True, reverse=reverse, accumulate=0),
        scratch=9,
    )


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("step", [0, 1, 2])
def test_steps_of_the_cell(step: int, precision: str) -> None:
    B, T, I, H = 5, 3, 2, 17
    rng = np.random.default_rng(step)
    window = Window(B, T, I, H)
    sums = rng.normal(size=(B, 14, H))
    sums[:, 4:8] = 1 + 9 * rng.random((B, 4, H))
    KERNELS["lstm_forward"](
        *window.forward(certain=False, start=True, bias=True, reverse=0, full=1)
    )
    for reverse in (0, 1):
        assert_agrees(
            "lstm_input", *window.u, *window.x, window.initial, B, T, I, H, reverse,
            precision=precision,
        )  # fmt: skip
        assert_agrees(
            "lstm_cell_forward", *window.out, window.states, window.jac, *window.u, sums,
            window.initial, *window.b, B, T, I, H, step, H, 0, 0, reverse, 1, precision=precision,
        )  # fmt: skip
        assert_agrees(
            "lstm_cell_backward", *window.d_z, rng.normal(size=(B, T, 4, H)), np.zeros((B, H)),
            *window.d_out, rng.normal(size=(B, 2, H)), window.jac, B, T, H, step, H, 0, 0, reverse,
            precision=precision,
        )  # fmt: skip


@pytest.mark.parametrize("precision", PRECISIONS)
def test_states_from_call_to_call(precision: str) -> None:
    B, R, T, H = 3, 5, 2, 19
    rng = np.random.default_rng(0)
    carried, states, d = (
        rng.random((R, 4, H)),
        rng.random((B, T, 4, H)),
        rng.normal(size=(B, T, 4, H)),
    )
    held, continues = np.array([1.0, 0, 1, 1, 1]), np.array([4, 1, -1, 3, 0])
    generator = np.array([7, 3])
    initial = np.zeros((B, 4, H))
    for seed in (None, generator):
        for kept in ((None, None, None), (carried, held, continues)):
            assert_agrees(
                "lstm_state_load", initial, *kept, seed, 0.1, 0.5, 3, B, H, precision=precision
            )
    assert_agrees("lstm_state_store", carried, held, states, B, T, H, precision=precision)
    assert_agrees("lstm_state_posterior", carried, states, d, B, T, H, precision=precision)


def test_no_rows() -> None:
    window = Window(0, 3, 2, 4)
    forward = window.forward(certain=False, start=True, bias=True, reverse=0, full=1)
    assert_agrees("lstm_forward", *forward, scratch=13)
    assert_agrees(
        "lstm_backward", *window.backward(wanted=True, reverse=0, accumulate=0), scratch=9
    )
