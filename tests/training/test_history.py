"""The history as an array."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tagi_cli.training import history

NUMBERS = st.floats(allow_nan=False)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"phase": st.sampled_from(history.PHASES), "epoch": st.integers(1, 10**6)},
        optional={"train_nll": NUMBERS, "valid_nll": NUMBERS, "valid_rmse": NUMBERS},
    ),
    max_size=8,
)


@given(ROWS)
def test_rows_come_back(rows: list[history.Row]) -> None:
    columns, array = history.to_array(rows)
    assert array.dtype == np.float64
    assert history.from_array(columns, array) == rows


def test_undefined_values_are_left_out() -> None:
    row = {"phase": "search", "epoch": 1, "train_nll": float("nan")}
    assert history.from_array(*history.to_array([row])) == [{"phase": "search", "epoch": 1}]
