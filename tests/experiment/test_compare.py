"""The table of runs: which options differ, in which order, and as CSV."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tagi_cli.errors import UserError
from tagi_cli.experiment.compare import compare
from tagi_cli.experiment.folder import FORMAT


def make_run(path: Path, config: str, **summary: Any) -> Path:
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(config, encoding="utf-8")
    (path / "environment.json").write_text(json.dumps({"format": FORMAT}), encoding="utf-8")
    if summary:
        (path / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    return path


def done(nll: float, rmse: float = 1.0, **rest: Any) -> dict[str, Any]:
    metrics = {"nll": nll, "rmse": rmse, "coverage_90": 0.9, "components": {"y": {"nll": nll}}}
    return {
        "status": "completed",
        "epochs": 3,
        "seconds": 1.5,
        "valid": metrics,
        "test": metrics,
    } | rest


def config(width: int, seed: int = 0) -> str:
    return f"seed: {seed}\narch:\n  kind: mlp\n  width: {width}\ndata:\n  in_components: [a, b]\n"


def test_a_sweep_is_sorted_by_validation_nll_with_the_options_that_differ(tmp_path: Path) -> None:
    for place, nll in enumerate((0.5, -1.0, 2.0)):
        make_run(tmp_path / f"run-{place}", config(10 * place), **done(nll))
    table = compare([tmp_path])
    assert table.header[:3] == ["run", "status", "arch.width"]
    assert [row[0] for row in table.rows] == ["run-1", "run-0", "run-2"]
    assert [row[2] for row in table.rows] == [10, 0, 20]
    assert table.sorted_by == "valid_nll"
    place = table.header.index("test_nll")
    assert [row[place] for row in table.rows] == [-1.0, 0.5, 2.0]


def test_other_orders_and_the_direction_of_a_metric(tmp_path: Path) -> None:
    for place, r2 in enumerate((0.1, 0.9, 0.5)):
        run = done(float(place), rmse=3.0 - place)
        run["test"] = run["test"] | {"r2": r2}
        make_run(tmp_path / f"run-{place}", config(4), **run)
    assert [row[0] for row in compare([tmp_path], "test_rmse").rows] == ["run-2", "run-1", "run-0"]
    best_first = compare([tmp_path], "test_r2")
    assert [row[0] for row in best_first.rows] == ["run-1", "run-2", "run-0"]
    assert "test_r2" in best_first.header
    assert [row[0] for row in compare([tmp_path], "run").rows] == ["run-0", "run-1", "run-2"]


def test_kinds_lists_and_options_of_one_run_only(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a", "arch: {kind: mlp, width: 3}\nx: [1, 2]\n", **done(1.0))
    second = make_run(tmp_path / "b", "arch: {kind: sequential}\nx: [1, 3]\n", **done(2.0))
    table = compare([first, second])
    assert table.header[2:5] == ["arch", "arch.width", "x"]
    assert [row[2:5] for row in table.rows] == [["mlp", 3, "[1,2]"], ["sequential", None, "[1,3]"]]


def test_unfinished_and_failed_runs_come_last(tmp_path: Path) -> None:
    failed = {"status": "failed", "epochs": 0, "seconds": 0.1, "valid": {}, "test": {}}
    make_run(tmp_path / "failed", config(1), **failed)
    make_run(tmp_path / "running", config(2))
    make_run(tmp_path / "done", config(3), **done(5.0))
    make_run(tmp_path / "nan", config(4), **done(float("nan")))
    table = compare([tmp_path])
    assert table.rows[0][0] == "done"
    assert {row[0]: row[1] for row in table.rows}["running"] == "unfinished"


def test_outputs_of_a_name_hold_runs_and_sweeps(tmp_path: Path) -> None:
    make_run(tmp_path / "sweep" / "one", config(1), **done(1.0))
    make_run(tmp_path / "sweep" / "two", config(2), **done(2.0))
    assert len(compare([tmp_path]).rows) == 2
    single = tmp_path / "sweep" / "one"
    assert len(compare([single, tmp_path / "sweep", single]).rows) == 2


def test_runs_of_one_name_in_two_places_stay_apart(tmp_path: Path) -> None:
    for place in ("x", "y"):
        make_run(tmp_path / place / "run", config(1), **done(1.0))
    rows = compare([tmp_path / "x" / "run", tmp_path / "y" / "run"]).rows
    assert [row[0] for row in rows] == ["x/run", "y/run"]


def test_csv_holds_the_same_cells(tmp_path: Path) -> None:
    make_run(tmp_path / 'a,"b"', config(1), **done(0.1234567890123456))
    table = compare([tmp_path / 'a,"b"'])
    table.write_csv(tmp_path / "sweep.csv")
    header, row = csv.reader(io.StringIO((tmp_path / "sweep.csv").read_text(encoding="utf-8")))
    assert header == table.header
    assert row[0] == 'a,"b"'
    assert float(row[header.index("valid_nll")]) == 0.1234567890123456


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="folder 'nowhere' does not exist"):
        compare(["nowhere"])
    with pytest.raises(UserError, match="no run folder in"):
        compare([tmp_path])
    with pytest.raises(UserError, match="at least one"):
        compare([])
    run = make_run(tmp_path / "run", config(1), **done(1.0))
    with pytest.raises(UserError, match=r"no column 'test_nl'. Did you mean 'test_nll'\?"):
        compare([run], "test_nl")
    (run / "summary.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"summary\.json: cannot be read"):
        compare([run])
