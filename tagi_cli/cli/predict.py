"""`tagi predict`."""

from __future__ import annotations

import sys

from tagi_cli.cli.arguments import keyed
from tagi_cli.errors import UserError

HELP = """
Predict new rows: means, standard deviations and intervals.

usage: tagi predict run=<run folder> input=<file> output=<file.csv>
                    [checkpoint=best|last|<file or CSV folder>] [overwrite=true]

  input=...        a table with the run's input columns, in any order
  output=...       one line per row and output: row, component, mu, sd_epistemic, sd_noise, sd,
                   lo_90, hi_90, in the units of the data
  checkpoint=best  which networks (default best)
  overwrite=true   replace the output file if it is there

examples:
  tagi predict run=outputs/houses/2026-01-31_12-00-00-1f3a input=new.csv output=predicted.csv
"""


def run(arguments: list[str]) -> int:
    """Write the predictions and say where."""
    given = keyed(arguments, ["run", "input", "output"], ["checkpoint", "overwrite"])
    overwrite = given.get("overwrite", "false")
    if overwrite not in ("true", "false"):
        raise UserError(f"overwrite: found '{overwrite}'. Allowed: true or false")
    from tagi_cli.experiment.evaluation import predict

    notices: list[str] = []
    path = predict(
        given["run"],
        given["input"],
        given["output"],
        given.get("checkpoint", "best"),
        overwrite=overwrite == "true",
        notices=notices,
    )
    for notice in notices:
        print(f"note: {notice}", file=sys.stderr)
    print(path)
    return 0
