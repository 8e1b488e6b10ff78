"""Sweeps: one run folder per job inside a sweep folder, and `sweep.csv` over them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tagi_cli import atomic
from tagi_cli.errors import UserError, listing
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.experiment.sweeps.engines import Run, Stop
from tagi_cli.experiment.sweeps.job import ERROR, KILLED, RUNNING, JobFiles
from tagi_cli.training.events import FAILED, INTERRUPTED

TABLE = "sweep.csv"

WAITING = "waiting"
"""Status of a job that has not begun."""

FAILURES = (FAILED, ERROR, KILLED)
"""Statuses of jobs that did not do what they should: a mistake, a bug, an end from outside."""


@dataclass
class Outcome:
    """What became of one job.

    Attributes:
        overrides: what it has of its own, value text by option.
        status: `waiting`, `running`, `completed`, `failed`, `error` (a bug), `killed`,
            `interrupted`; in a search also `pruned`.
        run: name of its run folder, if it came to one.
        message: why it failed.
        metrics: the scalars of its summary.
    """

    overrides: Mapping[str, str]
    status: str = WAITING
    run: str = ""
    message: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)

    def read_metrics(self, sweep: Path) -> None:
        """Take the metrics from the folder of its run."""
        if self.run:
            self.metrics = RunFolder(sweep / self.run).results()
            del self.metrics["status"]


def run_jobs(
    sweep: Path,
    outcomes: Sequence[Outcome],
    run: Run,
    stop: Stop,
    ended: Callable[[int], None],
) -> None:
    """Run, by an engine, the jobs that have not failed yet; each outcome is filled in.

    Args:
        sweep: folder of the sweep, with the files that jobs need.
        outcomes: one per job.
        run: the engine.
        stop: whether the user wants all to end.
        ended: told the number of a job when its outcome is known.

    Raises:
        UserError: the engine refuses the jobs, or the table cannot be written.
    """
    numbers = [number for number, one in enumerate(outcomes) if one.status == WAITING]
    write_table(sweep, outcomes)
    for number, complaint in run(numbers, stop):
        collect(sweep, number, outcomes[number], complaint, stop())
        write_table(sweep, outcomes)
        ended(number)


def collect(sweep: Path, number: int, outcome: Outcome, complaint: str, stopped: bool) -> None:
    """Read what became of a job that ended.

    Args:
        sweep: folder of the sweep.
        number: of the job.
        outcome: to fill in; it stays as it is where the job never began.
        complaint: what the engine has to say of a job that left no word itself.
        stopped: whether the user wanted it to end.
    """
    record = JobFiles(sweep, number).read()
    if not record and stopped:
        return
    outcome.status = record.get("status", RUNNING)
    outcome.run, outcome.message = record.get("run", ""), record.get("message", "")
    if outcome.status == RUNNING:
        outcome.status, outcome.message = KILLED, complaint or "its process died"
    elif outcome.status == INTERRUPTED and not stopped:
        outcome.status = KILLED
        outcome.message = outcome.message or "ended from outside; it saved where it stood"
    outcome.read_metrics(sweep)


def failures(jobs: Iterable[tuple[int | str, str, str]]) -> list[str]:
    """Lines about the jobs that failed: those that failed by the same share one.

    Args:
        jobs: number, status and message of each.
    """
    same: dict[str, list[str]] = {}
    for number, status, message in jobs:
        if status in FAILURES:
            same.setdefault(f"{status}: {message}", []).append(str(number))
    return [f"{listing(numbers)} {end}" for end, numbers in same.items()]


def write_table(sweep: Path, outcomes: Sequence[Outcome]) -> None:
    """Write `sweep.csv`: job, its options, status, run, metrics, message.

    Raises:
        UserError: the file cannot be written.
    """
    keys = list(dict.fromkeys(key for one in outcomes for key in one.overrides))
    metrics = list(dict.fromkeys(key for one in outcomes for key in one.metrics))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["job", *keys, "status", "run", *metrics, "message"])
    for number, one in enumerate(outcomes):
        overrides = [one.overrides.get(key, "") for key in keys]
        values = [one.metrics.get(key, "") for key in metrics]
        writer.writerow([number, *overrides, one.status, one.run, *values, one.message])
    atomic.write_text(sweep / TABLE, out.getvalue())


def read_table(sweep: Path) -> list[dict[str, str]]:
    """The rows of `sweep.csv`; none where a folder has no such table.

    Raises:
        UserError: it cannot be read.
    """
    path = sweep / TABLE
    if not path.is_file():
        return []
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")), strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    if any("job" not in row or None in row for row in rows):
        raise UserError(f"{path}: is no table of a sweep; its first column must be 'job'")
    return rows
