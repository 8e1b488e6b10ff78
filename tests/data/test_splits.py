from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagi_cli.data.options import DataOptions
from tagi_cli.data.splits import Split, draw_valid, gal, portions, split
from tagi_cli.data.table import Table
from tagi_cli.errors import UserError


def table_of(n: int, **columns: Any) -> Table:
    return Table.from_columns({"x": np.arange(n, dtype=float), **columns}, "t.csv")


def divide(table: Table, **options: Any) -> Split:
    return split(table, np.arange(len(table)), DataOptions(path="t.csv", **options))


@given(st.integers(3, 500), st.integers(0, 5), st.sampled_from(["random", "chronological"]))
def test_parts_partition_the_rows(n: int, seed: int, method: str) -> None:
    parts = divide(table_of(n), split_method=method, split_seed=seed)
    assert sorted(np.concatenate(parts[:3]).tolist()) == list(range(n))
    assert [len(part) for part in parts[1:3]] == [max(1, round(n / 5)), max(1, round(n / 10))]


def test_a_random_split_depends_on_its_seed_alone() -> None:
    first, again, other = (divide(table_of(100), split_seed=seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first[:3], again[:3], strict=True))
    assert not np.array_equal(first.test, other.test)


def test_a_random_split_takes_each_row_equally_often() -> None:
    hits = np.zeros(20)
    for seed in range(2000):
        hits[divide(table_of(20), split_seed=seed).test] += 1
    # Binomial(2000, 0.1): within 5 standard errors.
    assert np.abs(hits - 200).max() < 5 * np.sqrt(2000 * 0.1 * 0.9)


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=60))
def test_chronological_parts_follow_one_another_in_time(moments: list[float]) -> None:
    parts = divide(table_of(len(moments), t=moments), time="t")
    order = np.concatenate(parts[:3]).tolist()
    assert parts.method == "chronological"
    assert order == sorted(range(len(moments)), key=lambda row: moments[row])


def test_without_a_time_column_chronological_means_the_order_of_the_file() -> None:
    parts = divide(table_of(10), split_method="chronological", split_portions=(0.5, 0.2, 0.3))
    assert [part.tolist() for part in parts[:3]] == [[0, 1, 2, 3, 4], [5, 6], [7, 8, 9]]


def test_a_time_column_does_not_order_a_random_split() -> None:
    table = table_of(50, t=np.arange(50.0))
    assert divide(table, time="t", split_method="random").method == "random"


def test_a_portion_of_zero_leaves_a_part_empty() -> None:
    parts = divide(table_of(10), split_portions=(0.8, 0.2, 0.0))
    assert [len(part) for part in parts[:3]] == [8, 2, 0]


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_rows_for_the_portions(n: int) -> None:
    with pytest.raises(UserError, match=rf"split_portions.* of {n} rows .* no training row"):
        portions(np.arange(n), (0.8, 0.1, 0.1), "t.csv")


@pytest.mark.parametrize(
    ("limit", "expected"), [(None, list(range(10))), (4, [0, 1, 2, 3]), (99, list(range(10)))]
)
def test_limit_keeps_the_earliest(limit: int | None, expected: list[int]) -> None:
    table = table_of(10, t=np.arange(10.0)[::-1])
    parts = divide(table, time="t", limit=limit)
    assert np.concatenate(parts[:3]).tolist() == [9 - row for row in expected]


def test_limit_of_a_random_split_is_a_random_choice() -> None:
    parts = divide(table_of(1000), limit=10)
    assert len(np.concatenate(parts[:3])) == 10
    assert np.concatenate(parts[:3]).max() > 10


# First rows of the published index_test_<k>.txt files.
PUBLISHED = [
    (506, 0, 51, [431, 115, 470, 216]),  # boston
    (506, 19, 51, [426, 161, 347, 368]),
    (768, 1, 77, [564, 381, 479, 557]),  # energy
    (8192, 0, 819, [7393, 1170, 7286, 7529]),  # kin8nm
    (308, 0, 31, [121, 115, 286, 216]),  # yacht
    (308, 19, 31, [74, 54, 250, 21]),
]


@pytest.mark.parametrize(("n", "index", "n_test", "first"), PUBLISHED)
def test_gal_splits_are_the_published_ones(
    n: int, index: int, n_test: int, first: list[int]
) -> None:
    train, test = gal(n, index)
    assert (len(test), test[:4].tolist()) == (n_test, first)
    assert sorted([*train.tolist(), *test.tolist()]) == list(range(n))


def test_a_gal_split_draws_validation_from_its_training_rows() -> None:
    parts = divide(table_of(308), split_method="gal", split_index=3)
    train, test = gal(308, 3)
    assert np.array_equal(parts.test, np.sort(test))
    assert np.array_equal(np.sort(np.concatenate(parts[:2])), np.sort(train))
    assert len(parts.valid) == round(0.2 * len(train))
    none = divide(table_of(308), split_method="gal", split_index=3, valid_portion=0.0)
    assert len(none.valid) == 0
    assert np.array_equal(none.train, np.sort(train))


