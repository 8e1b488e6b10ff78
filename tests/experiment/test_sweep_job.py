"""A job as a process: stopped, it saves; started again, it goes on in its folder."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tagi_cli.cli.configuration import settings_from
from tagi_cli.errors import UserError
from tagi_cli.experiment.settings import Settings, dump_settings
from tagi_cli.experiment.sweeps.job import Job, JobFiles, Process, run, write_jobs


@pytest.mark.slow
def test_a_job_that_was_stopped_goes_on_when_it_is_started_again(tmp_path: Path) -> None:
    endless = ("trainer.max_epochs=1000000", "trainer.early_stopping.enabled=false")
    settings = settings_from(["config=sweep", "kernels=numpy", "arch.width=3", *endless])
    write_jobs(tmp_path, "tagi train", {0: dump_settings(settings)})
    files = JobFiles(tmp_path, 0)
    for _ in range(2):
        before = files.read().get("run")
        log = tmp_path / before / "train.log" if before else None
        begun = log.read_text().count("\n") if log else 0
        process = Process(files, 1)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            saved = list(tmp_path.glob("2*/checkpoints/last.safetensors"))
            if saved and (log is None or log.read_text().count("\n") > begun + 3):
                break
            assert not process.ended(), files.log.read_text()
            time.sleep(0.05)
        process.stop()
        process.wait()
        assert files.read()["status"] == "interrupted"
    (run,) = tmp_path.glob("2*")
    text = (run / "train.log").read_text()
    assert "started: tagi train" in text
    assert "resumed: tagi train" in text


@pytest.mark.parametrize("saved", [True, False])
def test_a_job_that_left_a_checkpoint_goes_on_from_it(
    saved: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = dump_settings(settings_from(["config=sweep", "kernels=numpy", "arch.width=3"]))
    write_jobs(tmp_path, "tagi train", {0: text})
    files, before = JobFiles(tmp_path, 0), tmp_path / "2026"
    files.write(run=before.name)
    (before / "checkpoints").mkdir(parents=True)
    (before / "config.yaml").write_text(text)
    if saved:
        (before / "checkpoints/last.safetensors").touch()

    def train(settings: Settings, *others: object, **more: object) -> Path:
        raise UserError(f"resumes {settings.trainer.resume}")

    monkeypatch.setattr("tagi_cli.experiment.run.train", train)
    run(files)
    assert files.read()["message"] == f"resumes {before if saved else None}"


def test_a_job_out_of_time_is_to_be_submitted_as_it_was(tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="needs the extra sweep (submitit)", exc_type=ImportError)
    job = Job(str(tmp_path), 3, 2, relays=True)
    assert job.checkpoint().function == job
