"""What property tests of series draw: tables of series with gaps, and chunks."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tagi_cli.data.layout import COPIED
from tagi_cli.data.points import Chunks
from tagi_cli.data.series import Series


def series_of(*slices: list[int]) -> Series:
    """Series whose slices have these lengths, of rows in the order of the table."""
    lengths = [length for series in slices for length in series]
    bounds = np.cumsum([0, *lengths])
    codes = np.repeat(np.arange(len(slices)), [sum(series) for series in slices])
    names = tuple(f"s{i}" for i in range(len(slices)))
    return Series(names, np.arange(bounds[-1]), codes, bounds)


series = st.lists(st.lists(st.integers(1, 14), min_size=1, max_size=3), min_size=1, max_size=4).map(
    lambda slices: series_of(*slices)
)


@st.composite
def chunks(draw: st.DrawFn) -> Chunks:
    """Windows of up to eight rows, which may look ahead or lie apart."""
    a, c = draw(st.integers(-8, 3)), draw(st.integers(-3, 4))
    inputs = (a, a + draw(st.integers(0, 7)))
    targets = (c, c + draw(st.integers(0, 3)))
    padding = draw(st.sampled_from([*COPIED, "constant", "none"]))
    return Chunks.of(inputs, targets, padding, draw(st.sampled_from([0.1, 0.5, 0.8, 1.0])))
