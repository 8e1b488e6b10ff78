"""Run folders: fresh names, locks, versions, and the messages of what goes wrong."""

from __future__ import annotations

import json
import multiprocessing
import re
from pathlib import Path

import pytest

from tagi_cli.errors import UserError
from tagi_cli.experiment.folder import FORMAT, RunFolder, is_sweep, read_json, runs_below


def finished(parent: Path) -> RunFolder:
    folder = RunFolder.create(parent)
    folder.config.write_text("name: a\n", encoding="utf-8")
    folder.environment.write_text(json.dumps({"format": FORMAT}), encoding="utf-8")
    return folder


def test_each_run_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    names = [RunFolder.create(tmp_path / "name").path.name for _ in range(20)]
    assert len(set(names)) == 20
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-[0-9a-f]{4}", n) for n in names)


def test_an_unwritable_place_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("a file", encoding="utf-8")
    with pytest.raises(UserError, match=r"outputs/name.*cannot be written"):
        RunFolder.create(tmp_path / "outputs" / "name")
    with pytest.raises(UserError, match="outputs"):
        RunFolder.create(tmp_path / "outputs")


def test_open_finds_what_create_made(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    assert RunFolder.open(str(folder.path)) == folder


def test_a_missing_folder_names_the_newest_run_near_it(tmp_path: Path) -> None:
    folder = finished(tmp_path / "name")
    with pytest.raises(UserError, match=re.escape(str(folder.path))):
        RunFolder.open(tmp_path / "name" / "typo")
    with pytest.raises(UserError, match="run folder 'nowhere' does not exist"):
        RunFolder.open("nowhere")


def test_another_folder_is_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not a run folder: it has no config\.yaml"):
        RunFolder.open(tmp_path)
    (tmp_path / "config.yaml").touch()
    with pytest.raises(UserError, match=r"is not a run folder: it has no environment\.json"):
        RunFolder.open(tmp_path)


def test_a_folder_of_another_version_is_refused(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    folder.environment.write_text('{"format": 99}', encoding="utf-8")
    with pytest.raises(UserError, match="run folder format 99, but this version of tagi reads"):
        RunFolder.open(folder.path)


def test_a_sweep_folder_points_at_its_runs(tmp_path: Path) -> None:
    first, second = sorted(finished(tmp_path).path for _ in range(2))
    assert is_sweep(tmp_path)
    assert [run.path for run in runs_below(tmp_path)] == [first, second]
    with pytest.raises(UserError, match=f"holds 2 runs and is none itself; .*newest, {second}$"):
        RunFolder.open(tmp_path)


def test_the_newest_run_is_that_of_the_latest_time_and_told_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run in ("b/2026-01-01_00-00-00-0000", "a/2026-01-02_00-00-00-0000"):
        folder = tmp_path / "outputs" / run
        folder.mkdir(parents=True)
        (folder / "config.yaml").touch()
    monkeypatch.chdir(tmp_path)
    newest = "outputs/a/2026-01-02_00-00-00-0000"
    for wrong in ("outputs/c", "c"):
        with pytest.raises(UserError, match=f"'{wrong}' does not exist. The newest .*: {newest}$"):
            RunFolder.open(wrong)
    with pytest.raises(UserError, match=f"'outputs' is not a .*yaml. The newest .*: {newest}$"):
        RunFolder.open("outputs")
    report = Path(newest, "report.html")
    report.touch()
    told = f"run: '{report}' is a file of the run folder {newest}; name that"
    with pytest.raises(UserError, match=f"^{re.escape(told)}$"):
        RunFolder.open(report)
    (tmp_path / "my.csv").touch()
    with pytest.raises(UserError, match=r"^run: 'my\.csv' is a file and no run$"):
        RunFolder.open("my.csv")


def test_checkpoints_by_word_file_and_mistake(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    with pytest.raises(UserError, match=r"checkpoint=best: .* does not exist \(this run has none"):
        folder.checkpoint("best")
    best = folder.checkpoints / "best.safetensors"
    best.touch()
    assert folder.checkpoint("best") == best
    assert folder.checkpoint(str(best)) == best
    with pytest.raises(UserError, match=r"checkpoint=bset: no such file.*Allowed: best, last"):
        folder.checkpoint("bset")


def hold(path: Path, ready: multiprocessing.synchronize.Event, end: object) -> None:
    with RunFolder(path).locked():
        ready.set()
        end.wait(30)  # type: ignore[attr-defined]


def test_a_second_process_is_kept_out_until_the_first_ends(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    context = multiprocessing.get_context("spawn")
    ready, end = context.Event(), context.Event()
    other = context.Process(target=hold, args=(folder.path, ready, end))
    other.start()
    try:
        assert ready.wait(30)
        with (
            pytest.raises(UserError, match=rf"in use by another process \(id {other.pid}\)"),
            folder.locked(),
        ):
            pass
    finally:
        other.kill()
        other.join(30)
    with folder.locked():
        pass


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "\x00", "[" * 4000])
def test_a_damaged_json_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "summary.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"summary\.json"):
        read_json(path)


def test_a_missing_json_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read_json(tmp_path / "summary.json")
