"""`tagi predict`."""

from __future__ import annotations

import sys
from pathlib import Path

from tagi_cli.cli.arguments import keyed
from tagi_cli.errors import UserError

HELP = """
Predict new rows, or what comes after series, with intervals.

usage: tagi predict run=<run folder> input=<file> output=<file.csv>
       tagi predict run=<run folder> horizon=<steps> [input=<file>] [output=<file.csv>]
                    [checkpoint=best|last|<file or CSV folder>] [overwrite=true]

  input=...        a table with the run's input columns, in any order; - is standard input, whose
                   rows are answered as they arrive: CSV, or a JSON object on each line
                   (of a model of images: a folder of images, or an IDX, NPZ or NPY file)
  output=...       one line per row and output: row (of series: instance, slice, time, step),
                   component, mu, sd_epistemic, sd_noise, sd, lo_90, hi_90, in the units of the
                   data; - is standard output, where JSON is answered by JSON
  horizon=48       go on so many steps after the end of each series: those of the run's data, or of
                   input=... . With it output=... may be left out (predictions/forecast.csv of the
                   run); beside the table stand fan charts of some series (.svg, .png, .json)
  checkpoint=best  which networks (default best)
  overwrite=true   replace the output file if it is there

examples:
  tagi predict run=outputs/houses/2026-01-31_12-00-00-1f3a input=new.csv output=predicted.csv
  produce_rows | tagi predict run=outputs/houses/<run> input=- output=- | use_answers
  tagi predict run=outputs/sales/2026-01-31_12-00-00-77b0 horizon=12 output=next_year.csv
"""


def run(arguments: list[str]) -> int:
    """Write the predictions and say where."""
    ahead = any(argument.startswith("horizon=") for argument in arguments)
    needed = ["run", "horizon"] if ahead else ["run", "input", "output"]
    free = ["input", "output"] if ahead else []
    given = keyed(arguments, needed, [*free, "checkpoint", "overwrite"])
    overwrite = given.get("overwrite", "false")
    if overwrite not in ("true", "false"):
        raise UserError(f"overwrite: found '{overwrite}'. Allowed: true or false")
    notices: list[str] = []
    checkpoint = given.get("checkpoint", "best")
    if ahead and "-" in (given.get("input"), given.get("output")):
        raise UserError("horizon: what comes after series needs them whole. Allowed: files")
    if "-" in (given.get("input"), given.get("output")) and "overwrite" in given:
        raise UserError("overwrite: there is nothing to replace beside a pipe; leave it out")
    path: Path | None
    if ahead:
        from tagi_cli.experiment.continuing import predict_ahead

        steps = given["horizon"]
        if not (steps.isascii() and steps.isdigit() and int(steps) > 0):
            raise UserError(f"horizon: found '{steps}'. Allowed: a number of steps, at least 1")
        path = predict_ahead(
            given["run"],
            int(steps),
            given.get("input"),
            given.get("output"),
            checkpoint,
            overwrite=overwrite == "true",
            notices=notices,
        )
    elif "-" in (given["input"], given["output"]):
        from tagi_cli.cli.piping import predict_on_pipes

        predict_on_pipes(given["run"], given["input"], given["output"], checkpoint, notices)
        path = None
    else:
        from tagi_cli.experiment.evaluation import predict

        path = predict(
            given["run"],
            given["input"],
            given["output"],
            checkpoint,
            overwrite=overwrite == "true",
            notices=notices,
        )
    for notice in notices:
        print(f"note: {notice}", file=sys.stderr)
    if path is not None:
        print(path)
    return 0
