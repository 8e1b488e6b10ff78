"""Slices of training."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tagi_cli.training.pace import Pace


@given(
    st.integers(1, 50),
    st.integers(1, 10_000),
    st.lists(st.floats(0, 10), min_size=1, max_size=200),
)
def test_cuts_are_at_whole_batches(batch_size: int, rows: int, seconds: list[float]) -> None:
    pace = Pace(batch_size)
    begin = 0
    for duration in seconds:
        end = pace.end(begin, rows)
        assert begin < end <= rows
        assert end == rows or (end - begin) % batch_size == 0
        pace.measured(end - begin, duration)
        begin = end % rows


def test_slices_grow_to_the_time_wanted_and_shrink_again() -> None:
    pace = Pace(10, seconds=0.1)
    ends = []
    for per_row in [1e-5] * 6 + [1e-3] * 2:
        ends.append(pace.end(0, 10**9))
        pace.measured(ends[-1], ends[-1] * per_row)
    # Eightfold from one to the next up to 0.1 s / 1e-5 s = 10,000 rows, then at once down to 100.
    assert ends[:4] == [10, 80, 640, 5120]
    assert all(9_990 <= end <= 10_000 for end in ends[4:7])
    assert 90 <= ends[7] <= 100
