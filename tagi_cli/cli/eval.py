"""`tagi eval`."""

from __future__ import annotations

import json
import sys

from tagi_cli.cli.arguments import keyed
from tagi_cli.errors import UserError

HELP = """
Score a trained model on a part of its data, or on another file.

usage: tagi eval run=<run folder> [split=train|valid|test] [data.path=<file>]
                 [checkpoint=best|last|<file or CSV folder>]

  split=test       the part of the run's own data (default test)
  checkpoint=best  which networks (default best)
  data.path=...    score all rows of this file instead; it needs the target columns

Metrics are in the units of the data, as JSON.

examples:
  tagi eval run=outputs/quickstart/2026-01-31_12-00-00-1f3a
  tagi eval run=outputs/houses/2026-01-31_12-00-00-1f3a data.path=next_year.csv
"""


def run(arguments: list[str]) -> int:
    """Print the metrics."""
    given = keyed(arguments, ["run"], ["split", "checkpoint", "data.path"])
    if "split" in given and "data.path" in given:
        raise UserError(
            "split: contradicts data.path, which is scored as a whole; give one of them"
        )
    from tagi_cli.experiment.evaluation import evaluate

    found = evaluate(
        given["run"],
        given.get("checkpoint", "best"),
        given.get("split", "test"),
        given.get("data.path"),
    )
    for notice in found.notices:
        print(f"note: {notice}", file=sys.stderr)
    print(json.dumps({"of": found.of, "rows": found.rows, **found.metrics}, indent=2))
    if found.predictions is not None:
        print(f"predictions: {found.predictions}", file=sys.stderr)
    return 0
