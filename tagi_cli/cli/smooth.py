"""`tagi smooth`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping

from tagi_cli.cli.arguments import keyed
from tagi_cli.errors import UserError

HELP = """
Fill in series: outputs and states given all rows.

usage: tagi smooth run=<run folder> [checkpoint=best|last|<file or CSV folder>]
                   [input=<file>] [output=<folder>] [overwrite=true]
       tagi smooth config=<preset|file.yaml> [key=value ...] [...]

  run=...          a run whose network has slstm layers (arch=slstm)
  config=...       train such a run first; keys and values as in `tagi train`
  checkpoint=best  which networks (default best)
  input=...        smooth another table with the run's columns; needs output
  output=...       where to write (default: the folder smoothed of the run)
  overwrite=true   replace what is there

In the folder: outputs.csv, one line per row and output as in predictions, missing rows among them;
states.npz, means and variances of hidden and cell states; summary.json.

examples:
  tagi smooth config=smooth/sine_missing
  tagi smooth run=outputs/smooth-sine_missing/2026-01-31_12-00-00-1f3a overwrite=true
"""

_OWN = ("checkpoint", "input", "output", "overwrite")


def run(arguments: list[str]) -> int:
    """Train if asked to, smooth, and say where the result is; 130 where training was stopped."""
    keys = {argument.partition("=")[0] for argument in arguments}
    if "run" in keys or not arguments:
        given = keyed(arguments, ["run"], _OWN)
        return _smooth(given["run"], given)
    own = [word for word in arguments if word.partition("=")[0] in _OWN and "={" not in word]
    given = keyed(own, [], _OWN)
    from tagi_cli.cli.configuration import settings_from
    from tagi_cli.cli.console import TrainingConsole
    from tagi_cli.cli.train import was_interrupted
    from tagi_cli.experiment.run import train
    from tagi_cli.experiment.smoothing import whole_series as smoothing

    input, output = given.get("input"), given.get("output")
    smoothing.place_to_write(None, input, output, overwrite=_overwrites(given))
    settings = settings_from([word for word in arguments if word not in own])
    smoothing.check(settings)
    folder = train(settings, shlex.join(["tagi", "smooth", *arguments]), console=TrainingConsole())
    return 130 if was_interrupted(folder) else _smooth(str(folder), given)


def _smooth(run: str, given: Mapping[str, str]) -> int:
    overwrite = _overwrites(given)
    from tagi_cli.experiment.smoothing.whole_series import OUTPUTS, STATES, smooth

    notices: list[str] = []
    found = smooth(
        run,
        given.get("checkpoint", "best"),
        input=given.get("input"),
        output=given.get("output"),
        overwrite=overwrite,
        notices=notices,
    )
    for notice in notices:
        print(f"note: {notice}", file=sys.stderr)
    for line in found.lines():
        print(line, file=sys.stderr)
    print(found.folder / OUTPUTS)
    print(found.folder / STATES)
    return 0


def _overwrites(given: Mapping[str, str]) -> bool:
    """Whether to replace files that are there.

    Raises:
        UserError: found neither true nor false.
    """
    value = given.get("overwrite", "false")
    if value not in ("true", "false"):
        raise UserError(f"overwrite: found '{value}'. Allowed: true or false")
    return value == "true"
