"""Sweeps as `tagi train -m` runs them and tells of them."""

from __future__ import annotations

import itertools
import shlex
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagi_cli.cli.configuration import settings_from
from tagi_cli.cli.table import show_table
from tagi_cli.cli.train import was_interrupted
from tagi_cli.config import Job
from tagi_cli.errors import UserError, UserErrors
from tagi_cli.experiment.sweeps.job import ERROR, KILLED
from tagi_cli.experiment.sweeps.launchers import BasicOptions
from tagi_cli.experiment.sweeps.sweep import (
    FAILURES,
    TABLE,
    WAITING,
    Outcome,
    failures,
    run_jobs,
    write_table,
)
from tagi_cli.training.events import COMPLETED, FAILED, INTERRUPTED
from tagi_cli.training.progress_text import counted

if TYPE_CHECKING:
    from rich.console import Console

    from tagi_cli.cli.console import TrainingConsole
    from tagi_cli.experiment.settings import Settings


def run_sweep(jobs: Sequence[Job], launcher: Any, command: str, *, quiet: bool = False) -> int:
    """Run the jobs; one that fails is listed, and the others go on.

    Args:
        jobs: of the sweep.
        launcher: options of what runs them.
        command: the command line, for the record.
        quiet: print the sweep's folder at the end, and besides it only failures.

    Returns:
        0, or 2 where a job failed by the user's mistake, 1 where one failed otherwise, 130 where
        the user interrupted.

    Raises:
        UserErrors: every job is mistaken, or the launcher cannot work here; nothing is written.
    """
    from tagi_cli.experiment.sweeps.engines import required

    required(launcher)
    outcomes = [Outcome(job.overrides) for job in jobs]
    settings = [
        _prepare(job.arguments, outcome) for job, outcome in zip(jobs, outcomes, strict=True)
    ]
    first = next((one for one in settings if one is not None), None)
    if first is None:
        raise UserErrors(dict.fromkeys(outcome.message for outcome in outcomes))
    from tagi_cli.cli.console import TrainingConsole
    from tagi_cli.experiment.folder import fresh_folder

    folder = fresh_folder(Path("outputs") / str(first.name))
    console = TrainingConsole(quiet=quiet)
    console.say(f"{counted(len(jobs), 'job')} in {folder}")
    if isinstance(launcher, BasicOptions):
        interrupted = _one_by_one(outcomes, settings, command, folder, console)
    else:
        interrupted = _launch(outcomes, settings, command, folder, console, launcher)
    if not quiet:
        print()
        show_outcomes(outcomes)
    failed = sum(one.status in FAILURES for one in outcomes)
    if failed:
        print(f"\n{counted(failed, 'job')} failed:", file=sys.stderr)
        for line in failures((i, one.status, one.message) for i, one in enumerate(outcomes)):
            print(f"  {line}", file=sys.stderr)
    compare = f"tagi compare {shlex.quote(str(folder))}"
    print(folder.resolve() if quiet else f"\n{folder / TABLE}\n{compare}")
    return 130 if interrupted else exit_code(outcomes)


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """0, or 2 where jobs failed by the user's mistake, 1 where one failed otherwise."""
    ends = {outcome.status for outcome in outcomes}
    return 1 if ends & {ERROR, KILLED} else 2 if FAILED in ends else 0


def show_sweep(jobs: Sequence[Job]) -> int:
    """Print the command line of each job."""
    for job in jobs:
        print(shlex.join(["tagi", "train", *job.arguments]))
    return 0


def show_outcomes(
    outcomes: Sequence[Outcome], numbers: Sequence[int] | None = None, what: str = "job"
) -> None:
    """Print what became of jobs as a table; `numbers` says which they are, where not all."""
    numbers = range(len(outcomes)) if numbers is None else numbers
    keys = list(dict.fromkeys(key for one in outcomes for key in one.overrides))
    names = ("valid_nll", "test_nll", "test_rmse", "test_error_rate", "epochs", "seconds")
    metrics = [name for name in names if any(name in one.metrics for one in outcomes)]
    show_table(
        [what, *keys, "status", *metrics],
        [
            [number, *(one.overrides.get(key) for key in keys), one.status]
            + [one.metrics.get(name) for name in metrics]
            for number, one in zip(numbers, outcomes, strict=True)
        ],
    )


def words_of(outcome: Outcome) -> str:
    """What a job has of its own, as on a command line."""
    return " ".join(f"{key}={value}" for key, value in outcome.overrides.items())


def result_of(outcome: Outcome) -> str:
    """How a job ended, in a few words."""
    if outcome.status in FAILURES:
        return f"{outcome.status}: {outcome.message}"
    found = [
        f"{name} {outcome.metrics[name]:.4g}"
        for name in ("valid_nll", "seconds")
        if name in outcome.metrics
    ]
    return ", ".join([outcome.status, *found])


def _prepare(arguments: Sequence[str], outcome: Outcome) -> Settings | None:
    try:
        return settings_from(arguments)
    except UserError as error:
        outcome.status, outcome.message = FAILED, str(error)
        return None


def _one_by_one(
    outcomes: Sequence[Outcome],
    settings: Sequence[Settings | None],
    command: str,
    folder: Path,
    console: TrainingConsole,
) -> bool:
    """Run the jobs in this process; returns whether the user interrupted."""
    for number, (outcome, one) in enumerate(zip(outcomes, settings, strict=True), start=1):
        console.say(f"\n[{number}/{len(outcomes)}] {words_of(outcome)}")
        if one is None:
            print(f"{outcome.status}: {outcome.message}", file=sys.stderr)
        else:
            _run(outcome, one, command, folder, console)
        write_table(folder, outcomes)
        if outcome.status == INTERRUPTED:
            return True
    return False


def _run(
    outcome: Outcome, settings: Settings, command: str, folder: Path, console: Console
) -> None:
    from tagi_cli.experiment.run import train

    before = set(folder.iterdir())
    try:
        made = train(settings, command, folder, console=console)
        outcome.status = INTERRUPTED if was_interrupted(made) else COMPLETED
    except UserError as error:
        outcome.status, outcome.message = FAILED, str(error)
        print(f"failed: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        outcome.status = INTERRUPTED
    except Exception as error:
        # The other jobs may well succeed; the exit code tells that this one met a bug.
        traceback.print_exc()
        outcome.status, outcome.message = ERROR, f"{type(error).__name__}: {error}"
    for path in set(folder.iterdir()) - before:
        outcome.run = path.name
    outcome.read_metrics(folder)


def _launch(
    outcomes: Sequence[Outcome],
    settings: Sequence[Settings | None],
    command: str,
    folder: Path,
    console: TrainingConsole,
    launcher: Any,
) -> bool:
    """Have a launcher run the jobs; returns whether the user interrupted."""
    from tagi_cli.experiment.settings import dump_settings
    from tagi_cli.experiment.sweeps.engines import engine
    from tagi_cli.experiment.sweeps.job import write_jobs
    from tagi_cli.training.signals import Interruption

    texts = {i: dump_settings(one) for i, one in enumerate(settings) if one is not None}
    write_jobs(folder, command, texts)
    ended = itertools.count(1)

    def tell(number: int) -> None:
        one = outcomes[number]
        if one.status != WAITING:
            console.say(f"[{next(ended)}/{len(outcomes)}] {words_of(one)}: {result_of(one)}")

    for number in sorted({*range(len(outcomes))} - {*texts}):
        tell(number)
    with Interruption() as interruption:
        run = engine(launcher, folder.absolute(), len(texts))
        run_jobs(folder, outcomes, run, interruption.is_requested, tell)
        return interruption.is_requested()
