from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tagi_cli.data.components import Components, choose
from tagi_cli.data.options import DataOptions
from tagi_cli.data.table import Table
from tagi_cli.errors import UserError, UserErrors

TABLE = Table.from_columns(
    {
        "x1": [1.0, 2, 3, 4],
        "x2": [5.0, 6, 7, 8],
        "zone": [1, 2, 1, 2],
        "colour": ["red", "blue", "red", "blue"],
        "when": ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"],
        "part": ["train", "train", "valid", "test"],
        "house": ["h1", "h2", "h3", "h4"],
        "mixed": ["1", "two", "3", "4"],
        "y": [1.0, 2, 3, 4],
    },
    "t.csv",
)


def chosen(notices: list[str] | None = None, table: Table = TABLE, **options: Any) -> Components:
    options = {"out_components": ("y",)} | options
    purpose = {
        key: options.pop(key)
        for key in ("classify", "windowed", "predicts_later")
        if key in options
    }
    made = DataOptions(path="t.csv", **options)
    return choose(table, made, (), [] if notices is None else notices, **purpose)


def test_inputs_keep_the_order_of_the_user() -> None:
    assert chosen(in_components=("x2", "zone", "x1")).inputs == ("x2", "zone", "x1")


def test_a_pattern_takes_the_columns_it_matches_once_and_no_target() -> None:
    found = chosen(in_components=("x2", "x*"), out_components=("y",))
    assert found.inputs == ("x2", "x1")
    everything = chosen(in_components=("[!wphm]*",), split_column="part")
    assert everything.inputs == ("x1", "x2", "zone", "colour")
    assert chosen(in_components=("zone",), out_components=("x?",)).outputs == ("x1", "x2")


def test_default_inputs_leave_out_every_other_role() -> None:
    table = Table("t.csv", {name: TABLE.data[name] for name in TABLE.columns if name != "mixed"})
    found = chosen(table=table, split_column="part", time="when", instance="house")
    assert found.inputs == ("x1", "x2", "zone", "colour")
    assert found.categorical == {"colour"}


def test_a_time_or_instance_that_is_named_is_an_input() -> None:
    found = chosen(in_components=("x1", "zone"), time="x1", instance="zone")
    assert found.inputs == ("x1", "zone")


def test_listed_columns_are_categorical_even_if_they_hold_numbers() -> None:
    found = chosen(in_components=("zone", "mixed", "x1"), categorical=("zone", "mixed"))
    assert found.categorical == {"zone", "mixed"}


def test_texts_like_identifiers_are_left_out_with_a_remark() -> None:
    notices: list[str] = []
    found = chosen(notices, categorical=("mixed", "when"))
    assert "house" not in found.inputs
    assert "when" in found.inputs
    assert any(
        "'house' has 4 different texts, such as 'h1', in 4 rows; left out" in line
        for line in notices
    )
    assert chosen(in_components=("house",)).categorical == {"house"}


def test_times_left_out_are_told_from_identifiers() -> None:
    notices: list[str] = []
    chosen(notices, categorical=("mixed",))
    assert next(line for line in notices if "'when'" in line).endswith(
        "left out of the inputs (data.time=when would split by time)"
    )


def test_a_column_that_counts_the_rows_is_remarked() -> None:
    table = Table.from_columns({"id": [7.0, 8, 9], "a": [1.0, 3, 4], "y": [1.0, 2, 3]}, "t.csv")
    notices: list[str] = []
    assert chosen(notices, table).inputs == ("id", "a")
    assert len(notices) == 1
    assert notices[0].startswith("column 'id' counts the rows")


def test_a_forgotten_split_column_is_remarked() -> None:
    notices: list[str] = []
    chosen(notices, categorical=("mixed",))
    assert any("set data.split_column=part" in line for line in notices)


