"""Sweeps: one run folder per job inside a sweep folder, and `sweep.csv` over them."""

from __future__ import annotations

import csv
import io
import shlex
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagi_cli import atomic
from tagi_cli.cli.configuration import settings_from
from tagi_cli.cli.table import show_table
from tagi_cli.cli.train import was_interrupted
from tagi_cli.config import Job
from tagi_cli.errors import UserError, UserErrors
from tagi_cli.training.progress_text import counted

if TYPE_CHECKING:
    from rich.console import Console

    from tagi_cli.experiment.settings import Settings

TABLE = "sweep.csv"


@dataclass
class _Outcome:
    """What became of one job: `waiting`, `completed`, `failed`, `error` (a bug), `interrupted`."""

    job: Job
    status: str = "waiting"
    run: str = ""
    message: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)


def run_sweep(jobs: Sequence[Job], command: str) -> int:
    """Run the jobs one after another; one that fails is listed, and the others go on.

    Returns:
        0, or 2 where a job failed by the user's mistake, 1 where one failed by a bug, 130 where
        the user interrupted.

    Raises:
        UserErrors: every job is mistaken; nothing is written.
    """
    outcomes = [_Outcome(job) for job in jobs]
    settings = [_prepare(outcome) for outcome in outcomes]
    first = next((one for one in settings if one is not None), None)
    if first is None:
        raise UserErrors(dict.fromkeys(outcome.message for outcome in outcomes))
    from tagi_cli.cli.console import TrainingConsole
    from tagi_cli.experiment.folder import fresh_folder

    folder, console = fresh_folder(Path("outputs") / str(first.name)), TrainingConsole()
    console.say(f"{counted(len(jobs), 'job')} in {folder}")
    for number, (outcome, one) in enumerate(zip(outcomes, settings, strict=True), start=1):
        words = " ".join(f"{key}={value}" for key, value in outcome.job.overrides.items())
        console.say(f"\n[{number}/{len(jobs)}] {words}")
        if one is None:
            print(f"{outcome.status}: {outcome.message}", file=sys.stderr)
        else:
            _run(outcome, one, command, folder, console)
        _write(folder, outcomes)
        if outcome.status == "interrupted":
            break
    print()
    _show(outcomes)
    print(f"\n{folder / TABLE}\ntagi compare {folder}")
    codes = {"interrupted": 130, "error": 1, "failed": 2}
    ends = {outcome.status for outcome in outcomes}
    return next((code for status, code in codes.items() if status in ends), 0)


def show_sweep(jobs: Sequence[Job]) -> int:
    """Print the command line of each job."""
    for job in jobs:
        print(shlex.join(["tagi", "train", *job.arguments]))
    return 0


def _prepare(outcome: _Outcome) -> Settings | None:
    try:
        return settings_from(outcome.job.arguments)
    except UserError as error:
        outcome.status, outcome.message = "failed", str(error)
        return None


def _run(
    outcome: _Outcome, settings: Settings, command: str, folder: Path, console: Console
) -> None:
    from tagi_cli.experiment.folder import RunFolder
    from tagi_cli.experiment.run import train

    before = set(folder.iterdir())
    try:
        made = train(settings, command, folder, console=console)
        outcome.status = "interrupted" if was_interrupted(made) else "completed"
    except UserError as error:
        outcome.status, outcome.message = "failed", str(error)
        print(f"failed: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        outcome.status = "interrupted"
    except Exception as error:
        # The other jobs may well succeed; the exit code tells that this one met a bug.
        traceback.print_exc()
        outcome.status, outcome.message = "error", f"{type(error).__name__}: {error}"
    for path in set(folder.iterdir()) - before:
        outcome.run, outcome.metrics = path.name, RunFolder(path).results()
        del outcome.metrics["status"]


def _write(folder: Path, outcomes: Sequence[_Outcome]) -> None:
    keys = list(dict.fromkeys(key for one in outcomes for key in one.job.overrides))
    metrics = list(dict.fromkeys(key for one in outcomes for key in one.metrics))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["job", *keys, "status", "run", *metrics, "message"])
    for number, one in enumerate(outcomes):
        overrides = [one.job.overrides.get(key, "") for key in keys]
        values = [one.metrics.get(key, "") for key in metrics]
        writer.writerow([number, *overrides, one.status, one.run, *values, one.message])
    atomic.write_text(folder / TABLE, out.getvalue())


def _show(outcomes: Sequence[_Outcome]) -> None:
    keys = list(dict.fromkeys(key for one in outcomes for key in one.job.overrides))
    names = ("valid_nll", "test_nll", "test_rmse", "epochs", "seconds")
    metrics = [name for name in names if any(name in one.metrics for one in outcomes)]
    show_table(
        ["job", *keys, "status", *metrics],
        [
            [i, *(one.job.overrides.get(key) for key in keys), one.status]
            + [one.metrics.get(name) for name in metrics]
            for i, one in enumerate(outcomes)
        ],
    )
