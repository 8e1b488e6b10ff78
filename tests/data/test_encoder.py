from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagi_cli.data.encoder import Encoder
from tagi_cli.data.inputs import CategoryInput, NumberInput, fit_categories, fit_input
from tagi_cli.data.table import Table
from tagi_cli.errors import UserError

ENCODER = Encoder(
    (
        NumberInput("a", 10.0, 2.0, fill=11.0),
        CategoryInput("c", ("1", "2.5", "red"), fill=(0.5, 0.25, 0.25)),
        NumberInput("b", 0.0, 1.0),
    ),
    ("y", "z"),
    np.array([100.0, 0.0]),
    np.array([10.0, 1.0]),
)


def table(**columns: Any) -> Table:
    return Table.from_columns(columns, "new.csv")


def test_names_and_shape() -> None:
    assert ENCODER.inputs == ("a", "c", "b")
    assert ENCODER.features == ("a", "c=1", "c=2.5", "c=red", "b")
    assert ENCODER.input_shape == (5,)


def test_columns_in_any_order_with_others_between() -> None:
    x = ENCODER.encode(table(b=[3, 4], extra=["u", "v"], c=["red", "1"], a=[12, 8]))
    assert x.dtype == np.float32
    assert x.tolist() == [[1, 0, 0, 1, 3], [-1, 1, 0, 0, 4]]


def test_rows_are_chosen() -> None:
    new = table(a=[8, 10, 12], b=[1, 2, 3], c=["1", "1", "red"])
    rows = np.array([2, 0])
    assert np.array_equal(ENCODER.encode(new, rows), ENCODER.encode(new)[rows])


def test_numbers_and_texts_name_the_same_categories() -> None:
    as_numbers = table(a=[10, 10], b=[0, 0], c=[1.0, 2.5])
    as_texts = table(a=[10, 10], b=[0, 0], c=["01", "2.50"])
    assert np.array_equal(ENCODER.encode(as_numbers), ENCODER.encode(as_texts))


def test_missing_values_are_filled_with_training_means() -> None:
    x, filled = ENCODER.encode_counting(table(a=[np.nan], c=[None], b=[0]))
    assert x.tolist() == [[0.5, 0.5, 0.25, 0.25, 0]]
    assert filled == {"a": 1, "c": 1}


def test_arrays() -> None:
    array = np.array([[12, 1, 3], [8, 2.5, 4]])
    expected = ENCODER.encode(table(a=array[:, 0], c=array[:, 1], b=array[:, 2]))
    assert np.array_equal(ENCODER.encode_array(array), expected)
    assert np.array_equal(ENCODER.encode_array(array[:, None]), expected)
    mixed = np.array([[12, "red", 3]], dtype=object)
    assert ENCODER.encode_array(mixed).tolist() == [[1, 0, 0, 1, 3]]


