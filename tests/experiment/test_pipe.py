"""Rows on a pipe: what a file of them gives, at once, and up to the one that is at fault."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagi_cli.errors import UserError
from tagi_cli.experiment import evaluation, pipe, run
from tagi_cli.experiment.model import Model
from tagi_cli.experiment.settings import Settings

from .conftest import write_table

ROWS = ["a,kind", "0.5,red", "-1,green", '"0.25",red', "2,", "0,green"]


def stream(*pieces: bytes) -> Callable[[int], bytes]:
    left: Iterator[bytes] = iter(pieces)
    return lambda count: next(left, b"")


def answers(model: Model, *pieces: bytes) -> str:
    out = io.BytesIO()
    pipe.answer(model, stream(*pieces), out, [])
    return out.getvalue().decode()


@pytest.fixture(scope="module")
def model(trained: Path) -> Model:
    return Model.load(trained)


@pytest.fixture(scope="module")
def filling(
    make_settings: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run of a table with missing inputs."""
    folder = tmp_path_factory.mktemp("filling")
    table = write_table(folder / "gaps.csv", 60)
    lines = table.read_text().splitlines()
    lines[3] = "," + lines[3].partition(",")[2]
    table.write_text("\n".join(lines) + "\n")
    changes = {"data.path": str(table), "data.missing": "mean", "viz.enabled": False}
    return run.train(make_settings(**changes), "", folder / "runs")


def test_the_answers_are_those_of_a_file(trained: Path, filling: Path, tmp_path: Path) -> None:
    text = "\n".join(ROWS[:4]) + "\n"
    (tmp_path / "rows.csv").write_text(text)
    expected = evaluation.predict(trained, tmp_path / "rows.csv", tmp_path / "out.csv").read_text()
    assert answers(Model.load(trained), text.encode()) == expected
    (tmp_path / "gaps.csv").write_text("\n".join(ROWS) + "\n")
    notices: list[str] = []
    expected = evaluation.predict(
        filling, tmp_path / "gaps.csv", tmp_path / "filled.csv", notices=notices
    ).read_text()
    out, remarks = io.BytesIO(), list[str]()
    given_rows = "\n".join(ROWS).encode()
    assert pipe.answer(Model.load(filling), stream(given_rows), out, remarks) == 5
    assert out.getvalue().decode() == expected
    assert remarks == notices != []


@given(cuts=st.sets(st.integers(1, 60)))
def test_it_does_not_matter_how_the_bytes_arrive(model: Model, cuts: set[int]) -> None:
    data = ("\n\n".join(ROWS[:4]) + '\n"1",\n').replace('"1",', '"1","red"').encode()
    ends = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    pieces = [data[a:b] for a, b in pairwise(ends)]
    whole, parts = (list(csv.reader(answers(model, *p).splitlines())) for p in ([data], pieces))
    assert whole[0] == parts[0]
    # The last bits of a product may depend on how many rows it has.
    numbers = [np.array([[float(c) for c in row[2:]] for row in found[1:]]) for found in
               (whole, parts)]  # fmt: skip
    np.testing.assert_allclose(*numbers, rtol=1e-5)
    assert [row[:2] for row in whole] == [row[:2] for row in parts]


def test_each_row_is_answered_before_the_next_is_asked_for(model: Model) -> None:
    out, seen = io.BytesIO(), list[int]()
    pieces = iter([b"a,kind\n", b"1,red\n", b"2,green\n3,red\n", b"4,", b"red\n"])

    def read(count: int) -> bytes:
        seen.append(out.getvalue().count(b"\n"))
        return next(pieces, b"")

    pipe.answer(model, read, out, [])
    assert seen == [0, 0, 2, 4, 4, 5]


def test_objects_are_answered_by_objects(model: Model) -> None:
    objects = b'{"kind": "red", "a": 0.5, "id": 7}\n{"a": -1, "kind": "green"}\n'
    found = [json.loads(line) for line in answers(model, objects).splitlines()]
    table = list(csv.DictReader(answers(model, "\n".join(ROWS[:3]).encode()).splitlines()))
    assert [one["row"] for one in found] == [0, 1]
    for one, line in zip(found, table, strict=True):
        assert list(one) == ["row", "y"]
        for name, value in one["y"].items():
            assert value == pytest.approx(float(line[name]), rel=1e-6)


def test_classes(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    changes = {"task": "classification", "data.out_components": ["kind"], "data.missing": "mean"}
    made = run.train(make_settings(**changes, **{"viz.enabled": False}), "", tmp_path / "runs")
    model = Model.load(made)
    rows = b"a,y\n1,46\n-1,33\n"
    lines = list(csv.DictReader(answers(model, rows).splitlines()))
    objects = answers(model, b'{"a": 1, "y": 46}\n{"a": -1, "y": 33}\n').splitlines()
    for line, text in zip(lines, objects, strict=True):
        one = json.loads(text)
        assert one["predicted"] == line["predicted"]
        assert sum(one["probability"].values()) == pytest.approx(1, abs=1e-5)
        assert one["probability"]["red"] == pytest.approx(float(line["p_red"]), abs=1e-6)


def many(at: int, line: str) -> bytes:
    lines = ["a,kind", *("1,red" for _ in range(20))]
    lines.insert(at - 1, line)
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("data", "answered", "message"),
    [
        (many(8, "1"), 6, "standard input, row 8: 1 fields; row 1 has 2"),
        (many(2, "x,red"), 0, "row 2, column 'a': 'x' is not a number"),
        (many(15, "1,blue"), 13, "row 15, column 'kind': category 'blue'"),
        (many(9, ",red"), 7, "row 9, column 'a': no value"),
        (many(5, "1,\xff").decode("utf-8").encode("latin-1"), 3, "row 5: not UTF-8 text"),
        (b'a,kind\n1,red\n2,"gre\n', 1, "row 3: a quoted field that does not end"),
        (b"b,kind\n1,red\n", 0, "standard input: no column for the input a. Columns: b, kind"),
        (b"", 0, "standard input: is empty"),
        (b"\n \n", 0, "standard input: is empty"),
        (b'{"a": 1, "kind": "red"}\n{"a": 1}\n', 1, "row 2: no column 'kind'"),
    ],
)
def test_what_was_answered_before_a_fault_stays(
    model: Model, data: bytes, answered: int, message: str
) -> None:
    out = io.BytesIO()
    with pytest.raises(UserError, match=message):
        pipe.answer(model, stream(data), out, [])
    lines = [line for line in out.getvalue().decode().splitlines() if not line.startswith("row,")]
    assert len(lines) == answered


def test_a_header_alone_asks_for_nothing(model: Model) -> None:
    assert answers(model, b"kind,a\n") == ""
    assert answers(model, b"\xef\xbb\xbfkind,a\nred,1\n").count("\n") == 2


def test_windows_need_a_file(
    make_settings: Callable[..., Settings], tmp_path: Path, table: Path
) -> None:
    lines: Sequence[str] = [f"{t},{np.sin(t)}" for t in range(80)]
    path = tmp_path / "s.csv"
    path.write_text("\n".join(["t,y", *lines]) + "\n")
    changes = {"data.path": str(path), "data.in_chunk": [-2, 0], "data.out_chunk": [1, 1]}
    made = run.train(make_settings(**changes, **{"viz.enabled": False}), "", tmp_path / "runs")
    with pytest.raises(UserError, match=r"input=-: this model sees rows .* through windows"):
        answers(Model.load(made), b"t,y\n1,2\n")