def test_a_column_without_values_is_left_out_with_a_remark() -> None:
    table = Table.from_columns({"a": [1.0, 2], "e": [np.nan, np.nan], "y": [1.0, 2]}, "t.csv")
    notices: list[str] = []
    assert chosen(notices, table).inputs == ("a",)
    assert notices == ["column 'e' has no value at all; left out of the inputs"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out_components": ("z",)}, r"data\.out_components: t\.csv has no column 'z'\."),
        ({"in_components": ("zonne",)}, r"data\.in_components: .* Did you mean 'zone'\?"),
        ({"in_components": ("q*",)}, r"data\.in_components: t\.csv has no column 'q\*'"),
        ({"categorical": ("color",)}, r"data\.categorical: .* Did you mean 'colour'\?"),
        ({"time": "wen"}, r"data\.time: .* Did you mean 'when'\?"),
        ({"instance": "hous"}, r"data\.instance: .* Did you mean 'house'\?"),
        ({"split_column": "prt"}, r"data\.split_column: .* Did you mean 'part'\?"),
        ({"in_components": ("y",)}, r"in_components: column 'y' is also a target"),
        ({"in_components": ("when",), "time": "when"}, r"column 'when' holds times as text"),
        (
            {"in_components": ("part",), "split_column": "part"},
            r"'part' is also data\.split_column",
        ),
        ({"time": "y"}, r"data\.out_components: column 'y' is also data\.time"),
        ({"in_components": ("x1",), "categorical": ("zone",)}, r"'zone' is not among the inputs"),
        ({"out_components": ()}, r"data\.out_components: name the column to predict .* x1, x2"),
        ({"out_components": ("colour",)}, r"row 1, column 'colour': 'red' is not .*a target must"),
        ({"out_components": ("mixed",)}, r"t\.csv, row 2, column 'mixed': 'two' is not a number"),
        ({"in_components": ("mixed",)}, r"row 2, column 'mixed': .* List the column in data\.cat"),
    ],
)
def test_mistakes(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        chosen(**options)


def test_all_unknown_names_are_listed_at_once() -> None:
    with pytest.raises(UserErrors) as caught:
        chosen(in_components=("a", "b"), out_components=("c",), time="d")
    assert len(caught.value.faults) == 4


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": ["x", "y"], "y": ["u", "v"]}, r"t\.csv: no column holds numbers"),
        ({"y": [1.0, 2.0]}, r"data\.in_components: t\.csv has no column left to be an input$"),
        (
            {"id": ["1,000 $", "2,000 $", "3,000 $"], "y": [1.0, 2.0, 3.0]},
            r"no column left to be an input; column 'id' has 3 different texts, such as '1,000 \$'",
        ),
    ],
)
def test_tables_that_cannot_be_learnt(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        chosen(table=Table.from_columns(columns, "t.csv"))


def test_a_file_without_names_says_so() -> None:
    """A header of years is a row of numbers, and so taken for data."""
    headless = Table(
        "t.csv", Table.from_columns({"c0": [2019.0, 1], "c1": [2020.0, 2]}).data, has_header=False
    )
    with pytest.raises(UserErrors, match=r"no column '2020'\..*\(the first row holds no names"):
        chosen(table=headless, out_components=("2020",))


def test_in_windows_a_target_may_be_an_input() -> None:
    found = chosen(in_components=("y", "x1"), windowed=True)
    assert (found.inputs, found.outputs) == (("y", "x1"), ("y",))
    # A pattern takes targets where it names nothing else.
    both = {"out_components": ("x?",), "windowed": True}
    assert chosen(in_components=("x*", "zone"), **both).inputs == ("x1", "x2", "zone")
    assert chosen(in_components=("[xz]*",), **both).inputs == ("zone",)
    with pytest.raises(UserError, match=r"no column 'x\*'"):
        chosen(in_components=("x*",), out_components=("x?",))


def test_targets_that_come_later_are_inputs_unless_others_are_named() -> None:
    table = Table("t.csv", {name: TABLE.data[name] for name in ("x1", "zone", "y", "when")})
    later: dict[str, Any] = {"table": table, "windowed": True, "predicts_later": True}
    assert chosen(**later, time="when").inputs == ("x1", "zone", "y")
    assert chosen(**later, time="when", in_components=("x1",)).inputs == ("x1",)
    assert chosen(table=table, windowed=True, time="when").inputs == ("x1", "zone")


def test_a_target_may_count() -> None:
    table = Table.from_columns({"y": [1.0, 2, 3], "a": [1.0, 5, 2]}, "t.csv")
    notices: list[str] = []
    assert chosen(notices, table, windowed=True, predicts_later=True).inputs == ("y", "a")
    assert notices == []


def test_the_only_column_of_numbers_is_the_target_of_a_forecast() -> None:
    table = Table("t.csv", {name: TABLE.data[name] for name in ("house", "y", "when")})
    later: dict[str, Any] = {"windowed": True, "predicts_later": True, "out_components": ()}
    found = chosen(table=table, time="when", instance="house", **later)
    assert (found.inputs, found.outputs) == (("y",), ("y",))
    with pytest.raises(UserError, match=r"data\.out_components: name the column to predict"):
        chosen(time="when", instance="house", **later)


def test_a_label_may_be_text_and_is_one_column() -> None:
    found = chosen(in_components=("x1",), out_components=("colour",), classify=True)
    assert (found.outputs, found.labels) == (("colour",), {"colour"})
    with pytest.raises(UserError, match=r"data\.out_components: found colour, zone\. Allowed: one"):
        chosen(in_components=("x1",), out_components=("colour", "zone"), classify=True)


def test_a_table_of_texts_alone_can_be_classified() -> None:
    table = Table.from_columns({"a": ["x", "y", "x"], "k": ["u", "v", "u"]}, "t.csv")
    found = chosen(table=table, out_components=("k",), classify=True)
    assert found.inputs == ("a",)
    assert found.categorical == {"a"}


def test_parts_of_the_date_may_be_the_only_inputs() -> None:
    table = Table("t.csv", {name: TABLE.data[name] for name in ("y", "when")})
    found = chosen(table=table, time="when", time_covariates=("month",))
    assert found.inputs == ()


def test_a_hint_can_be_typed_in_a_shell() -> None:
    days = [f"2020-01-{day:02}" for day in range(1, 9)]
    table = Table.from_columns({"sold on": days, "a": range(8), "y": range(8)}, "t.csv")
    notices: list[str] = []
    chosen(notices, table)
    assert notices[0].endswith("left out of the inputs ('data.time=sold on' would split by time)")