def test_dropped_rows_do_not_move_the_others_of_a_gal_split() -> None:
    table, options = table_of(308), DataOptions(path="t.csv", split_method="gal", split_index=3)
    whole = split(table, np.arange(308), options)
    rows = np.delete(np.arange(308), [0, 17, 200])
    parts = split(table, rows, options)
    assert np.array_equal(parts.test, np.intersect1d(whole.test, rows))
    assert np.array_equal(np.sort(np.concatenate(parts[:3])), rows)


@given(st.integers(2, 200), st.floats(0.01, 0.6), st.integers(0, 3))
def test_drawn_validation_rows_leave_training(n: int, portion: float, seed: int) -> None:
    rows = np.arange(100, 100 + n)
    train, valid = draw_valid(rows, portion, seed)
    assert sorted([*train.tolist(), *valid.tolist()]) == rows.tolist()
    assert len(valid) == max(1, round(portion * n))


def test_validation_must_not_take_every_training_row() -> None:
    with pytest.raises(UserError, match=r"data\.valid_portion: 0\.1 of 1 training rows"):
        draw_valid(np.arange(1), 0.1, 0)


def test_a_split_column_is_followed() -> None:
    marks = ["train", "test", "valid", "Train ", "test", "train"]
    parts = divide(table_of(6, s=marks), split_column="s")
    assert [part.tolist() for part in parts[:3]] == [[0, 3, 5], [2], [1, 4]]


def test_a_split_column_without_valid_gives_up_training_rows() -> None:
    table = table_of(40, s=["train"] * 30 + ["test"] * 10)
    parts = divide(table, split_column="s", valid_portion=0.2)
    assert [len(part) for part in parts[:3]] == [24, 6, 10]
    assert parts.valid.max() < 30
    kept = divide(table, split_column="s", valid_portion=0.0)
    assert [len(part) for part in kept[:3]] == [30, 0, 10]


def test_a_limit_on_a_split_column_takes_the_first_rows() -> None:
    table = table_of(6, s=["train", "valid", "test"] * 2)
    parts = divide(table, split_column="s", limit=3)
    assert [part.tolist() for part in parts[:3]] == [[0], [1], [2]]


def test_a_split_column_must_mark_training_rows() -> None:
    with pytest.raises(UserError, match=r"column 's' of t\.csv marks no row as train"):
        divide(table_of(3, s=["test", "valid", "test"]), split_column="s")


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ("vaild", r"t\.csv, row 2, column 's': 'vaild'\. Did you mean 'valid'\? Allowed: train"),
        ("", r"t\.csv, row 2, column 's': no value\. Allowed: train, valid, test"),
        ("2", r"row 2, column 's': '2'\. Allowed"),
    ],
)
def test_an_unknown_mark_in_a_split_column(mark: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        divide(table_of(3, s=["train", mark, "test"]), split_column="s")


@given(
    st.lists(st.sampled_from("abcdefgh"), min_size=8, max_size=60).filter(
        lambda w: len(set(w)) > 2
    ),
    st.integers(0, 3),
    st.sampled_from(["instance-random", "instance-chronological"]),
)
def test_all_rows_of_an_instance_are_in_one_part(who: list[str], seed: int, method: str) -> None:
    table = table_of(len(who), who=who, t=np.arange(len(who), 0, -1.0))
    parts = divide(table, split_method=method, split_seed=seed, instance="who", time="t")
    assert parts.method == method
    assert sorted(np.concatenate(parts[:3]).tolist()) == list(range(len(who)))
    owners = [{who[row] for row in part} for part in parts[:3]]
    count = len(set(who))
    assert [len(part) for part in owners[1:]] == [
        max(1, round(count / 5)),
        max(1, round(count / 10)),
    ]
    assert sum(map(len, owners)) == count
    if method == "instance-chronological":
        # Time runs backwards in the table, so that the last row of an instance is its first.
        last = {name: len(who) - who[::-1].index(name) for name in set(who)}
        assert min(last[name] for name in owners[0]) > max(last[name] for name in owners[2])


def test_limits_and_gaps_of_instances() -> None:
    table = table_of(20, who=[f"w{i % 10}" for i in range(20)])
    options: dict[str, Any] = {"split_method": "instance-random", "instance": "who"}
    found = divide(table, limit=5, **options)
    assert len(np.concatenate(found[:3])) == 10
    with pytest.raises(UserError, match=r"of 1 instances in t\.csv leave no training one"):
        divide(table, limit=1, **options)
    missing = table_of(2, who=["a", None])
    with pytest.raises(UserError, match=r"t\.csv, row 2, column 'who': no value; every row needs"):
        divide(missing, **options)
