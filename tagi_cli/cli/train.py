"""`tagi train`."""

from __future__ import annotations

import gc
import json
import os
import shlex
import sys
from pathlib import Path

from tagi_cli.cli.arguments import flags
from tagi_cli.errors import UserError
from tagi_cli.launcher import place, supervise

HELP = """
Train networks and write a run folder.

usage: tagi train [config=<preset|file.yaml>] [key=value ...] [-m | --multirun] [-q] [--cfg job]

  config=...       a preset (`tagi ls config`) or a YAML file of your own; [a,b] lays b over a
  group=option     choose a kind, e.g. arch=mlp noise=learned (`tagi ls`)
  key=value        set an option, e.g. trainer.max_epochs=50 (`tagi ls trainer`)
  -m, --multirun   run every combination of values: a=1,2  seed=range(0,3)  b=choice(x,y)
  hydra/launcher=  what runs the jobs of -m: joblib, submitit_local, submitit_slurm, ray; else one
                   after another. hydra.launcher.<option>=... as in Hydra (docs/sweeps.md)
  -q, --quiet      print nothing but the path of the run folder, or of the sweep's, at the end
  --cfg job        print the composed config and stop

The run lands in outputs/<name>/<date>_<time>-<id>/. Ctrl-C saves where it stands, and
trainer.resume=<run folder> goes on from there; or, with checkpoint=<file or CSV
folder>, from an earlier copy of the run's checkpoints/last.safetensors.
`mpiexec -n 4 tagi train ...` shares each batch among 4 processes, with the same result.

examples:
  tagi train config=quickstart
  tagi train data.path=houses.csv data.out_components=price
  tagi train config=my.yaml arch.width=200 trainer.max_epochs=50
  tagi train -m config=quickstart arch.width=16,50 seed='range(0,3)'
  tagi train -m config=sweep hydra/launcher=joblib hydra.launcher.n_jobs=4
  run=$(tagi train --quiet config=quickstart)
  tagi train trainer.resume=outputs/quickstart/2026-01-31_12-00-00-1f3a
"""

SWEEP = ("-m", "--multirun")
"""Flags that ask for a sweep."""

QUIET = ("-q", "--quiet")
"""Flags that ask for the path of what was written, and nothing else."""

_SHOW = "--cfg=job"


def run(arguments: list[str]) -> int:
    """Train once, or sweep; 130 where the user interrupted."""
    own = place()
    if own.size > 1:
        supervise(own, _record_failure)
    given, rest = flags(_joined(arguments), (*SWEEP, *QUIET, _SHOW))
    quiet = bool(given & set(QUIET))
    if _SHOW in given and "numpy" not in sys.modules:
        # Nothing is computed; threads of OpenBLAS look for work for a while when they are started,
        # which takes 20 ms of the 300 that this may take on two cores, and more on more.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from tagi_cli.cli.configuration import (
        jobs_from,
        launcher_from,
        settings_from,
        take_checkpoint,
    )
    from tagi_cli.distributed import one_message
    from tagi_cli.experiment.settings import dump_settings

    command = shlex.join(["tagi", "train", *arguments])
    with one_message():
        jobs = jobs_from(rest, bool(given & set(SWEEP)))
        if jobs is not None and own.size > 1:
            raise UserError(
                f"--multirun: a launcher has started {own.size} ranks, which share one run; "
                "start a sweep without mpiexec"
            )
    if jobs is not None:
        from tagi_cli.cli.sweep import run_sweep, show_sweep

        launcher = launcher_from(rest)
        if _SHOW in given:
            return show_sweep(jobs)
        return run_sweep(jobs, launcher, command, quiet=quiet)
    with one_message():
        rest, checkpoint = take_checkpoint(rest)
        settings = settings_from(rest)
    if _SHOW in given:
        print(dump_settings(settings), end="")
        gc.freeze()  # nothing is worth looking for among what ends with the process: a tenth of it
        return 0
    from tagi_cli.cli.console import TrainingConsole
    from tagi_cli.experiment.run import train

    # Some launchers give ranks a terminal that nobody looks at, and collect what they say there.
    console = TrainingConsole(force_terminal=False if own.size > 1 else None)
    folder = train(settings, command, console=None if quiet else console, checkpoint=checkpoint)
    if quiet and not own.rank:
        print(folder)
    return 130 if was_interrupted(folder) else 0


def _record_failure(folder: Path, line: str) -> None:
    """Leave behind in a run folder why its ranks ended."""
    from tagi_cli.experiment import failure
    from tagi_cli.experiment.folder import RunFolder

    if folder.is_dir():  # as seen from the machine of this rank
        failure.record(RunFolder(folder), line)


def was_interrupted(folder: Path) -> bool:
    """Whether the run in this folder was stopped by the user or a signal."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return bool(summary["status"] == "interrupted")


def _joined(arguments: list[str]) -> list[str]:
    """`--cfg job` as one word."""
    joined: list[str] = []
    for word in arguments:
        if joined and joined[-1] == "--cfg":
            joined[-1] = f"--cfg={word}"
        else:
            joined.append(word)
    return joined
