"""`tagi update`."""

from __future__ import annotations

import shlex

from tagi_cli.cli.arguments import did_you_mean, flags, guessed
from tagi_cli.cli.train import QUIET
from tagi_cli.errors import UserError

HELP = """
Go on learning with new rows, in a run folder of its own.

usage: tagi update run=<run folder> data.path=<file> [key=value ...] [-q]

  run=...          the run to go on from (its checkpoint best); it stays as it is
  data.path=...    the new rows: a table with the columns of the run, target included
  key=value        what may differ: name, device, kernels, data.batch_size, and the groups trainer,
                   checkpoint, predictor, viz, tracker and distributed (`tagi ls trainer`)
  -q, --quiet      print nothing but the path of the new run folder

Each row is learnt once, in the order of the table; columns, scalers, noise and networks are those
of the run. Of series, windows show the rows before, and states go on where times follow on. Each
batch is predicted before it is learnt: summary.json has these metrics as "prequential".
environment.json names the run that was gone on from. New rows in two updates, cut between two
batches, give what one update with all of them gives.

examples:
  tagi update run=outputs/houses/2026-01-31_12-00-00-1f3a data.path=february.csv
  tagi predict run=outputs/houses/<the new folder> input=new.csv output=predicted.csv
"""


def run(arguments: list[str]) -> int:
    """Learn the rows; 130 where the user interrupted."""
    shown, rest = flags(arguments, QUIET)
    meant = guessed(rest, ("run", "data.path"))
    plain = [word for word in rest if "=" not in word]
    if meant:
        raise UserError(
            f"{' '.join(plain)}: not understood.{did_you_mean(meant)} Allowed: key=value"
        )
    if any(word.startswith("input=") for word in rest):
        raise UserError("input: unknown. Did you mean 'data.path'? Allowed: run=..., data.path=...")
    runs = [word.partition("=")[2] for word in rest if word.startswith("run=")]
    if len(runs) != 1 or not runs[0]:
        raise UserError("run: must be given once, as run=<run folder>")
    given = [word for word in rest if not word.startswith("run=")]
    if not any(word.startswith("data.path=") for word in given):
        raise UserError("data.path: must be given, as data.path=<file with the new rows>")
    if any(word.partition("=")[0] in ("config", "trainer.parent") for word in given):
        raise UserError("config, trainer.parent: come from run=<run folder>; leave them out")
    from tagi_cli.cli.configuration import settings_from
    from tagi_cli.cli.console import TrainingConsole
    from tagi_cli.cli.train import was_interrupted
    from tagi_cli.distributed import one_message
    from tagi_cli.experiment import updating
    from tagi_cli.experiment.run import train

    with one_message():
        settings = settings_from(updating.arguments(runs[0], given))
    command = shlex.join(["tagi", "update", *arguments])
    folder = train(settings, command, console=None if shown else TrainingConsole())
    if shown:
        print(folder)
    return 130 if was_interrupted(folder) else 0
