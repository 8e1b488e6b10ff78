"""Places of new rows in the slices of the training data, against a walk from day to day."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from series_tables import days, loaded, write

from tagi_cli.data import Encoder, read_table
from tagi_cli.data.origins import Origins
from tagi_cli.data.parts import InTraining
from tagi_cli.data.series import Series, arrange
from tagi_cli.data.table import Table
from tagi_cli.data.times import Step

Days = dict[str, list[int]]


@st.composite
def calendars(draw: st.DrawFn) -> Days:
    """Days of a few series."""
    names = draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True))
    some = st.lists(st.integers(-3, 25), min_size=1, max_size=15, unique=True)
    return {name: sorted(draw(some)) for name in names}


def arranged(found: Days, step: Step, known: tuple[str, ...] = ()) -> Series:
    rows = [(name, day) for name, own in found.items() for day in own]
    columns = {"who": [name for name, _ in rows], "when": [float(day) for _, day in rows]}
    return arrange(Table.from_columns(columns), "who", "when", step, [], known)


def pieces(own: list[int]) -> list[list[int]]:
    """Days cut where one is missing."""
    cut: list[list[int]] = []
    for day in own:
        if cut and cut[-1][-1] == day - 1:
            cut[-1].append(day)
        else:
            cut.append([day])
    return cut


@given(calendars(), calendars())
def test_new_slices_by_hand(old: Days, new: Days) -> None:
    step = Step("number", 1.0)
    training = arranged(old, step)
    origins = Origins.of(training)
    assert origins is not None
    again = Origins.from_json(json.loads(json.dumps(origins.to_json())))
    series = arranged(new, step, training.names)
    numbers, begins = again.find(series, step)
    at = 0
    for code, name in enumerate(series.names):
        for count, piece in enumerate(pieces(new.get(name, []))):
            begun = [own[0] for own in pieces(old.get(name, [])) if own[0] <= piece[-1]]
            assert series.slice_codes[at] == code
            if begun:
                assert (numbers[at], begins[at]) == (len(begun) - 1, piece[0] - begun[-1])
            else:
                assert (numbers[at], begins[at]) == (-1 - count, 0)
            at += 1
    assert at == len(numbers)


@pytest.mark.parametrize(
    ("step", "times", "new", "place"),
    [
        (Step("number", 0.1), [0.3, 0.4], [0.7, 0.8], 4),
        (Step("number", 0.1), [0.3, 0.4], [0.75, 0.85], None),
        (Step("microsecond", 60_000_000), ["2024-01-01T00:00"], ["2024-01-01T01:30"], 90),
        (Step("microsecond", 60_000_000), ["2024-01-01T00:00"], ["2024-01-01T01:30:20"], None),
        (Step("month", 1), ["2024-01-15"], ["2025-02-15"], 13),
        (Step("month", 1), ["2024-01-15"], ["2025-02-16"], None),
        (Step("month_end", 3), ["2024-01-31"], ["2024-04-30", "2024-07-31"], 1),
        # Dates, where the training had numbers.
        (Step("number", 1.0), [1.0, 2.0], ["2024-01-15"], None),
    ],
)
def test_times_between_the_steps(
    step: Step, times: list[Any], new: list[Any], place: int | None
) -> None:
    made = (
        arrange(Table.from_columns({"when": one}), None, "when", step, []) for one in (times, new)
    )
    origins = Origins.of(next(made))
    assert origins is not None
    numbers, begins = origins.find(next(made), step)
    found = (int(numbers[0]), int(begins[0]))
    assert found == ((0, place) if place is not None else (-1, 0))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"min_slice": 7},
        {"missing": "ffill"},
        {"out_chunk": (0, 0), "in_chunk": (-2, 2), "padding_method": "reflect"},
    ],
)
def test_rows_of_the_training_find_themselves(tmp_path: Path, options: dict[str, Any]) -> None:
    """In the whole file; in one that begins later; in one that begins earlier."""
    columns = days(25, 40, 31)
    columns["a"][3] = columns["a"][11] = columns["a"][40] = ""
    path = write(tmp_path, columns)
    dataset = loaded(path, **({"missing": "split", "in_components": ("a",)} | options))
    encoder = Encoder.from_json(json.loads(json.dumps(dataset.encoder.to_json())))
    parts = (dataset.train, dataset.valid, dataset.test)
    expected = {
        (part.series[place[0]], str(when)[:10]): tuple(place[1:])
        for part in parts
        for place, when in zip(part.index.tolist(), part.time, strict=True)  # type: ignore[union-attr,arg-type]
    }

    def kept(wanted: Any) -> Table:
        rows = [r for r, when in enumerate(columns["when"]) if wanted(when)]
        some = {name: [values[r] for r in rows] for name, values in columns.items()}
        return read_table(write(tmp_path, some, "some.csv"))

    for cut in ("2024-01-01", "2024-03-13", "2024-03-20"):
        found = encoder.windows(kept(lambda when, cut=cut: when >= cut))
        assert found.in_training is not None
        seen = 0
        for place, earliest, when in zip(
            found.in_training.places.tolist(),
            found.in_training.earliest,
            found.time,
            strict=True,  # type: ignore[arg-type]
        ):
            own = expected.get((found.series[place[0]], str(when)[:10]))
            if own is not None:
                assert tuple(place[1:]) == own
                seen += 1
            # The window of the earliest place is whole, or padded as in training.
            first = place[2] - earliest
            assert first >= -(encoder.input_shape[0] - 1)
        assert seen >= 10


def test_what_a_file_can_show(tmp_path: Path) -> None:
    """Four rows in a window, of which two must be real."""
    columns = days(30, skipped=99)
    encoder = loaded(write(tmp_path, columns)).encoder

    def of(begin: str) -> InTraining:
        rows = [r for r, when in enumerate(columns["when"]) if when >= begin]
        some = {name: [values[r] for r in rows] for name, values in columns.items()}
        found = encoder.windows(Table.from_columns(some)).in_training
        assert found is not None
        return found

    whole, late = of("2024-03-01"), of("2024-03-11")
    assert (whole.places[0].tolist(), set(whole.earliest.tolist())) == ([0, 0, 1], {1})
    assert (late.places[0].tolist(), set(late.earliest.tolist())) == ([0, 0, 11], {13})


def test_without_times_nothing_is_told(tmp_path: Path) -> None:
    columns = days(30, skipped=99)
    for options in ({"time": None}, {"time_delta": "rows"}):
        dataset = loaded(write(tmp_path, columns), **options)
        assert dataset.encoder.windowing is not None
        assert dataset.encoder.windowing.origins is None
        found = dataset.encoder.windows(Table.from_columns(columns)).in_training
        assert found is not None
        assert (found.places[:, 1] < 0).all()
    tree = loaded(write(tmp_path, columns)).encoder.to_json()
    del tree["windows"]["origins"]  # as older versions wrote it
    old = Encoder.from_json(tree).windows(Table.from_columns(columns)).in_training
    assert old is not None
    assert (old.places[:, 1] < 0).all()
