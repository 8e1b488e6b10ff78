"""Updates of series: windows show the rows before new ones, and states go on."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tagi_cli import config
from tagi_cli.data import read_table
from tagi_cli.errors import UserError
from tagi_cli.experiment import run, updating
from tagi_cli.experiment.model import Model
from tagi_cli.experiment.predictions import Predictions
from tagi_cli.experiment.settings import Settings, registries

from .conftest import summary
from .test_updating import BATCH, assert_same, settings, tensors, update, write


def series_lines(rows: int, names: Sequence[str] = ("",)) -> list[str]:
    """Rows in the order of time, one for each series at a time."""
    rng, lines = np.random.default_rng(1), []
    for t in range(rows):
        for shift, name in enumerate(names):
            y = math.sin(t / 3 + shift) + 0.1 * float(rng.normal())
            lines.append(f"{name},{t},{y!r}" if name else f"{t},{y!r}")
    return lines


WINDOWS = {
    "data.in_components": ["y"],
    "data.time": "t",
    "data.in_chunk": [-5, 0],
    "data.out_chunk": [1, 2],
    "data.padding_method": "none",
}
STATES = {
    "data.in_components": ["y"],
    "data.in_chunk": [0, 0],
    "data.out_chunk": [1, 1],
    "arch": {"kind": "lstm", "width": 4, "internal_state": {"tracking": True}},
    "data.batch_size": None,
    "trainer.online": True,
}


def series_files(
    folder: Path, names: Sequence[str], rows: Sequence[int], time: bool = True
) -> list[Path]:
    """Four tables that cut `rows[3]` times at the others: first, half, rest, half and rest."""
    a, b, c = (row * len(names) for row in rows)
    lines = series_lines(rows[-1], names)
    header = "id,t,y" if names[0] else "t,y"
    if not time:
        lines, header = [line.rpartition(",")[2] for line in lines], "y"
    parts = {"first": lines[:a], "half": lines[a:b], "rest": lines[b:c], "whole": lines[a:c]}
    return [write(folder / f"{name}.csv", header, part) for name, part in parts.items()]


@pytest.mark.parametrize("names", [("",), ("u", "v")])
def test_windows_show_the_rows_before_new_ones(names: Sequence[str], tmp_path: Path) -> None:
    # Points that learn: 2 fewer than rows in the first table, then as many as rows.
    first, half, rest, whole = series_files(tmp_path, names, (60, 60 + 2 * BATCH, 60 + 5 * BATCH))
    changes = WINDOWS | ({"data.instance": "id"} if names[0] else {})
    start = run.train(settings(**{"data.path": str(first)}, **changes), "", tmp_path / "runs")
    at_once = update(start, whole)
    assert summary(at_once)["prequential"]["rows"] == 5 * BATCH * len(names)
    assert_same(at_once, update(update(start, half), rest))


@pytest.mark.parametrize(
    ("names", "time"),
    [(("",), True), (("u", "v"), True), (("",), False)],
    ids=["one series", "two series", "without times"],
)
def test_states_go_on_from_run_to_run(names: Sequence[str], time: bool, tmp_path: Path) -> None:
    first, half, rest, whole = series_files(tmp_path, names, (60, 80, 100), time)
    changes = STATES | ({"data.instance": "id"} if names[0] else {})
    changes |= {"data.time": "t"} if time else {}
    start = run.train(settings(**{"data.path": str(first)}, **changes), "", tmp_path / "runs")
    at_once = update(start, whole)
    assert config.load(Settings, registries(), start / "config.yaml").data.batch_size == len(names)
    halves = update(update(start, half), rest)
    # What was left by rows of the first table is not asked for again.
    assert_same(at_once, halves)
    anew = settings(**{"data.path": str(whole)}, **changes)
    fresh = run.train(anew, "", tmp_path / "runs")
    assert not np.allclose(*(tensors(one)["member.0.lstm_0.weight.mu"] for one in (fresh, at_once)))


def test_states_of_a_run_in_epochs_go_on_where_times_follow(tmp_path: Path) -> None:
    first, half, rest, whole = series_files(tmp_path, ("",), (60, 80, 100))
    changes = STATES | {"data.time": "t", "trainer.online": False, "data.batch_size": 4}
    changes |= {"data.split_portions": [0.9, 0.1, 0.0], "data.split_method": "chronological"}
    start = run.train(settings(**{"data.path": str(first)}, **changes), "", tmp_path / "runs")
    with pytest.raises(UserError, match=r"data\.batch_size: found 4\..*data\.batch_size=1"):
        update(start, whole)
    at_once = update(start, whole, **{"data.batch_size": 1})
    halves = update(update(start, half, **{"data.batch_size": 1}), rest)
    assert_same(at_once, halves)
    # The first new row is predicted from the state in which training left the last one.
    part = read_table(write(tmp_path / "end.csv", "t,y", series_lines(61)[50:]))
    law = Model.load(start).predict_table(part)
    assert isinstance(law, Predictions)
    assert law.y is not None
    one = write(tmp_path / "one.csv", "t,y", series_lines(61)[60:])
    made = summary(update(start, one, **{"data.batch_size": 1}))["prequential"]
    assert made["rows"] == 1
    own = Model.load(start).learners
    errors = [law.mu[m, -2, 0] - law.y[-2, 0] for m in range(len(own))]
    assert made["rmse"] == pytest.approx(np.mean(np.abs(errors)), rel=1e-4)
    parent = updating.Parent.open(str(start))
    left = parent.left_at(np.array([[0, 0, 59], [0, 0, 70]]), 1)
    assert left is not None
    assert left.tolist() == [[0, 0, 58], [-1, -1, -1]]


def test_a_parent_whose_data_are_gone_is_said_to_lend_no_rows(tmp_path: Path) -> None:
    first, half, _, _ = series_files(tmp_path, ("",), (60, 80, 100))
    start = run.train(settings(**{"data.path": str(first)}, **WINDOWS), "", tmp_path / "runs")
    first.unlink()
    made = update(start, half)
    log = (made / "train.log").read_text()
    assert re.search(r"first windows show no row before this table: .*no such file", log)
    assert summary(made)["prequential"]["rows"] == 20 - 7
