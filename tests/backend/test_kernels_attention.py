"""Compiled kernels of attention against their NumPy references."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_harness import assert_agrees, needs_compiler

pytestmark = needs_compiler

PRECISIONS = ("float32", "float64")
# Rows, tokens, heads, heads of keys, size of a head: below, at and across tiles and vectors.
SHAPES = [
    (1, 1, 1, 1, 1),
    (2, 5, 2, 1, 3),
    (1, 7, 4, 2, 8),
    (2, 16, 1, 1, 16),
    (1, 33, 3, 3, 17),
    (1, 40, 2, 1, 40),
    (0, 3, 2, 2, 4),
]
# Sums longer than a panel.
LONG = [(1, 600, 1, 1, 2), (1, 2, 1, 1, 600)]


class Sizes:
    """Arrays of one shape of attention."""

    def __init__(self, B: int, T: int, H: int, G: int, d: int, causal: int) -> None:
        self.rng = np.random.default_rng(T + d)
        self.sizes = B, T, H, G, d, causal
        self.mask = np.tril(np.ones((T, T))) if causal else np.ones((T, T))

    def pair(self, kind: str) -> np.ndarray[Any, Any]:
        """Means and variances, or innovations, of `p`, `s` or `y`."""
        B, T, H, G, d, _ = self.sizes
        shape = {"p": (B, T, (H + 2 * G) * d), "s": (B, H, T, T), "y": (B, T, H * d)}[kind]
        means, variances = self.rng.normal(size=shape), self.rng.random(shape)
        both = np.stack([means, variances])
        return both * self.mask if kind == "s" else both


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("inverse", [0, 1])
@pytest.mark.parametrize(
    ("rows", "T", "heads", "half"), [(1, 1, 1, 1), (6, 3, 2, 4), (10, 5, 3, 9)]
)
def test_rotate_pairs(
    rows: int, T: int, heads: int, half: int, inverse: int, precision: str
) -> None:
    rng = np.random.default_rng(rows)
    n, angle = 2 * half * heads, rng.normal(size=(T, half))
    width = n + 3
    assert_agrees(
        "rotate_pairs", rng.normal(size=(rows, width)), rng.random((rows, width)), np.cos(angle),
        np.sin(angle), rows, T, width, n, half, inverse, precision=precision,
    )  # fmt: skip


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("shape", SHAPES + LONG)
def test_scores(shape: tuple[int, ...], causal: int, precision: str) -> None:
    s = Sizes(*shape, causal)
    assert_agrees(
        "attention_scores", *s.pair("s"), *s.pair("p"), 0.3, *s.sizes, precision=precision,
        rtol=None if precision == "float64" else 1e-4,
    )  # fmt: skip


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("shape", SHAPES + LONG)
def test_values(shape: tuple[int, ...], causal: int, precision: str) -> None:
    s = Sizes(*shape, causal)
    (mean, strength), (second, _) = s.pair("s"), s.pair("s")
    assert_agrees(
        "attention_values", *s.pair("y"), mean, strength, second, *s.pair("p"), *s.sizes,
        precision=precision, rtol=None if precision == "float64" else 1e-4,
    )  # fmt: skip


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("kind", ["softmax", "remax"])
@pytest.mark.parametrize(("tokens", "shift", "var"), [
    (1, 0, 1), (5, 0, 0), (16, 1, 0.1), (17, -1, 1), (40, 2, 10), (33, -3, 1), (7, -200, 0),
])  # fmt: skip
def test_weights(
    tokens: int, shift: float, var: float, kind: str, causal: int, precision: str
) -> None:
    rng = np.random.default_rng(tokens)
    shape = (2, tokens, tokens)
    scores = np.stack([shift + rng.normal(size=shape), var * rng.random(shape)])
    rtol = None if precision == "float64" else 1e-4
    assert_agrees(
        f"attention_{kind}", *(np.tril(scores) if causal else scores), *np.zeros((2, *shape)),
        2 * tokens, tokens, causal, precision=precision, rtol=rtol,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["softmax", "remax"])
def test_nan_stays_in_its_row(kind: str) -> None:
    rng = np.random.default_rng(0)
    mu, var = rng.normal(size=(5, 5)), rng.random((5, 5))
    mu[1, 2] = var[3, 4] = np.nan
    assert_agrees(f"attention_{kind}", mu, var, *np.zeros((2, 5, 5)), 5, 5, 0, rtol=1e-4)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("shape", SHAPES + LONG)
@pytest.mark.parametrize("kernel", ["values", "weights", "scores"])
def test_backward(kernel: str, shape: tuple[int, ...], causal: int, precision: str) -> None:
    s = Sizes(*shape, causal)
    mean, _ = s.pair("s")
    mu_p, _ = s.pair("p")
    arguments: dict[str, tuple[Any, ...]] = {
        "values": (*s.pair("p"), *s.pair("y"), mean),
        "weights": (*s.pair("s"), *s.pair("y"), s.pair("y")[0], mean, mu_p),
        "scores": (*s.pair("p"), *s.pair("s"), mu_p, 0.3),
    }
    assert_agrees(
        f"attention_{kernel}_backward", *arguments[kernel], *s.sizes, precision=precision,
        rtol=None if precision == "float64" else 1e-4,
    )  # fmt: skip
