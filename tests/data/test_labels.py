from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tagi_cli.data.labels import class_numbers, fit_classes, one_hot
from tagi_cli.data.table import Table
from tagi_cli.errors import UserError


def table_of(labels: list[Any]) -> Table:
    return Table.from_columns({"k": labels}, "t.csv")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["b", "a", None, "b"], ("a", "b")),
        ([10.0, 9.0, np.nan, 10.0], ("9", "10")),
        (["10", "9", "x", "9"], ("10", "9", "x")),
        ([True, False, True, True], ("0", "1")),
    ],
)
def test_classes_are_sorted_labels(labels: list[Any], classes: tuple[str, ...]) -> None:
    assert fit_classes(table_of(labels), "k", np.arange(4)) == classes


def test_classes_are_those_of_the_training_rows() -> None:
    table = table_of(["a", "b", "c"])
    assert fit_classes(table, "k", np.array([0, 1])) == ("a", "b")
    with pytest.raises(
        UserError, match=r"t\.csv, row 3, column 'k': label 'c' is in no training row\. Known: a, b"
    ):
        class_numbers(table, "k", slice(None), ("a", "b"))


def test_numbers_count_the_classes_and_miss_what_is_missing() -> None:
    numbers = class_numbers(table_of(["b", None, "a"]), "k", np.array([2, 1, 0]), ("a", "b"))
    assert np.array_equal(numbers, [0, np.nan, 1], equal_nan=True)
    shown = one_hot(numbers, 3, np.float32)
    assert shown.dtype == np.float32
    assert np.array_equal(shown, [[1, 0, 0], [np.nan] * 3, [0, 1, 0]], equal_nan=True)


def test_unknown_labels_name_the_nearest_and_count_the_others() -> None:
    table = table_of(["setosa", "virginca", "x"])
    with pytest.raises(
        UserError,
        match=r"row 2, .* 'virginca' is in no training row \(1 more rows likewise\)\. "
        r"Did you mean 'virginica'\? Known: setosa, virginica",
    ):
        class_numbers(table, "k", slice(None), ("setosa", "virginica"))


@pytest.mark.parametrize(("labels", "held"), [(["a", "a"], "only 'a'"), ([None, None], "no value")])
def test_one_class_cannot_be_told_from_others(labels: list[Any], held: str) -> None:
    table = Table.from_columns({"k": np.array(labels, dtype=object)}, "t.csv")
    with pytest.raises(UserError, match=rf"t\.csv, column 'k': {held} in the training part"):
        fit_classes(table, "k", np.arange(2))
