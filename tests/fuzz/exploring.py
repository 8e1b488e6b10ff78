"""How fuzz tests explore: few examples by default, many where the suite is marked slow.

The environment variable TAGI_FUZZ multiplies the examples of the slow tests, and draws other ones
each time: `TAGI_FUZZ=20 pytest tests/fuzz -m slow`.
"""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagi_cli.errors import UserError

DEPTHS = [False, pytest.param(True, marks=[pytest.mark.slow, pytest.mark.timeout(0)])]
"""Values of a test's `deep`: the small share of the default suite, and the slow one."""


def explore(check: Callable[..., None], few: int, many: int, deep: bool, **drawn: Any) -> None:
    """Run `check(**drawn)` on examples of strategies: `few`, or `many` times TAGI_FUZZ."""
    factor = os.environ.get("TAGI_FUZZ")
    examples = max(1, round(many * float(factor or 1))) if deep else few
    settings(
        max_examples=examples,
        derandomize=not (deep and factor),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )(given(**drawn)(check))()


@st.composite
def damaged(draw: st.DrawFn, *whole: bytes) -> bytes:
    """One of some files: as it is, cut, with bytes changed, left out, doubled, put in; or junk."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    data = bytearray(draw(st.sampled_from(whole)))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(data)))
        end = min(len(data), place + draw(st.integers(1, 12)))
        way = draw(st.sampled_from(["cut", "change", "leave out", "double", "put in", "swap"]))
        if way == "cut":
            del data[place:]
        elif way == "change":
            new = draw(st.binary(min_size=end - place, max_size=end - place))
            data[place:end] = new
        elif way == "leave out":
            del data[place:end]
        elif way == "double":
            data[place:place] = data[place:end] * draw(st.integers(1, 50))
        elif way == "put in":
            extremes = [
                b"\0", b"\xff" * 4, b"\x7f\xff\xff\xff", b'"', b"\n", b",", b"{",
                b"[" * 4000, b"1" * 400,
            ]  # fmt: skip
            data[place:place] = draw(st.sampled_from(extremes) | st.binary(max_size=8))
        elif data:
            data[place:] = data[place:][::-1]
    return bytes(data)


@contextmanager
def modest(size: int, slack: int = 4 << 20) -> Iterator[None]:
    """Let only mistakes of the user be raised, and memory be taken in proportion to a file.

    Args:
        size: bytes of the file.
        slack: bytes that may be taken in any case.
    """
    tracemalloc.start()
    try:
        yield
    except UserError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak <= slack + 200 * size, f"{peak} bytes for a file of {size}"
