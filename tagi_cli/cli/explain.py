"""`tagi explain`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tagi_cli.cli.arguments import keyed
from tagi_cli.errors import UserError

if TYPE_CHECKING:
    from tagi_cli.experiment.explain.search import Found

HELP = """
Tell what outputs depend on; or find an input for a wanted output.

usage: tagi explain run=<run folder> [split=train|valid|test | input=<file>] [rows=200]
                    [method=auto|derivative|covariance] [checkpoint=best|last|<file or CSV folder>]
                    [output=<folder>] [overwrite=true]
       tagi explain run=<run folder> target=<number> [component=<output>] [start=mean|<row>] [...]

  split=test       the part of the run's own data whose rows are explained (default test)
  input=...        rows of this file instead
  rows=200         explain at most so many, spread evenly; 0 for all (default 200, and fewer where
                   there are more than 20 outputs)
  method=auto      derivative: mean and standard deviation of the derivatives, propagated through
                   the layers; covariance: cov(output, input) of the network's own inference, for
                   layers without a rule for the other (lstm, conv2d, ...); auto: the first that can
  target=...       find the input nearest to a start of which this output is predicted: its mean and
                   standard deviation, within the range of the training part. [1.5,null] for several
  start=mean       the mean of the training part, or the number of a row of split or input, from 0
  output=...       where to write (default: the folder explanation of the run, shown in its report)
  overwrite=true   replace what is there

Of classes their log-odds are explained: log p less the mean log p of the other classes.

In the folder: sensitivities.csv (derivatives by input), contributions.csv (shares by column),
rows.csv (what each column adds to the prediction of each row), figures; with target, target.csv.

examples:
  tagi explain run=outputs/houses/2026-01-31_12-00-00-1f3a
  tagi explain run=outputs/houses/2026-01-31_12-00-00-1f3a target=250000 start=3
"""

_OPTIONAL = (
    "split", "input", "rows", "method", "checkpoint", "output", "overwrite", "target", "component",
    "start",
)  # fmt: skip

_LISTED = 12


def run(arguments: list[str]) -> int:
    """Write the explanation and say where."""
    given = keyed(arguments, ["run"], _OPTIONAL)
    if "split" in given and "input" in given:
        raise UserError("split: contradicts input, whose rows are all looked at; give one of them")
    rows, overwrite = given.get("rows"), given.get("overwrite", "false")
    if rows is not None and not (rows.isascii() and rows.isdigit()):
        raise UserError(f"rows: found '{rows}'. Allowed: a number of rows, 0 for all")
    if overwrite not in ("true", "false"):
        raise UserError(f"overwrite: found '{overwrite}'. Allowed: true or false")
    searching = "target" in given
    idle = ("rows", "method") if searching else ("component", "start")
    for key in idle:
        if key in given:
            beside = "beside" if searching else "without"
            raise UserError(f"{key}: has no effect {beside} target; leave it out")
    from tagi_cli.experiment.explain import of_run

    source = of_run.Source(
        given.get("split", "test"), given.get("input"), None if rows is None else int(rows)
    )
    place = of_run.Place(given.get("output"), overwrite == "true")
    checkpoint = given.get("checkpoint", "best")
    notices: list[str] = []
    if searching:
        found, path = of_run.find_input(
            given["run"], given["target"], place, component=given.get("component"),
            start=given.get("start", "mean"), source=source, checkpoint=checkpoint,
            notices=notices,
        )  # fmt: skip
        for line in _lines(found):
            print(line, file=sys.stderr)
        paths = [path]
    else:
        paths = of_run.explain_run(
            given["run"], source, place, checkpoint=checkpoint,
            method=given.get("method", "auto"), notices=notices,
        )  # fmt: skip
        for line in _shares(paths[0].parent):
            print(line, file=sys.stderr)
    for notice in notices:
        print(f"note: {notice}", file=sys.stderr)
    for path in paths:
        print(path)
    return 0


def _shares(folder: Path) -> list[str]:
    """What moves the outputs, in words: the columns with the largest shares."""
    from tagi_cli.experiment.explain.figures import NUMBERS

    numbers = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))
    lines = []
    for output in numbers["outputs"][:_LISTED]:
        # By step and column; null where the output depends on nothing.
        columns = zip(*output["share"], strict=True)
        shares = [100 * sum(value or 0.0 for value in steps) for steps in columns]
        ranked = sorted(zip(shares, numbers["columns"], strict=True), key=lambda one: -one[0])
        told = ", ".join(f"{name} {share:.0f} %" for share, name in ranked[:_LISTED])
        lines.append(f"what moves {output['name']}: {told}")
    return lines


def _lines(found: Found) -> list[str]:
    """What was found, in words: inputs that moved, and what is predicted there."""
    features, scale = found.features, found.features.flat(found.features.scale)
    start, mean = found.in_units(found.start), found.in_units(found.mean)
    lines = []
    for i in (found.sd > 0).nonzero()[0][:_LISTED].tolist():
        step, feature = divmod(i, len(features.column))
        lag = "" if features.lags is None else f" at {features.lags[step]}"
        end = ", the end of its range" if found.at_bound[i] else ""
        sd = found.sd[i] * scale[i]
        lines.append(
            f"{features.label(feature)}{lag}: {start[i]:.6g} -> {mean[i]:.6g} (sd {sd:.3g}{end})"
        )
    kept = [
        features.label(i)
        for i, category in enumerate(features.categories)
        if category and features.lags is None and start[i] == 1
    ]
    if kept:
        lines.append(f"kept: {', '.join(kept[:_LISTED])}")
    sd_all = (found.sd_epistemic**2 + found.sd_noise**2) ** 0.5
    predicted = [f"{v:.6g} (sd {sd:.3g})" for v, sd in zip(found.prediction, sd_all, strict=True)]
    lines.append(f"predicted there: {', '.join(predicted)}")
    if not found.reached:
        lines.append(
            "the wanted output was not reached within the range of the training part: this is as "
            "near as was found"
        )
        if (found.mean == found.start).all():
            lines.append(
                "the prediction moves with no input at the start: start=<row> begins elsewhere"
            )
    return lines
