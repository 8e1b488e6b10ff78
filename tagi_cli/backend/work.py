"""What a kernel call costs at least: arithmetic of matrix products, and memory moved."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from tagi_cli.backend.base import Array, Call
from tagi_cli.backend.collective import COLLECTIVE
from tagi_cli.backend.reference import KERNELS
from tagi_cli.backend.sliding_window import Window

Arguments = Mapping[str, Any]


class Work(NamedTuple):
    """The least that a call has to do.

    Attributes:
        flops: operations of its matrix products, a multiply-add counting as two; None for a kernel
            without any, whose arithmetic is not counted.
        bytes: memory read and written where each array is touched once (twice if it is changed in
            place); scratch memory does not count.
    """

    flops: int | None
    bytes: int


def work(call: Call, scratch: Array | None = None) -> Work:
    """The work of a call.

    Args:
        call: a call as plans emit it.
        scratch: the arena of its plan.
    """
    if call.kernel == COLLECTIVE:
        return Work(None, sum(a.nbytes for a in call.arguments[1:] if hasattr(a, "nbytes")))
    given = _named(call)
    count = _PRODUCTS.get(call.kernel)
    return Work(None if count is None else count(given), _traffic(call, given, scratch))


@cache
def _signature(kernel: str) -> inspect.Signature:
    return inspect.signature(KERNELS[kernel])


def _named(call: Call) -> Arguments:
    return _signature(call.kernel).bind(*call.arguments).arguments


def _forward(given: Arguments) -> int:
    """Products of a forward pass: a certain input has no variance to send through the weights."""
    return 2 if given["var_a"] is None else 3


def _linear(given: Arguments) -> int:
    return 2 * int(given["B"]) * int(given["I"]) * int(given["O"])


def _conv(given: Arguments) -> int:
    sizes = given["window"] if "window" in given else given["window_and_accumulate"]
    window = Window(*(int(size) for size in sizes[: len(Window._fields)]))
    return 2 * int(given["B"]) * window.O * window.depth * window.P * window.Q


def _lstm(given: Arguments, columns: int) -> int:
    return 2 * int(given["B"]) * int(given["T"]) * int(given["H"]) * columns


def _lstm_forward(given: Arguments) -> int:
    return 18 * _lstm(given, int(given["I"]) + int(given["H"]))


def _lstm_backward(given: Arguments) -> int:
    inputs = 0 if given["d_mu_x"] is None else int(given["I"])
    return 10 * _lstm(given, inputs + int(given["H"]))


def _attention(given: Arguments) -> int:
    """Pairs of a query and a key that it sees, times units of all heads, times rows."""
    T = int(given["T"])
    pairs = T * (T + 1) // 2 if given["causal"] else T * T
    return int(given["B"]) * pairs * int(given["H"]) * int(given["d"])


_PRODUCTS: dict[str, Callable[[Arguments], int]] = {
    "linear_forward": lambda given: _forward(given) * _linear(given),
    "linear_backward": lambda given: 2 * _linear(given),
    "linear_innovation": lambda given: 2 * _linear(given),
    "lstm_forward": _lstm_forward,
    "lstm_backward": _lstm_backward,
    "attention_scores": lambda given: 8 * _attention(given),
    "attention_values": lambda given: 8 * _attention(given),
    "attention_values_backward": lambda given: 4 * _attention(given),
    "attention_weights_backward": lambda given: 6 * _attention(given),
    "attention_scores_backward": lambda given: 8 * _attention(given),
}
for _kind in ("conv2d", "conv_transpose2d"):
    _PRODUCTS[f"{_kind}_forward"] = lambda given: _forward(given) * _conv(given)
    _PRODUCTS[f"{_kind}_backward"] = lambda given: 2 * _conv(given)
    _PRODUCTS[f"{_kind}_innovation"] = lambda given: 2 * _conv(given)


def _traffic(call: Call, given: Arguments, scratch: Array | None) -> int:
    if call.kernel in ("gather_rows", "gather_windows"):
        return 2 * int(given["out"].nbytes)
    if call.kernel == "embedding_forward":
        # Of the table, the rows that are looked up.
        return 2 * int(given["mu_z"].nbytes + given["var_z"].nbytes)
    changed = ("mu", "var") if call.kernel.startswith("step_") else ()
    return sum(
        int(value.nbytes) * (2 if name in changed else 1)
        for name, value in given.items()
        # NumPy's scalars have bytes, too, but no dimension.
        if getattr(value, "ndim", 0) and value is not scratch
    )