@pytest.mark.parametrize("shape", [(3,), (2, 4), (1, 2, 3)])
def test_arrays_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"input array: shape .* allowed: \(rows, 3\), .* a, c, b"):
        ENCODER.encode_array(np.zeros(shape))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"c": ["1"]}, r"new\.csv: no column for the inputs a, b\. Columns: c"),
        (
            {"a": [1], "b": [1], "c": ["rad"]},
            r"row 1, column 'c': category 'rad' is in no .*'red'\? .* Leave the cell empty",
        ),
        (
            {"a": [1, 1], "b": [1, 1], "c": ["x", "y"]},
            r"row 1, .*'x' is in no training row \(1 more row likewise\)",
        ),
        (
            {"a": [1, 1], "b": [1, np.nan], "c": [1, 1]},
            r"row 2, column 'b': no value\. .* train with data\.mi",
        ),
        ({"a": [1, 1], "b": [np.nan] * 2, "c": [1, 1]}, r"row 1, .*\(and 1 more in this column\)"),
        ({"a": ["x"], "b": [1], "c": [1]}, r"row 1, column 'a': 'x' is not a number"),
        ({"a": [1e50], "b": [1], "c": [1]}, r"row 1, column 'a': 1e\+50 is too large beside"),
        ({"a": [1, -1e30], "b": [1, 1], "c": [1, 1]}, r"row 2, column 'a': -1e\+30 is too large"),
    ],
)
def test_rows_that_cannot_be_encoded(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ENCODER.encode(table(**columns))


def test_a_missing_category_without_fill() -> None:
    encoder = Encoder((CategoryInput("c", ("u",)),), ("y",), np.zeros(1), np.ones(1))
    with pytest.raises(UserError, match=r"new\.csv, row 2, column 'c': no value"):
        encoder.encode(table(c=["u", None]))


def test_a_file_without_header_is_told_apart() -> None:
    headless = Table("new.csv", table(c0=[1.0]).data, has_header=False)
    with pytest.raises(UserError, match=r"the inputs a, c, b \(the file has no header\)"):
        ENCODER.encode(headless)


def test_targets_are_scaled_and_may_be_absent() -> None:
    assert ENCODER.targets(table(a=[1])) is None
    y = ENCODER.targets(table(y=[90, np.nan], a=[1, 2]))
    assert np.array_equal(y, [[-1, np.nan], [np.nan, np.nan]], equal_nan=True)  # type: ignore[arg-type]
    raw = ENCODER.raw_targets(table(y=[90, 1], z=[5, 6]), np.array([1]))
    assert raw is not None
    assert raw.tolist() == [[1, 6]]


def test_a_target_of_text() -> None:
    with pytest.raises(UserError, match=r"column 'y': 'u' is not a number \(a target must be\)"):
        ENCODER.targets(table(y=["u"]))


floats = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(floats, floats, st.none() | floats), min_size=1, max_size=5), floats)
def test_json_keeps_every_bit(numbers: list[tuple[float, float, float | None]], y: float) -> None:
    columns = [NumberInput(f"x{i}", *triple) for i, triple in enumerate(numbers)]
    encoder = Encoder(
        (*columns, CategoryInput("c", ("é", "1"), (abs(y), 0.1)), CategoryInput("d", ("u",))),
        ("y",),
        np.array([y]),
        np.array([numbers[0][1]]),
        "float64",
    )
    back = Encoder.from_json(json.loads(json.dumps(encoder.to_json())))
    assert back.columns == encoder.columns
    assert back.outputs == encoder.outputs
    assert back.center_y.tobytes() == encoder.center_y.tobytes()
    assert back.scale_y.tobytes() == encoder.scale_y.tobytes()
    assert back.dtype == "float64"


def test_categories_are_those_of_the_training_rows_in_order() -> None:
    new = table(c=["b", "a", "b", None, "late"])
    found = fit_categories(new, "c", np.array([0, 1, 2, 3]), keep_mean=True)
    assert found == CategoryInput("c", ("a", "b"), (1 / 3, 2 / 3))


def test_a_numeric_input_is_fitted_on_the_training_rows_alone() -> None:
    new = table(a=[1.0, 3.0, np.nan, 1e9])
    found = fit_input(new, "a", np.array([0, 1, 2]), "z-norm", keep_mean=True)
    assert found == NumberInput("a", 2.0, 1.0, 2.0)


def test_an_input_without_a_training_value() -> None:
    new = table(a=[np.nan, np.nan, 1.0], c=[None, None, "u"])
    with pytest.raises(UserError, match=r"new\.csv, column 'a': no value in the training part"):
        fit_input(new, "a", np.array([0, 1]), "z-norm", keep_mean=True)
    with pytest.raises(UserError, match=r"new\.csv, column 'c': no value in the training part"):
        fit_categories(new, "c", np.array([0, 1]), keep_mean=True)


def test_values_too_large_to_be_scaled() -> None:
    new = table(a=[1e308, 1.5e308, -1.7e308])
    with pytest.raises(
        UserError, match=r"column 'a': values between -1\.7e\+308 and 1\.5e\+308 are"
    ):
        fit_input(new, "a", np.arange(3), "z-norm", keep_mean=False)
