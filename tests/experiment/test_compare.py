"""The table of runs: which options differ, in which order, and as CSV."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tagi_cli.config.schema import walk
from tagi_cli.errors import UserError
from tagi_cli.experiment.folder import FORMAT, RunFolder
from tagi_cli.experiment.settings import Settings, registries
from tagi_cli.experiment.sweeps.compare import _SCORED, compare
from tagi_cli.experiment.sweeps.selection import copy_run, place_for


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


def sweep(path: Path) -> Path:
    for place, nll in enumerate((0.5, -1.0, 2.0)):
        make_run(path / f"run-{place}", config(10 * place), **done(nll))
    make_run(path / "run-3", config(30), **done(-9.0) | {"status": "interrupted"})
    rows = ["0,10,completed,run-0,", "1,20,completed,run-1,", "2,30,completed,run-2,"]
    rows += ["3,40,killed,run-3,killed by SIGKILL", "4,-1,failed,,arch.width: found -1"]
    rows += ["5,-2,waiting,,", "6,-3,failed,,arch.width: found -1", "7,-4,waiting,,"]
    lines = "\n".join(["job,arch.width,status,run,message", *rows])
    (path / "sweep.csv").write_text(lines, encoding="utf-8")
    return path


def test_only_completed_runs_rank_and_the_table_of_the_sweep_tells_of_the_others(
    tmp_path: Path,
) -> None:
    found = compare([sweep(tmp_path)])
    assert [row[:2] for row in found.rows] == [
        ["run-1", "completed"],
        ["run-0", "completed"],
        ["run-2", "completed"],
        ["run-3", "killed"],
    ]
    assert found.failed == [
        "job 3 killed: killed by SIGKILL",
        "job 4, 6 failed: arch.width: found -1",
    ]
    assert found.notes == ["not begun: job 5, 7"]
    assert found.ranked == 3
    assert found.best().path == tmp_path / "run-1"
    assert found.best_options() == {"arch.width": 10}
    figure = found.figure()
    assert figure is not None
    assert figure.title.startswith("3 runs")


def test_a_job_that_was_taken_up_again_and_completed_has_not_failed(tmp_path: Path) -> None:
    folder = sweep(tmp_path)
    (folder / "run-3/summary.json").write_text(json.dumps(done(-9.0)), encoding="utf-8")
    found = compare([folder])
    assert found.rows[0][:2] == ["run-3", "completed"]
    assert found.failed == ["job 4, 6 failed: arch.width: found -1"]


def test_runs_whose_metrics_are_of_other_rows_are_named(tmp_path: Path) -> None:
    def note(*causes: str) -> list[str]:
        return [
            f"note: valid_nll is of other rows or another target from run to run, as the runs "
            f"differ in {', '.join(causes)}; their order says little"
        ]

    first = make_run(tmp_path / "a", "task: {kind: regression}\ndata: {limit: 3}", **done(1.0))
    second = make_run(tmp_path / "b", "task: {kind: classification}\ndata: {limit: 4}", **done(2.0))
    assert compare([first, second]).notes == note("task", "data.limit")
    assert compare([first, second], "run").notes == []
    assert compare([first]).notes == []
    third = make_run(tmp_path / "c", "task: {kind: regression}\ndata: {limit: 3}", **done(3.0))
    assert compare([first, third]).notes == []
    for run, sha in ((first, "1"), (third, "2")):
        facts = {"format": FORMAT, "data_sha256": sha}
        (run / "environment.json").write_text(json.dumps(facts), encoding="utf-8")
    assert compare([first, third]).notes == note("their data")


def test_the_options_that_say_which_rows_are_scored_exist() -> None:
    known = {path for path, _ in walk(Settings, registries())} | {"task"}
    assert set(_SCORED) <= known


def test_a_status_is_no_metric_and_without_metrics_no_run_is_ranked(tmp_path: Path) -> None:
    stopped = {"status": "interrupted", "epochs": 3, "seconds": 0.1, "valid": {}, "test": {}}
    for place in range(2):
        make_run(tmp_path / f"run-{place}", config(place), **stopped)
    found = compare([tmp_path], "status")
    assert found.header == ["run", "status", "arch.width", "epochs", "seconds"]
    found = compare([tmp_path])
    assert found.sorted_by == "run"
    with pytest.raises(UserError, match="no run is completed, so that there is no best one"):
        found.best()


def test_the_figure_leaves_out_what_follows_from_a_kind(tmp_path: Path) -> None:
    for place, kind in enumerate(("{kind: mlp, width: 3}", "{kind: cnn}", "{kind: mlp, width: 3}")):
        make_run(tmp_path / f"run-{place}", f"arch: {kind}\nseed: {place}", **done(float(place)))
    found = compare([tmp_path])
    assert found.options == ["arch", "arch.width", "seed"]
    figure = found.figure()
    assert figure is not None
    assert "arch.width" not in figure.svg
    assert "seed" in figure.svg


def test_without_a_metric_no_run_is_the_best(tmp_path: Path) -> None:
    found = compare([sweep(tmp_path)], "arch.width")
    assert found.figure() is None
    with pytest.raises(UserError, match=r"sorted by arch\.width, no completed run is the best"):
        found.best()


def test_a_single_run_is_no_figure(tmp_path: Path) -> None:
    assert compare([make_run(tmp_path / "one", config(1), **done(1.0))]).figure() is None


@pytest.mark.parametrize("text", ["run,status\n", "job,status\n1,2,3\n", "\udcff"])
def test_a_damaged_table_of_a_sweep_is_named(tmp_path: Path, text: str) -> None:
    make_run(tmp_path / "one", config(1), **done(1.0))
    (tmp_path / "sweep.csv").write_text(text + "x\n", encoding="utf-8", errors="surrogateescape")
    with pytest.raises(UserError, match=r"sweep\.csv: "):
        compare([tmp_path])


def test_the_best_run_is_copied_whole_and_never_over_another(tmp_path: Path) -> None:
    folder = sweep(tmp_path / "outputs/mine/2026")
    best = compare([folder]).best()
    (best.path / ".lock").touch()
    target = place_for(best)
    assert target == tmp_path / "outputs/mine-best/run-1"
    assert place_for(RunFolder(tmp_path / "outputs/mine/x")).parent.name == "mine-best"
    copy = copy_run(best, target)
    assert copy.config.read_text() == best.config.read_text()
    assert not (copy.path / ".lock").exists()
    assert list(target.parent.iterdir()) == [target]
    with pytest.raises(UserError, match="is there already; nothing is overwritten"):
        copy_run(best, target)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        copy_run(best, tmp_path / "file/inside")
